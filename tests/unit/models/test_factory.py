"""Baselines by name, their hyperparameters, and rating lists."""

from __future__ import annotations

import numpy as np
import pytest

from movierec.errors import ArtifactError, HyperparameterError, NotFoundError
from movierec.models.arrays import RatingLists
from movierec.models.baselines.knn import NeighbourModel
from movierec.models.factory import BASELINES, load_recommender, make_baseline


def test_the_names_are_the_documented_ones():
    assert list(BASELINES) == [
        "mean", "biases", "popular", "random", "svd", "svdpp", "knn", "ease",
        "als", "bpr", "lightgcn", "myfm",
    ]  # fmt: skip
    assert all(kind.name == name for name, kind in BASELINES.items())


@pytest.mark.parametrize("kind", BASELINES.values(), ids=list(BASELINES))
def test_everything_that_can_be_set_is_explained_and_bounded(kind):
    assert kind.label
    assert kind.description.endswith(".")
    for name, field in kind.hyperparameters.model_fields.items():
        assert field.description, name
        assert field.metadata or name == "based_on", name


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("svd", {"factors": 0}, "factors = 0"),
        ("svd", {"factors": "20"}, "factors = '20'"),
        ("svd", {"factors": 2.5}, "factors = 2.5"),
        ("svd", {"dropout": 0.1}, "dropout = 0.1"),
        ("svdpp", {"learning_rate": 0.0}, "learning_rate = 0.0"),
        ("svdpp", {"regularization": float("nan")}, "regularization = nan"),
        ("knn", {"based_on": "genres"}, "based_on = 'genres'"),
        ("knn", {"neighbours": 10**9}, "neighbours = 1000000000"),
        ("biases", {"user_regularization": 0.0}, "user_regularization = 0.0"),
        ("ease", {"regularization": -1.0}, "regularization = -1.0"),
        ("ease", {"regularization": float("inf")}, "regularization = inf"),
        ("als", {"confidence": 0.0}, "confidence = 0.0"),
        ("bpr", {"learning_rate": 2.0}, "learning_rate = 2.0"),
        ("lightgcn", {"num_layers": 0}, "num_layers = 0"),
        ("myfm", {"samples": 0}, "samples = 0"),
        ("mean", {"anything": 1}, "anything = 1"),
    ],
)
def test_a_bad_hyperparameter_is_named(name, values, said):
    with pytest.raises(HyperparameterError) as error:
        make_baseline(name, values)
    assert said in error.value.message
    assert error.value.hint


def test_unknown_names_are_told_apart_from_unknown_artifacts():
    with pytest.raises(NotFoundError, match="svdpp"):
        make_baseline("svd++")
    with pytest.raises(ArtifactError, match="unknown kind"):
        load_recommender("pickle", {})


@pytest.mark.parametrize("name", ["graphsage", *BASELINES])
def test_missing_arrays_are_refused_by_every_kind(name):
    with pytest.raises(ArtifactError, match="missing"):
        load_recommender(name, {})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("similarity", np.zeros((30, 29), np.float32)),
        ("similarity", np.zeros((31, 31), np.float32)),
        ("user_bias", np.zeros(41, np.float32)),
        ("counts", np.zeros(2, np.int64)),
        ("start", np.zeros(3, np.int64)),
    ],
)
def test_neighbour_arrays_that_do_not_fit_are_refused(planted, name, wrong):
    arrays = make_baseline("knn").fit(planted, planted.ratings, seed=0).arrays()
    with pytest.raises(ArtifactError):
        NeighbourModel.from_arrays(arrays | {name: wrong})


def test_rating_lists_keep_the_order_and_the_newest_of_a_pair():
    lists = RatingLists.build(
        np.array([2, 0, 2, 2, 0]),
        np.array([7, 5, 1, 7, 3]),
        np.array([1, 2, 3, 4, 5], np.float32),
        n_rows=4,
    )
    assert [lists.index[lists.of(row)].tolist() for row in range(4)] == [[5, 3], [], [1, 7], []]
    assert [lists.rating[lists.of(row)].tolist() for row in range(4)] == [[2, 5], [], [3, 4], []]
    longer = lists.extended(np.array([1, 0]), np.array([9, 5]), np.array([1, 1], np.float32))
    assert longer.index[longer.of(0)].tolist() == [3, 5]
    assert longer.index[longer.of(1)].tolist() == [9]
    assert len(longer) == 4
