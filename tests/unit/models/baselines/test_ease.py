"""EASE against the regression problem it solves in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from movierec.data.dataset import Interactions
from movierec.errors import ArtifactError, TrainingError
from movierec.models.baselines import ease
from movierec.models.baselines.ease import EASEModel
from movierec.models.factory import make_baseline


def ridge_weights(binary: np.ndarray, regularization: float) -> np.ndarray:
    """Each movie's column predicted from all others by ridge regression, one by one."""
    n_movies = binary.shape[1]
    weights = np.zeros((n_movies, n_movies))
    for movie in range(n_movies):
        others = np.delete(np.arange(n_movies), movie)
        known = binary[:, others]
        gram = known.T @ known + regularization * np.eye(n_movies - 1)
        weights[others, movie] = np.linalg.solve(gram, known.T @ binary[:, movie])
    return weights


def test_the_closed_form_solves_a_ridge_regression_per_movie(planted):
    train = planted.ratings
    model = make_baseline("ease", {"regularization": 20.0}).fit(planted, train, seed=0)
    binary = np.zeros((planted.n_users, planted.n_movies))
    binary[train.user, train.movie] = 1
    expected = ridge_weights(binary, 20.0)
    np.testing.assert_allclose(model.weights, expected, atol=1e-5)
    np.testing.assert_allclose(
        model.score(np.arange(planted.n_users)), binary @ expected, atol=1e-4
    )


def test_ratings_count_by_being_there_not_by_their_height(planted):
    train = planted.ratings
    high = Interactions(train.user, train.movie, np.full(len(train), 5, np.float32))
    one, two = (make_baseline("ease").fit(planted, part, seed=0) for part in (train, high))
    np.testing.assert_array_equal(one.weights, two.weights)


def test_observed_ratings_join_the_users_row(planted):
    everything = planted.ratings
    told = everything.user == 4
    rest, own = (everything.take(np.flatnonzero(part)) for part in (~told, told))
    model = make_baseline("ease").fit(planted, rest, seed=0)
    assert not model.score(np.array([4])).any()
    observed = model.with_interactions(own)
    np.testing.assert_allclose(
        observed.score(np.array([4]))[0], model.weights[own.movie].sum(axis=0), rtol=1e-5
    )
    np.testing.assert_array_equal(
        observed.with_interactions(own).score(np.array([4])), observed.score(np.array([4]))
    )


def test_too_many_movies_are_refused_before_any_work(monkeypatch, planted):
    monkeypatch.setattr(ease, "EASE_MAX_MOVIES", 29)
    with pytest.raises(TrainingError, match=r"30 movies are more than the 29"):
        make_baseline("ease").fit(planted, planted.ratings, seed=0)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("weights", np.zeros((30, 29), np.float32)),
        ("index", np.array([99], np.int64)),
        ("index", np.array([-1], np.int64)),
        ("start", np.array([0, 5], np.int64)),
        ("start", np.zeros(0, np.int64)),
        ("start", np.array([0, 3, 1, 4], np.int64)),
        ("rating", np.zeros(1, np.float32)),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(planted, name, wrong):
    arrays = make_baseline("ease").fit(planted, planted.ratings, seed=0).arrays()
    with pytest.raises(ArtifactError):
        EASEModel.from_arrays(arrays | {name: wrong})
