"""A version's metadata: every field typed, nothing lost, old and odd ones readable."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from movierec.metadata import STRANGER, EvaluationSummary, VersionMetadata

DOCUMENT: dict[str, Any] = {
    "model_version": "v1.0.0", "created_at": "2026-11-25T01:02:03.000400+00:00", "seed": 3,
    "hyperparameters": {"hidden_dim": 16, "dropout": 0.0, "ranks": True, "based_on": None},
    "evaluation": {
        "rmse": 1, "mae": 0.5, "full": {"ndcg_at_10": None, "users": 40}, "later": [1, {"x": 2}],
        "protocol": {"k": 10, "users_ranked": "a sample", "a rule to come": {"n": 1}},
        "calibration": {"ece": 0.1, "ece_per_threshold": {"1": 0.2}, "n": 9},
        "without_time": {"rmse": 1.25},
    },
    "floors": {"popular": {"rmse": None, "full": {"ndcg_at_10": 0.25}}},
    "slices": [{"slice": "age", "value": "25", "users": 3, "ndcg_at_5": 0.5}],
    "training_history": [{"epoch": 1, "val_loss": 2.0, "is_best": True, "lr": 0.1}],
    "split": {"name": "random", "seed": 1, "test_fraction": 0.25},
    "files": {"a.npy": {"bytes": 3, "sha256": "0" * 64}},
    "a fact to come": [None, {"deep": [1.5]}],
}  # fmt: skip


def test_fields_are_read_with_attributes() -> None:
    facts = VersionMetadata.of(DOCUMENT)
    evaluation = facts.evaluation
    assert (facts.seed, facts.hyperparameters["hidden_dim"]) == (3, 16)
    assert (evaluation.rmse, evaluation.protocol.k, evaluation.without_time.rmse) == (1, 10, 1.25)
    assert evaluation.value_at("full", "users") == 40
    assert evaluation.value_at("calibration", "ece") == 0.1
    assert evaluation.value_at("rated", "ndcg_at_10") is None
    assert facts.floors["popular"].value_at("full", "ndcg_at_10") == 0.25
    assert (facts.slices[0].value, facts.training_history[0].is_best) == ("25", True)
    assert facts.files["a.npy"].bytes == 3


def test_nothing_that_was_recorded_is_lost() -> None:
    """Not even what this release has no field for, and an integer stays one."""
    text = json.dumps(DOCUMENT)
    facts = VersionMetadata.of(json.loads(text))
    assert json.dumps(facts.as_dict()) == text
    for again in (pickle.loads(pickle.dumps(facts)), copy.deepcopy(facts)):
        assert again == facts
        assert json.dumps(again.as_dict()) == text
    parts = {
        name: getattr(facts, name).as_dict() for name in ("evaluation", "split")
    } | {"slices": [row.as_dict() for row in facts.slices]}  # fmt: skip
    for name, part in parts.items():
        assert json.dumps(part, sort_keys=True) == json.dumps(DOCUMENT[name], sort_keys=True)


def test_what_was_not_recorded_is_absent() -> None:
    facts = VersionMetadata.of({})
    assert (facts.seed, facts.members, facts.evaluation.rmse, facts.num_movies) == (None,) * 4
    assert (facts.slices, facts.floors, facts.hyperparameters) == ([], {}, {})
    assert not facts.split.is_recorded
    assert not facts.evaluation.protocol.is_recorded
    assert facts.measured_together is None
    assert facts.as_dict() == {}


@pytest.mark.parametrize(
    ("odd", "left"),
    [
        ({"evaluation": None}, {}),
        ({"evaluation": "good", "seed": 3}, {"seed": 3}),
        ({"evaluation": [1, 2], "floors": 7, "slices": {}, "split": None, "files": []}, {}),
        ({"seed": "3", "members": 0, "refit": "yes", "num_movies": -1, "durations": [1]}, {}),
        ({"evaluation": {"rmse": "<b>1</b>", "mae": 2}}, {"evaluation": {"mae": 2}}),
        (
            {"evaluation": {"full": {"a": True, "b": 2}, "protocol": {"thresholds": [1], "k": 5}}},
            {"evaluation": {"full": {"b": 2}, "protocol": {"k": 5}}},
        ),
        (
            {"slices": [1, {"slice": "age"}, {"slice": "age", "value": "25", "rmse": []}]},
            {"slices": [{"slice": "age", "value": "25"}]},
        ),
        ({"files": {"a": {"bytes": 1, "sha256": "../.."}}, "git": {"dirty": 1}}, {}),
    ],
)
def test_what_has_another_type_counts_as_not_recorded(odd, left) -> None:
    facts, expected = VersionMetadata.of(odd), VersionMetadata.of(left)
    for name in VersionMetadata.model_fields:
        found = getattr(facts, name)
        assert found == getattr(expected, name) or not found.is_recorded, name
    assert facts.as_dict() == odd


def test_facts_are_replaced_and_the_rest_is_kept() -> None:
    changed = VersionMetadata.of(DOCUMENT).with_facts(seed=4, evaluation={"mae": 1.0})
    assert (changed.seed, changed.evaluation.mae, changed.evaluation.rmse) == (4, 1.0, None)
    assert changed.as_dict() == {**DOCUMENT, "seed": 4, "evaluation": {"mae": 1.0}}


def test_what_is_written_must_have_the_right_types() -> None:
    with pytest.raises(ValidationError, match="epochs_trained"):
        VersionMetadata(epochs_trained="three")
    made = VersionMetadata(seed=1, evaluation=EvaluationSummary(rmse=0.5))
    assert made.as_dict() == {"seed": 1, "evaluation": {"rmse": 0.5}}
    assert made.evaluation.rmse == 0.5


@pytest.mark.parametrize("text", ["x" * 201, "two\nlines"])
def test_only_a_stranger_must_be_brief(text: str) -> None:
    assert VersionMetadata.of({"device": text}).device == text
    with pytest.raises(ValidationError, match="device"):
        VersionMetadata.model_validate({"device": text}, context=STRANGER)


def test_reading_it_loads_neither_torch_nor_a_database() -> None:
    code = (
        "import sys, movierec.metadata\n"
        "print({'torch', 'sqlalchemy', 'pandas', 'numpy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
