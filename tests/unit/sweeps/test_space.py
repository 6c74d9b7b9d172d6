"""What a sweep tries: read from the models' fields, refused before anything is trained."""

from __future__ import annotations

import numpy as np
import pytest

from movierec.errors import HyperparameterError
from movierec.models.factory import BASELINES
from movierec.models.fields import search_range
from movierec.models.graphsage.hyperparameters import PRESETS, SageHyperparameters
from movierec.sweeps.request import SweepRequest
from movierec.sweeps.space import DEFAULT_SEARCH, Choices, Range, search_space
from movierec.workflows.requests import (
    MODELS,
    TrainRequest,
    full_hyperparameters,
    hyperparameter_fields,
)

SEARCHED = [name for name in MODELS if hyperparameter_fields(name)]
RANGED = [name for name, field in SageHyperparameters.model_fields.items() if search_range(field)]


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("dropout=0.1..0.4", Range(low=0.1, high=0.4)),
        ("learning_rate=1e-4..0.01:log", Range(low=1e-4, high=0.01, log=True)),
        ("hidden_dim=8..64:log", Range(low=8, high=64, log=True, whole=True)),
        ("num_layers=1,3", Choices(values=(1, 3))),
        ("dropout=0,0.5", Choices(values=(0.0, 0.5))),
        ("aggregator=mean,max+std", Choices(values=("mean", "max+std"))),
        ("feature_bands=true,false", Choices(values=(True, False))),
        ("feature_bands", Choices(values=(False, True))),
        ("normalisation", Choices(values=("none", "layer"))),
        ("num_layers", Range(low=1, high=3, whole=True)),
    ],
)
def test_a_text_is_read_as_the_field_is(text, dimension):
    ((name, found),) = search_space("default", [text]).items()
    assert (name, found) == (text.partition("=")[0], dimension)
    assert [type(value) for value in found.values] == [type(value) for value in dimension.values]
    assert search_space("default", [f"{name}={found.text}"]) == {name: found}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour=1..2", "no hyperparameter 'colour'"),
        ("dropout=0..1", "dropout = 1.0 cannot be searched: input should be less than 1"),
        ("num_layers=0..2", "num_layers = 0 .* greater than or equal to 1"),
        ("hidden_dim=8..9.5", "hidden_dim = .* '9.5' is no whole number"),
        ("dropout=a..b", "dropout = .* 'a' is no number"),
        ("dropout=0.4..0.1", "dropout = .* lower end must be below"),
        ("dropout=0..0.5:log", "dropout = .* starts above 0"),
        ("dropout=0.1..0.5:lin", "dropout = .* 'lin' is not log"),
        ("dropout=0.1", "dropout = 0.1 .* two or more values"),
        ("dropout=0.1,0.1", "dropout = .* all different"),
        ("aggregator=a..b", "aggregator = .* only numbers have a range"),
        ("loss_type=mse,hinge", "loss_type = 'hinge'"),
        ("feature_bands=yes,no", "feature_bands = .* 'yes' is neither true nor false"),
        ("min_delta", "min_delta has no usual range"),
        ("epochs", "epochs is both searched and fixed at 3"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(text, said):
    with pytest.raises(HyperparameterError, match=said):
        search_space("default", [text], {"epochs": 3})


def test_a_name_is_searched_once():
    with pytest.raises(HyperparameterError, match="dropout is searched twice"):
        search_space("default", ["dropout", "dropout=0.1..0.2"])


@pytest.mark.parametrize("model", ["mean", "popular"])
def test_a_model_without_hyperparameters_has_nothing_to_search(model):
    with pytest.raises(HyperparameterError, match=f"nothing to search for {model}"):
        search_space(model)


def test_the_usual_searches_name_fields_that_have_a_range():
    assert set(DEFAULT_SEARCH) <= set(PRESETS)
    for names in DEFAULT_SEARCH.values():
        assert set(names) <= set(RANGED)


@pytest.mark.parametrize("model", SEARCHED)
def test_every_usual_range_is_allowed_and_holds_the_default(model):
    full = full_hyperparameters(TrainRequest(preset=model))
    for name, dimension in search_space(model).items():
        assert full[name] in dimension, name


@pytest.mark.parametrize("name", RANGED)
def test_every_range_of_the_table_is_allowed(name):
    assert list(search_space("default", [name])) == [name]


def test_what_is_fixed_is_not_in_the_usual_search():
    assert "dropout" in search_space("default")
    assert "dropout" not in search_space("default", (), {"dropout": 0.1})


@pytest.mark.parametrize("model", SEARCHED)
def test_drawn_values_lie_inside(model):
    rng = np.random.default_rng(0)
    for dimension in search_space(model).values():
        drawn = {dimension.draw(rng) for _ in range(50)}
        assert len(drawn) > 1
        assert all(value in dimension for value in drawn)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"training": {"preset": "defualt"}}, "no model 'defualt'"),
        ({"training": {"hyperparameters": {"colour": 1}}}, "No combination .*colour"),
        ({"training": {"hyperparameters": {"dropout": 2}}}, "No combination .*dropout = 2"),
        (
            {"training": {"hyperparameters": {"loss_type": "bpr"}}, "search": ["ranking_weight"]},
            "set ranking_weight to 0",
        ),
        ({"training": {"preset": "ease"}, "metric": "val_rmse"}, "ease predicts no ratings"),
        ({"training": {"members": 2}}, "no members"),
        ({"training": {"refit": True}}, "no refit"),
        ({"trials": 0}, "trials = 0"),
        ({"name": "../x"}, "name = '../x'"),
        ({"metric": "rmse"}, "metric = 'rmse'"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(fields, said):
    with pytest.raises(HyperparameterError, match=said):
        SweepRequest.of(**fields)


@pytest.mark.parametrize(
    ("training", "metric"),
    [
        ({"preset": "default"}, "val_rmse"),
        ({"preset": "report"}, "val_rmse"),
        ({"preset": "report", "hyperparameters": {"loss_type": "bpr"}}, "val_ndcg_10"),
        ({"hyperparameters": {"monitor": "val_ndcg_10"}}, "val_ndcg_10"),
        ({"preset": "svd"}, "val_rmse"),
        ({"preset": "ease"}, "val_ndcg_10"),
    ],
)
def test_the_metric_is_what_the_preset_is_there_for(training, metric):
    assert SweepRequest.of(training=training).metric == metric


def test_a_complete_request_says_the_same_again():
    request = SweepRequest.of(training={"preset": "svd"}, search=["factors", "epochs=5..9"])
    assert request.search == ("factors=10..200:log", "epochs=5..9")
    assert SweepRequest.of(**request.model_dump(mode="json")) == request


def test_every_baseline_with_hyperparameters_can_be_searched():
    for name in set(SEARCHED) & set(BASELINES):
        assert SweepRequest.of(training={"preset": name}).search
