"""The correction of predicted ratings by a user's own residuals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from movierec.data.dataset import Interactions, RatingScale
from movierec.data.splits import SplitSpec, make_split
from movierec.errors import ArtifactError
from movierec.evaluation import evaluate, ratings
from movierec.evaluation.calibration import measure_calibration
from movierec.evaluation.ratings import predict_ratings
from movierec.inference.content import Likeness
from movierec.models import residuals
from movierec.models.factors import FactorModel
from movierec.models.factory import GRAPHSAGE, load_recommender
from movierec.models.protocol import PredictsAtTime, PredictsDistribution, Recommender
from movierec.models.residuals import (
    KERNEL,
    ResidualKernel,
    ResidualModel,
    fit_residuals,
    most_ratings,
)
from movierec.workflows import validation as validation_part
from movierec.workflows.validation import calibrate_on, choose_kernel
from tests.support.factories import assemble

SCALE = RatingScale(1.0, 5.0, 1.0)
CUTS = np.array([-2.5, -1.0, 0.7, 2.6], np.float32)
N_USERS, N_MOVIES = 30, 40


def factors_of(*, ordinal: bool = True, seed: int = 0) -> FactorModel:
    rng = np.random.default_rng(seed)
    vectors = {
        f"{side}_{part}": rng.normal(size=(n, 4)).astype(np.float32) / 2
        for side in ("rating", "ranking")
        for part, n in (("user", N_USERS), ("movie", N_MOVIES))
    }
    link = {"cut_points": CUTS} if ordinal else {"offset": 3.5}
    return FactorModel(N_USERS, N_MOVIES, SCALE, **link, **vectors)


def sittings(factors: FactorModel, *, effect: float = 1.2, seed: int = 1) -> Interactions:
    """Each user rates in four sittings, days apart; in each all ratings are off by one amount."""
    rng = np.random.default_rng(seed)
    pairs = [(u, m) for u in range(1, N_USERS) for m in rng.permutation(N_MOVIES)[:24]]
    user, movie = np.array(pairs).T
    sitting = np.tile(np.repeat(np.arange(4), 6), N_USERS - 1)
    off = rng.normal(scale=effect, size=(N_USERS, 4))[user, sitting]
    time = 900_000_000 + sitting * 400_000 + rng.integers(0, 20, len(user))
    stars = factors.predict(user, movie) + off + rng.normal(scale=0.2, size=len(user))
    order = rng.permutation(len(user))
    rating = np.clip(np.round(stars), 1, 5).astype(np.float32)
    return Interactions(user[order], movie[order], rating[order], time[order])


def halves(ratings: Interactions) -> tuple[Interactions, Interactions]:
    rows = np.arange(len(ratings))
    return ratings.take(rows[rows % 4 > 0]), ratings.take(rows[rows % 4 == 0])


def rmse(predicted: np.ndarray, ratings: Interactions) -> float:
    return float(np.sqrt(np.mean((predicted - ratings.rating) ** 2)))


def by_the_book(factors, known, user: int, movie: int, time: int | None) -> float:
    """Equation 2.25 of Rasmussen and Williams, entry by entry."""
    own = np.flatnonzero(known.user == user)
    centred = factors.rating_movie - factors.rating_movie.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)

    def covariance(i, t, j, s):
        value = KERNEL.taste * np.exp((unit[i] @ unit[j] - 1) / KERNEL.length)
        if time is None:
            return value
        value += KERNEL.short * np.exp(-abs(int(t) - int(s)) / KERNEL.short_seconds)
        return value + KERNEL.long * np.exp(-abs(int(t) - int(s)) / KERNEL.long_seconds)

    at = [(known.movie[j], known.timestamp[j]) for j in own]
    raw = factors.raw(known.user[own], known.movie[own]).astype(float)
    step = 1e-3
    up, down = (factors.unclipped((raw + d).astype(np.float32)) for d in (step, -step))
    slope = np.diag((up - down).astype(float) / (2 * step))
    error = known.rating[own] - factors.predict(known.user[own], known.movie[own])
    k_all = np.array([[covariance(*a, *b) for b in at] for a in at])
    k_new = np.array([covariance(movie, time, *a) for a in at])
    inner = slope @ k_all @ slope + np.eye(len(own))
    return float(k_new @ slope @ np.linalg.inv(inner) @ error)


@pytest.mark.parametrize("ordinal", [True, False], ids=["ordinal", "identity"])
@pytest.mark.parametrize("timed", [True, False], ids=["timed", "without time"])
def test_the_shift_is_the_posterior_mean_of_the_textbook(ordinal, timed):
    factors = factors_of(ordinal=ordinal)
    known = sittings(factors)
    model = fit_residuals(factors, known)
    found = []
    for user, movie, time in ((3, 5, 900_000_010), (7, 1, 900_400_100), (29, 39, 901_000_000)):
        at = time if timed else None
        pair = (np.array([user]), np.array([movie]))
        given = model.raw(*pair, np.array([time]) if timed else None) - factors.raw(*pair)
        expected = by_the_book(factors, known, user, movie, at)
        assert given[0] == pytest.approx(expected, rel=2e-2, abs=2e-3)
        found.append(abs(expected))
    assert max(found) > 0.1  # not a comparison of zeros


def test_it_is_every_protocol_and_leaves_ranking_alone():
    factors = factors_of()
    model = fit_residuals(factors, sittings(factors))
    assert isinstance(model, Recommender)
    assert isinstance(model, PredictsAtTime)
    assert isinstance(model, PredictsDistribution)
    users = np.arange(N_USERS)
    np.testing.assert_array_equal(model.score(users), factors.score(users))
    assert Likeness.of_model(model, sittings(factors)).basis == "vectors"


def test_nothing_asked_is_nothing_answered():
    factors = factors_of()
    nobody = np.zeros(0, np.int64)
    assert fit_residuals(factors, sittings(factors)).raw(nobody, nobody).shape == (0,)


def test_a_user_without_ratings_keeps_the_prediction():
    factors = factors_of()
    model = fit_residuals(factors, sittings(factors))
    user, movie = np.zeros(N_MOVIES, np.int64), np.arange(N_MOVIES)
    time = np.full(N_MOVIES, 900_000_000)
    np.testing.assert_array_equal(model.predict_at(user, movie, time), factors.predict(user, movie))


def test_sittings_are_found_only_with_their_times():
    factors = factors_of()
    known, new = halves(sittings(factors))
    model = fit_residuals(factors, known)
    before = rmse(factors.predict(new.user, new.movie), new)
    after = rmse(model.predict_at(new.user, new.movie, new.timestamp), new)
    assert after < 0.87 * before
    moved = np.random.default_rng(2).permutation(known.timestamp)
    lost = fit_residuals(factors, replace(known, timestamp=moved))
    assert rmse(lost.predict_at(new.user, new.movie, new.timestamp), new) > 0.97 * before


def test_evaluation_tells_the_time_and_says_what_it_is_worth():
    factors = factors_of()
    ratings = sittings(factors)
    data = assemble(
        ratings.user, ratings.movie, ratings.rating, ratings.timestamp, N_USERS, N_MOVIES
    )
    split = make_split(data, SplitSpec(name="random", seed=3))
    model = fit_residuals(factors, data.ratings.take(split.known))
    found = evaluate(model, data, split)
    test = data.ratings.take(split.test)
    told = model.predict_at(test.user, test.movie, test.timestamp)
    assert found.rmse == pytest.approx(rmse(told, test))
    assert found.without_time["rmse"] == pytest.approx(
        rmse(model.predict(test.user, test.movie), test)
    )
    assert found.rmse < found.without_time["rmse"]
    assert found.protocol["rating_time"].startswith("known")
    plain = evaluate(factors, data, split)
    assert plain.protocol["rating_time"] == "not used"
    assert plain.without_time["rmse"] == plain.rmse


def test_probabilities_move_with_the_time_too():
    factors = factors_of()
    known, new = halves(sittings(factors))
    model = fit_residuals(factors, known)
    probabilities = model.rating_distribution(new.user, new.movie, new.timestamp)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(
        SCALE.clip(probabilities @ SCALE.levels),
        model.predict_at(new.user, new.movie, new.timestamp),
        atol=1e-4,
    )
    timed = measure_calibration(model, SCALE, new).numbers["nll"]
    untimed = measure_calibration(model, SCALE, replace(new, timestamp=None)).numbers["nll"]
    assert timed < untimed


def test_data_without_times_leave_the_taste():
    factors = factors_of()
    ratings = replace(sittings(factors), timestamp=None)
    model = fit_residuals(factors, ratings)
    assert not model.uses_timestamps
    data = assemble(ratings.user, ratings.movie, ratings.rating, None, N_USERS, N_MOVIES)
    predicted = predict_ratings(model, data, ratings)
    np.testing.assert_array_equal(predicted, model.predict(ratings.user, ratings.movie))
    assert rmse(predicted, ratings) < rmse(factors.predict(ratings.user, ratings.movie), ratings)


def test_only_the_newest_ratings_of_a_busy_user_count(monkeypatch):
    monkeypatch.setattr(residuals, "MOST_RATINGS", 10)
    factors = factors_of()
    known = sittings(factors)
    model = fit_residuals(factors, known)
    newest = np.sort(known.timestamp[known.user == 4])[-10:]
    np.testing.assert_array_equal(model.time[model.known.of(4)], newest)
    assert np.diff(model.known.start).max() == 10


def test_where_there_is_no_time_for_everybody_fewer_ratings_of_each_count(monkeypatch):
    factors = factors_of()
    known = sittings(factors)  # 24 of each user
    assert most_ratings(known, N_USERS) == residuals.MOST_RATINGS
    monkeypatch.setattr(residuals, "MOST_CELLS", (N_USERS - 1) * 15**2)
    assert most_ratings(known, N_USERS) == 15  # 2000, 1000, … 31, 15
    model = fit_residuals(factors, known)
    assert np.diff(model.known.start)[1:].tolist() == [15] * (N_USERS - 1)
    newest = np.sort(known.timestamp[known.user == 4])[-15:]
    np.testing.assert_array_equal(model.time[model.known.of(4)], newest)
    chosen = choose_kernel(factors, *halves(known), "taste")
    assert chosen.facts["residuals"]["most_ratings"] == 15


@pytest.mark.parametrize("size", [1, 100])
def test_many_predictions_are_made_user_by_user(monkeypatch, size):
    factors = factors_of()
    known, new = halves(sittings(factors))
    model = fit_residuals(factors, known)
    data = assemble(new.user, new.movie, new.rating, new.timestamp, N_USERS, N_MOVIES)
    whole = predict_ratings(model, data, new)
    asked = []

    def listening(user, movie, time):
        asked.append(user)
        return original(user, movie, time)

    original = model.predict_at
    object.__setattr__(model, "predict_at", listening)
    monkeypatch.setattr(ratings, "PAIRS_AT_ONCE", size)
    np.testing.assert_allclose(predict_ratings(model, data, new), whole, atol=1e-6)
    together = np.concatenate(asked)
    assert (np.diff(together) >= 0).all()
    assert len(together) == len(new)


def test_of_many_validation_ratings_those_of_whole_users_calibrate(monkeypatch):
    factors = factors_of()
    train, validation = halves(sittings(factors))
    every, facts = calibrate_on(factors, KERNEL, train, validation)
    assert facts["calibration"]["validation_ratings"] == len(validation)
    monkeypatch.setattr(validation_part, "MOST_FITTED", 90)
    some, _ = calibrate_on(factors, KERNEL, train, validation)
    kept = validation.take(np.flatnonzero(validation.user % 2 == 0))
    assert some.n_ratings == len(kept) <= 90 < len(validation)
    # the residuals of those users are the same as among all
    expected, _ = validation_part.calibrate(fit_residuals(factors, train, KERNEL), kept)
    assert some.nll_before == expected.nll_before != every.nll_before


def test_arrays_bring_it_back_to_the_bit():
    factors = factors_of()
    known, new = halves(sittings(factors))
    model = fit_residuals(factors, known)
    back = load_recommender(GRAPHSAGE, model.arrays())
    assert isinstance(back, ResidualModel)
    for time in (None, new.timestamp):
        np.testing.assert_array_equal(
            back.raw(new.user, new.movie, time), model.raw(new.user, new.movie, time)
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("residual_movie", np.full(3, 999)),
        ("residual_start", np.zeros(3, np.int64)),
        ("residual_time", np.zeros(3, np.int64)),
        ("residual_timed_weight", np.zeros(3, np.float32)),
        ("residual_kernel", np.array([1, 0, 1, 1, 1, 1], np.float32)),
        ("residual_kernel", np.array([np.nan, 1, 1, 1, 1, 1], np.float32)),
        ("residual_kernel", np.ones(5, np.float32)),
    ],
)
def test_arrays_that_cannot_be_are_refused(name, value):
    factors = factors_of()
    arrays = fit_residuals(factors, sittings(factors)).arrays()
    with pytest.raises(ArtifactError):
        load_recommender(GRAPHSAGE, {**arrays, name: value})


def test_validation_turns_the_times_on_where_they_tell_something():
    factors = factors_of()
    known, held_out = halves(sittings(factors))
    chosen = choose_kernel(factors, known, held_out, "taste+time")
    assert chosen.kernel is not None
    assert chosen.kernel.uses_timestamps
    facts = chosen.facts["residuals"]
    assert facts["val_rmse"] < facts["val_rmse_with_taste"] <= facts["val_rmse_without"]
    alone = choose_kernel(factors, known, held_out, "taste")
    assert alone.kernel is None or not alone.kernel.uses_timestamps


def test_validation_turns_off_what_says_nothing():
    """Ratings drawn from the model itself leave no residual to learn from."""
    factors = factors_of()
    known, held_out = halves(sittings(factors, effect=0.0))
    rng = np.random.default_rng(5)
    noise = lambda part: replace(  # noqa: E731 - the same for both parts
        part, rating=rng.permutation(part.rating), timestamp=rng.permutation(part.timestamp)
    )
    flat = replace(factors, rating_user=np.zeros_like(factors.rating_user))
    chosen = choose_kernel(flat, noise(known), noise(held_out), "taste+time")
    assert chosen.facts["residuals"]["time"] in (0.0, 0.25)
    none = choose_kernel(factors, known, held_out, "none")
    assert none.kernel is None
    assert none.facts == {}


def test_a_kernel_survives_its_numbers():
    kernel = ResidualKernel(0.1, 0.2, 0.3, 4.0, 0.5, 6.0)
    assert ResidualKernel.of({"residual_kernel": kernel.numbers()}) == kernel
