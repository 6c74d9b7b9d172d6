"""What the training form asks: each hyperparameter once, with the model's own bounds and words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from movierec.data.dataset import Dataset
from movierec.data.splits import SPLIT_NAMES, SplitName, SplitSpec, make_split
from movierec.errors import HyperparameterError, NotFoundError, SplitError
from movierec.models.factory import make_baseline
from movierec.models.graphsage.formulas import AGGREGATORS
from movierec.models.graphsage.hyperparameters import PRESETS, hyperparameters
from movierec.workflows import form
from movierec.workflows.form import FormField
from movierec.workflows.requests import (
    MODELS,
    TrainRequest,
    full_hyperparameters,
    hyperparameter_fields,
)
from tests.support.factories import assemble, make_dataset


def fields(preset: str) -> dict[str, FormField]:
    return {field.name: field for group in form.groups(preset) for field in group.fields}


def defaults(preset: str) -> dict[str, Any]:
    return {name: field.default for name, field in fields(preset).items()}


NUMBERS = [
    (preset, name)
    for preset in MODELS
    for name, field in fields(preset).items()
    if field.kind in ("int", "float")
]


@pytest.mark.parametrize("preset", MODELS)
def test_every_hyperparameter_is_in_exactly_one_group(preset: str) -> None:
    names = [field.name for group in form.groups(preset) for field in group.fields]
    assert sorted(names) == sorted(hyperparameter_fields(preset))
    assert all(group.fields for group in form.groups(preset))


def test_a_hyperparameter_that_no_group_names_is_asked_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = {"Steps": ("optimizer", "a_name_of_yesterday")}
    monkeypatch.setattr(form, "_GROUPS", few)
    made = form.groups.__wrapped__("default")
    assert [group.title for group in made] == ["", "Steps", "More"]
    names = [field.name for group in made for field in group.fields]
    assert sorted(names) == sorted(hyperparameter_fields("default"))


@pytest.mark.parametrize("preset", MODELS)
def test_the_form_starts_from_the_preset(preset: str) -> None:
    assert defaults(preset) == full_hyperparameters(TrainRequest(preset=preset))
    assert form.complaints(preset, defaults(preset)) == {}
    assert form.changes(preset, defaults(preset)) == {}


@pytest.mark.parametrize("preset", MODELS)
def test_labels_tell_the_inputs_of_a_form_apart(preset: str) -> None:
    labels = [field.label for field in fields(preset).values()]
    assert len(set(labels)) == len(labels)
    titles = [group.title for group in form.groups(preset)]
    assert len(set(titles)) == len(titles)
    assert not titles or titles[0] == ""
    assert all(titles[1:])


@pytest.mark.parametrize("preset", MODELS)
def test_help_says_what_a_field_does_and_what_it_is_called(preset: str) -> None:
    for name, field in fields(preset).items():
        told, _, command = field.help.partition(". In commands and files: ")
        assert len(told) > 15
        assert told[0] == told[0].upper()
        assert command == f"{name}."


@pytest.mark.parametrize("preset", MODELS)
def test_each_model_is_described_in_a_line(preset: str) -> None:
    described = form.describe(preset)
    assert len(described) > 20
    assert "\n" not in described


def test_a_model_that_does_not_exist() -> None:
    with pytest.raises(NotFoundError, match="'no-such'"):
        form.groups("no-such")


@pytest.mark.parametrize(
    ("preset", "shown", "folded"),
    [("default", "target_fraction", "batch_size"), ("report", "batch_size", "target_fraction")],
)
def test_the_size_of_a_step_is_unfolded_as_the_preset_has_it(
    preset: str, shown: str, folded: str
) -> None:
    first = [field.name for field in form.groups(preset)[0].fields]
    assert shown in first
    assert folded not in first
    assert first[:2] == ["hidden_dim", "num_layers"]


def test_a_label_carries_its_unit() -> None:
    found = fields("default")
    assert found["dropout"].label == "Dropout (share)"
    assert found["early_stopping_patience"].label == "Patience (epochs)"
    assert found["learning_rate"].label == "Learning rate"


@pytest.mark.parametrize(
    ("name", "kind", "low", "high"),
    [
        ("hidden_dim", "int", 2, 1024),
        ("dropout", "float", 0, 1),
        ("learning_rate", "float", 0, 1),
        ("target_fraction", "float", 0, 0.9),
        ("epochs", "int", 1, 10_000),
    ],
)
def test_bounds_of_numbers(name: str, kind: str, low: float, high: float) -> None:
    found = fields("default")[name]
    assert (found.kind, found.low, found.high) == (kind, low, high)


def test_bounds_are_told_in_the_help() -> None:
    found = fields("default")
    assert "(≥ 2, ≤ 1,024)" in found["hidden_dim"].help
    assert "(≥ 0, < 1)" in found["dropout"].help
    assert "(> 0, ≤ 1)" in found["learning_rate"].help
    assert "≥" not in found["loss_type"].help


@pytest.mark.parametrize(("preset", "name"), NUMBERS)
def test_what_lies_beyond_a_bound_is_refused_beside_its_field(preset: str, name: str) -> None:
    """The form's bounds are the model's: beyond them it refuses, just within them it does not."""
    field = fields(preset)[name]
    for bound, step in ((field.low, -1), (field.high, 1)):
        assert math.isfinite(bound)
        kind = int if field.kind == "int" else float
        small = step if kind is int else step * 1e-3
        beyond, within = kind(bound + small), kind(bound - small)
        found = form.complaints(preset, {**defaults(preset), name: beyond})
        assert list(found) == [name]
        assert "than" in found[name]
        assert found[name][0].islower()
        assert name not in _bound_complaints(preset, {**defaults(preset), name: within})


def _bound_complaints(preset: str, values: dict[str, Any]) -> dict[str, str]:
    return {k: said for k, said in form.complaints(preset, values).items() if "than" in said}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_option_is_one_the_model_takes(preset: str) -> None:
    for name, field in fields(preset).items():
        for option in field.options:
            found = form.complaints(preset, {**defaults(preset), name: option})
            assert not any("input should be" in said for said in found.values())
        if field.kind == "choice":
            assert field.default in field.options


def test_several_aggregators_are_offered_one_by_one() -> None:
    field = fields("default")["aggregator"]
    assert (field.kind, field.options) == ("several", tuple(AGGREGATORS))
    joined = {**defaults("default"), "aggregator": "+".join(AGGREGATORS)}
    assert form.complaints("default", joined) == {}


COMBINATIONS = [
    ({"hiding": "later", "target_fraction": 0.0}, {"hiding", "target_fraction"}),
    ({"loss_type": "bpr", "monitor": "val_loss"}, {"loss_type", "ranking_weight"}),
    ({"loss_type": "softmax", "ranking_weight": 0.0}, {"loss_type", "monitor"}),
    ({"ranking_weight": 0.0, "monitor": "val_ndcg_10"}, {"monitor", "ranking_weight"}),
    ({"aggregator": ""}, {"aggregator"}),
    ({"aggregator": "mean+mean"}, {"aggregator"}),
]


@pytest.mark.parametrize(("changed", "beside"), COMBINATIONS)
def test_what_contradicts_each_other_is_said_beside_both(
    changed: dict[str, Any], beside: set[str]
) -> None:
    found = form.complaints("default", {**defaults("default"), **changed})
    assert set(found) == beside
    (said,) = set(found.values())
    assert "Value error" not in said
    with pytest.raises(HyperparameterError) as refused:
        hyperparameters("default", **changed)
    assert said.lower() in refused.value.message.lower()


def test_every_wrong_field_is_told_at_once() -> None:
    wrong = {**defaults("default"), "hidden_dim": 0, "dropout": 1.5, "epochs": 0}
    assert set(form.complaints("default", wrong)) == {"hidden_dim", "dropout", "epochs"}


def test_complaints_about_a_baseline() -> None:
    wrong = {**defaults("svd"), "factors": 0}
    found = form.complaints("svd", wrong)
    assert found == {"factors": "input should be greater than or equal to 1"}
    with pytest.raises(HyperparameterError, match="factors = 0"):
        make_baseline("svd", wrong)
    assert form.complaints("mean", {}) == {}


@pytest.mark.parametrize("preset", [preset for preset in MODELS if fields(preset)])
def test_changes_are_what_differs_from_the_preset(preset: str) -> None:
    start = defaults(preset)
    for name, field in fields(preset).items():
        other = _another(field)
        assert form.changes(preset, {**start, name: other}) == {name: other}


def _another(field: FormField) -> Any:
    if field.kind == "bool":
        return not field.default
    if field.kind == "several":
        return "std"
    if field.kind == "choice":
        return next(option for option in field.options if option != field.default)
    return field.default + 1


@pytest.mark.parametrize("name", SPLIT_NAMES)
def test_a_split_asks_for_what_pins_it_down(name: SplitName) -> None:
    """Changing a field that is asked changes the parts; one that is not asked changes nothing."""
    data, asked = hundred_thousand(times=True), {each.name for each in form.split_fields(name)}
    plain = parts(data, SplitSpec(name=name))
    others = {"seed": 7, "test_fraction": 0.3, "validation_fraction": 0.2, "last_n": 9, "given": 9}
    for field, value in others.items():
        changed = parts(data, SplitSpec(**{"name": name, field: value}))
        assert (changed != plain) == (field in asked), field


def parts(data: Dataset, spec: SplitSpec) -> tuple[bytes, ...]:
    split = make_split(data, spec)
    return tuple(part.tobytes() for part in (split.train, split.validation, split.test))


@pytest.mark.parametrize("times", [True, False], ids=["times", "no-times"])
@pytest.mark.parametrize("size", ["100k", "small"])
@pytest.mark.parametrize("name", SPLIT_NAMES)
def test_a_split_is_refused_as_the_data_really_refuses_it(
    name: SplitName, size: str, times: bool
) -> None:
    data = hundred_thousand(times) if size == "100k" else make_dataset(timestamps=times)
    said = form.split_trouble(name, data.n_ratings, has_times=times)
    try:
        make_split(data, SplitSpec(name=name))
    except SplitError:
        assert name in said
    else:
        assert said == ""


def hundred_thousand(times: bool) -> Dataset:
    """As many ratings as MovieLens 100K has: 500 users, 200 movies, each rates each."""
    place = np.arange(100_000)
    time = np.random.default_rng(0).permutation(place) if times else None
    return assemble(place // 200, place % 200, 1 + place % 5, time, 500, 200)
