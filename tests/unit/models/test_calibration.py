"""Recalibrating a rating distribution: what is fitted, what stays, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from movierec.data.dataset import Interactions, RatingScale
from movierec.errors import ArtifactError
from movierec.models import calibration
from movierec.models.calibration import calibrated, fit_calibration, level_of
from movierec.models.factors import FactorModel

STARS = RatingScale(1.0, 5.0, 1.0)
HALVES = RatingScale(0.5, 5.0, 0.5)
TRUE_CUTS = {STARS: [-2.5, -1.0, 0.7, 2.6], HALVES: np.linspace(-3, 3, 9)}


def model_of(raw: np.ndarray, cuts, slope: float = 1.0, scale: RatingScale = STARS) -> FactorModel:
    """User u's raw score of the only movie is raw[u]."""
    n = len(raw)
    return FactorModel(
        n, 1, scale, rating_user=np.zeros((n, 0)), rating_movie=np.zeros((1, 0)),
        rating_user_bias=raw, cut_points=np.asarray(cuts), slope=slope,
        ranking_user=np.ones((n, 1)), ranking_movie=np.ones((1, 1)),
    )  # fmt: skip


def drawn(truth: FactorModel, seed: int = 0) -> Interactions:
    """One rating per user, drawn from the model's own distribution."""
    rng = np.random.default_rng(seed)
    user = np.arange(truth.n_users)
    movie = np.zeros_like(user)
    edges = truth.rating_distribution(user, movie).astype(np.float64).cumsum(axis=1)
    level = (rng.random((len(user), 1)) > edges[:, :-1]).sum(axis=1)
    return Interactions(user, movie, truth.scale.levels[level])


def truth_of(n: int = 4000, scale: RatingScale = STARS, seed: int = 1) -> FactorModel:
    raw = np.random.default_rng(seed).normal(0.5, 1.5, n)
    return model_of(raw, TRUE_CUTS[scale], scale=scale)


def nll(model: FactorModel, ratings: Interactions) -> float:
    """The definition, from the probabilities a caller gets."""
    probabilities = model.rating_distribution(ratings.user, ratings.movie).astype(np.float64)
    given = probabilities[np.arange(len(ratings)), level_of(model.scale, ratings.rating)]
    return float(-np.log(given).mean())


@pytest.mark.parametrize("scale", [STARS, HALVES], ids=["stars", "halves"])
@pytest.mark.parametrize("sharpness", [0.4, 3.0])
def test_scaled_logits_are_repaired_by_a_temperature(scale, sharpness):
    truth = truth_of(scale=scale)
    ratings = drawn(truth)
    spoiled = replace(truth, slope=sharpness, cut_points=truth.cut_points * sharpness)
    found = fit_calibration(spoiled, ratings)
    assert found.method == "temperature"
    assert found.temperature == pytest.approx(sharpness, rel=0.06)
    np.testing.assert_allclose(found.shifts, 0, atol=1e-9)
    repaired = calibrated(spoiled, found)
    assert nll(repaired, ratings) <= nll(truth, ratings) + 1e-6 < nll(spoiled, ratings) - 0.02
    ours, true = (m.rating_distribution(ratings.user, ratings.movie) for m in (repaired, truth))
    np.testing.assert_allclose(ours, true, atol=0.02)


@pytest.mark.parametrize("scale", [STARS, HALVES], ids=["stars", "halves"])
def test_moved_cut_points_are_put_back(scale):
    truth = truth_of(8000, scale)
    ratings = drawn(truth)
    wrong = truth.cut_points + np.linspace(-0.8, 0.9, len(truth.cut_points), dtype=np.float32)
    found = fit_calibration(replace(truth, cut_points=wrong), ratings)
    assert found.method == "cut points"
    numbers = found.numbers(replace(truth, cut_points=wrong))
    np.testing.assert_allclose(numbers, np.append(1.0, truth.cut_points), atol=0.13)


def test_a_right_distribution_is_left_as_it_is():
    truth = truth_of(2000)
    found = fit_calibration(truth, drawn(truth, seed=3))
    assert (found.method, found.reason) == ("none", "no parameter gained what it costs")
    assert found.nll_after == found.nll_before
    assert not len(calibrated(truth, found).calibration)


def test_what_it_says_it_gained_is_what_a_caller_sees():
    truth = truth_of()
    ratings = drawn(truth)
    spoiled = replace(truth, cut_points=truth.cut_points * 1.7 + 0.4)
    found = fit_calibration(spoiled, ratings)
    assert found.n_ratings == 4000
    assert found.nll_before == pytest.approx(nll(spoiled, ratings), abs=1e-6)
    assert found.nll_after == pytest.approx(nll(calibrated(spoiled, found), ratings), abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    slope=st.floats(0, 8),
    first=st.floats(-6, 6),
    gaps=st.lists(st.one_of(st.just(0.0), st.floats(0, 4)), min_size=3, max_size=3),
    n=st.integers(50, 120),
    seed=st.integers(0, 9),
)
def test_the_likelihood_never_falls(slope, first, gaps, n, seed):
    cuts = first + np.cumsum([0.0, *gaps])
    rng = np.random.default_rng(seed)
    model = model_of(rng.normal(size=n), cuts, slope)
    place = np.arange(n)
    ratings = Interactions(place, place * 0, rng.integers(1, 6, n).astype(np.float32))
    found = fit_calibration(model, ratings)
    assert found.nll_after <= found.nll_before
    probabilities = calibrated(model, found).rating_distribution(ratings.user, ratings.movie)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_predictions_and_rankings_stay_as_they_are_to_the_bit():
    truth = truth_of()
    spoiled = replace(truth, cut_points=truth.cut_points * 2 + 0.3)
    repaired = calibrated(spoiled, fit_calibration(spoiled, drawn(truth)))
    user, movie = np.arange(4000), np.zeros(4000, np.int64)
    distributions = [m.rating_distribution(user, movie) for m in (spoiled, repaired)]
    assert np.abs(distributions[0] - distributions[1]).max() > 0.05
    assert repaired.predict(user, movie).tobytes() == spoiled.predict(user, movie).tobytes()
    assert repaired.score(user).tobytes() == spoiled.score(user).tobytes()


def test_the_mean_of_a_calibrated_distribution_may_differ_from_the_prediction():
    truth = truth_of()
    moved = replace(truth, cut_points=truth.cut_points + 1)
    repaired = calibrated(moved, fit_calibration(moved, drawn(truth)))
    at = np.arange(100), np.zeros(100, np.int64)
    mean = repaired.rating_distribution(*at) @ STARS.levels
    assert np.abs(mean - repaired.predict(*at)).max() > 0.1


@pytest.mark.parametrize("n", [0, 1, 49])
def test_too_few_ratings_fit_nothing_and_say_so(n):
    truth = truth_of()
    found = fit_calibration(replace(truth, slope=5.0), drawn(truth).take(np.arange(n)))
    assert found.method == "none"
    assert found.reason == f"{n} ratings are too few; it takes 50"
    assert np.isnan([found.nll_before, found.nll_after]).all()


def test_without_a_rare_level_only_a_temperature_is_fitted():
    truth = truth_of()
    ratings = drawn(truth)
    few = np.flatnonzero(ratings.rating == 1)[9:]
    kept = ratings.take(np.setdiff1d(np.arange(4000), few))
    found = fit_calibration(replace(truth, cut_points=truth.cut_points * 2 + 1), kept)
    assert found.method == "temperature"


def test_a_model_without_a_distribution_is_left_alone():
    plain = replace(truth_of(), cut_points=np.zeros(0))
    found = fit_calibration(plain, drawn(truth_of()))
    assert (found.method, found.reason) == ("none", "the model has no distribution")
    assert not calibrated(plain, found).has_distribution


def test_an_earlier_calibration_is_not_built_upon():
    truth = truth_of()
    ratings = drawn(truth)
    spoiled = replace(truth, slope=2.0)
    first = fit_calibration(spoiled, ratings)
    again = fit_calibration(calibrated(spoiled, first), ratings)
    assert again.numbers(spoiled).tobytes() == first.numbers(spoiled).tobytes()


def test_the_gradient_is_the_slope_of_the_objective():
    model = truth_of(300)
    ratings = drawn(model)
    data = calibration._Ratings.of(model, ratings)
    at = np.array([0.3, -2.0, 0.2, -0.5, 0.7])
    gradient = data._objective(at, 1.3)[1]
    numeric = approx_fprime(at, lambda theta: data._objective(theta, 1.3)[0], 1e-7)
    np.testing.assert_allclose(gradient, numeric, atol=1e-5)


def test_for_other_cut_points_the_change_is_relative_and_they_never_cross():
    truth = truth_of(8000)
    wrong = replace(truth, cut_points=truth.cut_points + np.float32([0, 0.9, 0, -0.9]))
    found = fit_calibration(wrong, drawn(truth))
    moved = replace(wrong, cut_points=wrong.cut_points + 5)
    shift = found.numbers(moved) - found.numbers(wrong)
    np.testing.assert_allclose(shift, [0, *[5 / found.temperature] * 4], atol=1e-5)
    close = replace(truth, cut_points=np.float32([0, 0, 0, 0]))
    assert (np.diff(found.numbers(close)[1:]) >= 0).all()
    calibrated(close, found)


def test_levels_are_counted_from_the_lowest():
    np.testing.assert_array_equal(level_of(STARS, np.float32([1, 5, 3])), [0, 4, 2])
    np.testing.assert_array_equal(level_of(HALVES, np.float32([0.5, 5, 3.5])), [0, 9, 6])


def test_a_round_trip_keeps_the_calibration_and_its_absence():
    truth = truth_of(60)
    both = replace(truth, calibration=np.array([1 / 3, -2, -1, 0.1, 2]))
    back = FactorModel.from_arrays(both.arrays())
    assert back.calibration.tobytes() == both.calibration.tobytes()
    assert "calibration" not in truth.arrays()
    assert not len(FactorModel.from_arrays(truth.arrays()).calibration)


@pytest.mark.parametrize(
    "numbers",
    [
        [1.0], [1, 0, 1, 2], [1, 0, 1, 2, 3, 4], [1, 0, 2, 1, 3], [1, 0, 1, 2, np.nan],
        [[1, 0, 1, 2, 3]],
    ],
    ids=str,
)  # fmt: skip
def test_a_calibration_that_does_not_fit_is_refused(numbers):
    with pytest.raises(ArtifactError):
        replace(truth_of(60), calibration=np.array(numbers))


def test_a_calibration_without_cut_points_is_refused():
    with pytest.raises(ArtifactError, match="without cut points"):
        replace(truth_of(60), cut_points=np.zeros(0), calibration=np.array([1.0]))
