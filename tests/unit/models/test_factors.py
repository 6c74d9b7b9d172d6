"""The serving form: raw scores, links, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.data.dataset import RatingScale
from movierec.errors import ArtifactError, EvaluationError
from movierec.models import factors
from movierec.models.factors import FactorModel

STARS = RatingScale(1.0, 5.0, 1.0)
HALVES = RatingScale(0.5, 5.0, 0.5)


def made(**changes) -> FactorModel:
    """Two users, three movies; raw = 3 + user bias + movie bias + dot product."""
    parts = {
        "rating_user": np.array([[1.0, 0.0], [0.5, -1.0]]),
        "rating_movie": np.array([[1.0, 1.0], [0.0, 2.0], [-4.0, 0.0]]),
        "rating_user_bias": np.array([0.25, -0.25]),
        "rating_movie_bias": np.array([0.0, 0.5, 0.0]),
        "offset": 3.0,
    }
    return FactorModel(2, 3, STARS, **(parts | changes))


USERS, MOVIES = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 2])
RAW = np.array([4.25, 3.75, -0.75, 2.25, 1.25, 0.75], np.float32)


def test_identity_prediction_is_the_clipped_raw_score():
    assert made().link == "identity"
    np.testing.assert_allclose(made().predict(USERS, MOVIES), np.clip(RAW, 1, 5))


def test_without_a_ranking_side_movies_are_ranked_by_the_unclipped_raw_score():
    np.testing.assert_allclose(made().score(np.array([1, 0])), RAW.reshape(2, 3)[[1, 0]])


def test_the_ranking_side_ranks_and_leaves_predictions_alone():
    model = made(
        ranking_user=np.array([[2.0], [-1.0]]),
        ranking_movie=np.array([[1.0], [2.0], [3.0]]),
        ranking_movie_bias=np.array([0.0, 0.0, 10.0]),
    )
    np.testing.assert_allclose(model.score(np.array([0, 1])), [[2, 4, 16], [-1, -2, 7]])
    np.testing.assert_array_equal(model.predict(USERS, MOVIES), made().predict(USERS, MOVIES))
    assert model.movie_vectors.shape == (3, 1)


def test_without_a_rating_side_predictions_are_not_made():
    model = FactorModel(
        2, 3, STARS, ranking_user=np.zeros((2, 0)), ranking_movie=np.zeros((3, 0)),
        ranking_movie_bias=np.array([3.0, 1.0, 2.0]),
    )  # fmt: skip
    assert np.isnan(model.predict(USERS, MOVIES)).all()
    np.testing.assert_array_equal(model.score(np.array([1])), [[3, 1, 2]])


def ordinal(slope: float = 1.0) -> FactorModel:
    return made(cut_points=np.array([0.0, 1.0, 2.0, 3.0]), slope=slope)


def test_ordinal_prediction_is_low_plus_the_sum_of_the_probabilities_of_exceeding_each_level():
    logits = 2.0 * RAW[:, None].astype(np.float64) - [0, 1, 2, 3]
    expected = 1 + (1 / (1 + np.exp(-logits))).sum(axis=1)
    np.testing.assert_allclose(ordinal(2.0).predict(USERS, MOVIES), expected, rtol=1e-6)


def test_ordinal_prediction_in_half_stars_counts_half_steps():
    model = FactorModel(
        1, 1, HALVES, rating_user=np.zeros((1, 0)), rating_movie=np.zeros((1, 0)),
        cut_points=np.zeros(9),
    )  # fmt: skip
    at = np.zeros(1, np.int64)
    np.testing.assert_allclose(model.predict(at, at), 0.5 + 0.5 * 9 / 2)


@given(
    offset=st.floats(-30, 30),
    slope=st.floats(0, 5),
    gaps=st.lists(st.floats(0, 9), min_size=4, max_size=4),
)
def test_the_distribution_sums_to_one_and_its_mean_is_the_prediction(offset, slope, gaps):
    model = made(offset=offset, slope=slope, cut_points=np.cumsum(gaps) - 10)
    probabilities = model.rating_distribution(USERS, MOVIES)
    assert probabilities.shape == (6, 5)
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        probabilities @ STARS.levels, model.predict(USERS, MOVIES), rtol=1e-5
    )


def test_an_identity_link_has_no_distribution():
    with pytest.raises(EvaluationError, match="not a distribution"):
        made().rating_distribution(USERS, MOVIES)


def test_predicting_in_blocks_changes_nothing(monkeypatch):
    whole = ordinal().predict(USERS, MOVIES)
    monkeypatch.setattr(factors, "PREDICT_BLOCK", 4)
    np.testing.assert_array_equal(ordinal().predict(USERS, MOVIES), whole)


def test_a_round_trip_keeps_every_bit():
    model = made(cut_points=np.array([0.0, 0.1, 0.2, 0.3]), slope=1 / 3, offset=0.1)
    back = FactorModel.from_arrays(model.arrays())
    assert (back.offset, back.slope, back.scale) == (model.offset, model.slope, model.scale)
    for name, array in model.arrays().items():
        np.testing.assert_array_equal(back.arrays()[name], array)


def test_the_arrays_are_read_only_and_the_callers_are_not():
    vectors = np.ones((2, 2), np.float32)
    model = made(rating_user=vectors)
    with pytest.raises(ValueError, match="read-only"):
        model.rating_user[0, 0] = 5
    vectors[0, 0] = 1


@pytest.mark.parametrize(
    "changes",
    [
        {"rating_user": np.zeros((3, 2))},
        {"rating_user": np.zeros((2, 3))},
        {"rating_user": np.zeros(2)},
        {"rating_movie": np.zeros((0, 0))},
        {"rating_user_bias": np.zeros(3)},
        {"rating_movie_bias": np.zeros((3, 1))},
        {"ranking_movie_bias": np.zeros(2)},
        {"ranking_user": np.zeros((2, 4))},
        {"cut_points": np.zeros(3)},
        {"cut_points": np.array([0.0, 2.0, 1.0, 3.0])},
    ],
    ids=lambda changes: "-".join(f"{name}{np.shape(array)}" for name, array in changes.items()),
)
def test_arrays_that_do_not_fit_are_refused(changes):
    with pytest.raises(ArtifactError):
        made(**changes)


@pytest.mark.parametrize("name", list(made().arrays()))
def test_a_missing_array_is_named(name):
    arrays = made().arrays()
    del arrays[name]
    with pytest.raises(ArtifactError, match=name):
        FactorModel.from_arrays(arrays)


def test_blocks_cover_everything_once():
    parts = list(factors._blocks(3 * factors.PREDICT_BLOCK + 1))
    assert parts[0].start == 0
    assert all(one.stop == two.start for one, two in pairwise(parts))
    assert parts[-1].stop >= 3 * factors.PREDICT_BLOCK + 1
