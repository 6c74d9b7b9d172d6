"""A version that says no more than the first report's fields: it opens, lists and compares."""

from __future__ import annotations

import json
from typing import Any

import pytest

from movierec.comparison.metrics import METRICS, values_of
from movierec.errors import ArtifactError
from movierec.export.mlflow_facts import params_of, points_of, tags_of
from movierec.export.model_card import model_card
from movierec.inference.load import split_of
from movierec.metadata import VersionMetadata
from movierec.registry import Registry, VersionDraft
from movierec.registry.measurements import identity
from movierec.settings import Settings
from movierec.store import VersionRecord, open_store
from movierec.ui.components.versions import leaderboard
from movierec.workflows.compare import compare_versions
from movierec.workflows.data import load_dataset
from tests.support.project import movierec, project_in, train_version

# the fields and the numbers of the first report, and what its history held
FIRST_REPORT: dict[str, Any] = {
    "training_date": "2025-11-25T10:00:00+00:00",
    "num_users_trained": 943, "num_movies": 1682, "num_ratings": 100_000,
    "hyperparameters": {"hidden_dim": 48, "num_layers": 2, "aggregator": "mean", "dropout": 0.2},
    "metrics": {
        "val_rmse": 1.0321, "val_mae": 0.8547, "val_precision_10": 0.6727, "val_recall_10": 0.7315,
        "final_train_loss": 1.02, "best_val_loss": 1.06,
    },
    "final_train_loss": 1.02, "best_val_loss": 1.06, "epochs_trained": 2,
    "training_history": [
        {"epoch": 1, "train_loss": 1.3, "val_loss": 1.1},
        {"epoch": 2, "train_loss": 1.02, "val_loss": 1.06},
    ],
    "device": "cpu", "database_path": "data/movierec.db",
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = project_in(tmp_path_factory.mktemp("project"))
    train_version(settings, "popular")
    return settings


@pytest.fixture(scope="module")
def old(project: Settings) -> VersionRecord:
    with open_store(project) as store:
        data = store.datasets.list()[0]
        return Registry(project, store).save(
            VersionDraft(
                "graphsage", "report", data.name, data.fingerprint, "",
                metadata=VersionMetadata.of(FIRST_REPORT),
            )
        )  # fmt: skip


def test_it_is_kept_and_read_as_it_is(project, old):
    facts = old.metadata
    assert facts.num_users_trained == 943
    assert facts.training_history[1].val_loss == 1.06
    assert FIRST_REPORT.items() <= facts.as_dict().items()
    path = project.models_path / old.name / "metadata.json"
    assert json.loads(path.read_text()) == facts.as_dict()
    with open_store(project) as store:
        assert Registry(project, store).verify(old.name) == []


def test_it_is_listed_and_shown(project, old):
    listed = movierec(project, "versions", "list", width=200)
    assert old.name in listed.out
    shown = movierec(project, "versions", "show", old.name, width=200)
    assert (listed.code, shown.code) == (0, 0)
    assert "hidden_dim" in shown.out
    facts = movierec(project, "versions", "show", old.name, "--json").facts["version"]
    assert facts["metadata"] == old.metadata.as_dict()


def test_it_is_compared_and_the_reason_told_why_it_cannot_be(project, old):
    found = compare_versions(project, ["v1.0.0", old.name])
    pair = found.pairs[old.name]
    assert pair.obstacles
    assert {metric.key for metric in METRICS} == set(found.values[old.name])
    assert movierec(project, "compare", "v1.0.0", old.name, width=200).code == 0


def test_its_card_page_and_export_know_what_there_is(project, old):
    with open_store(project) as store:
        card = model_card(store, old)
    assert "Nothing was measured." in card
    assert "`hidden_dim`" in card
    assert "None" not in card
    (row, *_) = leaderboard.rows(old)
    assert row.system == old.name
    assert "held-out ratings" in leaderboard.protocol(old)
    assert params_of(old)["hidden_dim"] == "48"
    assert tags_of(old, identity(old))["mlflow.source.git.commit"] == ""
    points = {(key, step): value for key, value, _, step in points_of(old)}
    assert points["val_loss", 2] == 1.06
    assert points["validation/val_rmse", 2] == 1.0321
    assert all(value != value for value in values_of(old.metadata.evaluation).values())


def test_it_cannot_answer_and_says_why(project, old):
    with pytest.raises(ArtifactError, match="does not say how its data was split"):
        split_of(old, load_dataset("tiny", project))
