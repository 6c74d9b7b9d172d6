"""What every recommender must do. To hold another model to it, add a `Case` to `CASES`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from movierec.data.dataset import Dataset, Interactions, fingerprint_of
from movierec.inference import LoadedVersion
from movierec.models.factory import BASELINES, load_recommender, make_baseline
from movierec.models.protocol import Estimator, Recommender
from tests.support.factories import assemble, make_dataset


@dataclass(frozen=True)
class Case:
    name: str
    kind: str  # for `load_recommender`
    estimator: Callable[[], Estimator]
    predicts_ratings: bool
    solves_checkerboard: bool | None = None  # None: not asked


SMALL = {
    "svd": {"factors": 8},
    "svdpp": {"factors": 4},
    "als": {"factors": 8, "regularization": 1.0},
    "bpr": {"factors": 8, "epochs": 300, "learning_rate": 0.05, "regularization": 0.01},
    "lightgcn": {"factors": 8, "epochs": 5, "batch_size": 256},
    "myfm": {"factors": 4, "samples": 30},
}
SOLVES = {
    "ease": True, "knn": True, "als": True, "bpr": True, "lightgcn": True, "myfm": True,
    "mean": False, "popular": False, "random": False,
}  # fmt: skip

CASES = [
    Case(
        name,
        name,
        partial(make_baseline, name, SMALL.get(name)),
        kind.predicts_ratings,
        SOLVES.get(name),
    )
    for name, kind in BASELINES.items()
] + [
    Case(
        "knn by users",
        "knn",
        partial(make_baseline, "knn", {"based_on": "users", "neighbours": 5}),
        predicts_ratings=True,
    )
]

NOBODY, UNRATED = 3, 7  # a user and a movie without training ratings


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request) -> Case:
    return request.param


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture
def train(dataset: Dataset) -> Interactions:
    ratings = dataset.ratings
    return ratings.take(np.flatnonzero((ratings.user != NOBODY) & (ratings.movie != UNRATED)))


@pytest.fixture
def model(case: Case, dataset: Dataset, train: Interactions) -> Recommender:
    return case.estimator().fit(dataset, train, seed=1)


def all_pairs(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    user, movie = np.indices((dataset.n_users, dataset.n_movies))
    return user.ravel(), movie.ravel()


def all_scores(model: Recommender) -> np.ndarray:
    return model.score(np.arange(model.n_users))


def test_is_a_recommender_of_the_data_sets_size(model, dataset):
    assert isinstance(model, Recommender)
    assert (model.n_users, model.n_movies) == (dataset.n_users, dataset.n_movies)


def test_shapes_and_types(model, dataset):
    users = np.array([5, 0, 5])
    scores, stars = model.score(users), model.predict(users, np.array([1, 2, 1]))
    assert (scores.shape, scores.dtype) == ((3, dataset.n_movies), np.float32)
    assert (stars.shape, stars.dtype) == ((3,), np.float32)
    assert (scores[0] == scores[2]).all()
    none = np.zeros(0, np.int64)
    assert model.score(none).shape == (0, dataset.n_movies)
    assert model.predict(none, none).shape == (0,)


def test_predictions_lie_on_the_scale_or_are_not_made(case, model, dataset):
    stars = model.predict(*all_pairs(dataset))
    if case.predicts_ratings:
        assert ((stars >= dataset.scale.low) & (stars <= dataset.scale.high)).all()
    else:
        assert np.isnan(stars).all()


def test_scores_are_finite_also_without_a_training_rating(model):
    scores = all_scores(model)
    assert np.isfinite(scores[NOBODY]).all()
    assert np.isfinite(scores[:, UNRATED]).all()
    assert np.isfinite(scores).all()


def test_a_batch_answers_like_single_calls(model, dataset):
    scores, users, movies = all_scores(model), *all_pairs(dataset)
    for user in range(0, dataset.n_users, 7):
        one = model.score(np.array([user]))[0]
        np.testing.assert_allclose(one, scores[user], rtol=1e-5, atol=1e-6)
    stars = model.predict(users, movies)
    for at in range(0, len(users), 97):
        one = model.predict(users[at : at + 1], movies[at : at + 1])
        np.testing.assert_allclose(one[0], stars[at], rtol=1e-5)


def test_the_order_of_the_pairs_does_not_matter(model, dataset):
    users, movies = all_pairs(dataset)
    order = np.random.default_rng(0).permutation(len(users))
    shuffled = model.predict(users[order], movies[order])
    np.testing.assert_allclose(shuffled, model.predict(users, movies)[order], rtol=1e-5)


def test_the_same_seed_gives_the_same_model(case, model, dataset, train):
    again = case.estimator().fit(dataset, train, seed=1)
    assert (all_scores(again) == all_scores(model)).all()
    np.testing.assert_array_equal(
        again.predict(*all_pairs(dataset)), model.predict(*all_pairs(dataset))
    )


def test_arrays_bring_the_same_model_back(case, model, dataset, tmp_path: Path):
    for name, array in model.arrays().items():
        assert array.dtype in (np.float32, np.int64), name
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=False)
    stored = {file.stem: np.load(file, mmap_mode="r") for file in tmp_path.glob("*.npy")}
    back = load_recommender(case.kind, stored)
    assert (all_scores(back) == all_scores(model)).all()
    np.testing.assert_array_equal(
        back.predict(*all_pairs(dataset)), model.predict(*all_pairs(dataset))
    )


def test_observing_answers_for_the_same_users_and_movies(model, dataset):
    before = all_scores(model)
    told = Interactions(
        np.full(4, NOBODY), np.array([0, 1, 2, 4]), np.array([5, 5, 1, 1], np.float32)
    )
    observed = model.with_interactions(told)
    assert isinstance(observed, Recommender)
    after = all_scores(observed)
    others = np.arange(dataset.n_users) != NOBODY
    np.testing.assert_allclose(after[others], before[others], rtol=1e-5, atol=1e-6)
    assert (all_scores(model) == before).all()


def test_fitting_changes_neither_the_data_set_nor_the_ratings(case, dataset, train):
    users, movies = dataset.user_frame.copy(), dataset.movie_frame.copy()
    kept = tuple(array.copy() for array in (train.user, train.movie, train.rating))
    case.estimator().fit(dataset, train, seed=1).score(np.arange(3))
    assert fingerprint_of(dataset.users, dataset.movies, dataset.ratings) == dataset.fingerprint
    pd.testing.assert_frame_equal(dataset.user_frame, users)
    pd.testing.assert_frame_equal(dataset.movie_frame, movies)
    for now, then in zip((train.user, train.movie, train.rating), kept, strict=True):
        np.testing.assert_array_equal(now, then)


def test_nothing_is_learnt_from_ratings_outside_the_train_part(case, model, dataset, train):
    blind = dataclasses.replace(dataset, ratings=train)
    again = case.estimator().fit(blind, train, seed=1)
    assert (all_scores(again) == all_scores(model)).all()
    np.testing.assert_array_equal(
        again.predict(*all_pairs(dataset)), model.predict(*all_pairs(dataset))
    )


def test_fits_data_without_timestamps_and_features(case):
    bare = make_dataset(timestamps=False, features=False)
    model = case.estimator().fit(bare, bare.ratings, seed=1)
    assert np.isfinite(all_scores(model)).all()


def test_a_list_longer_than_the_catalogue_ends_with_it(model, dataset, train):
    version = LoadedVersion("v0", model, dataset, train)
    lines = version.recommend("u0", k=10_000)
    assert len(lines) == dataset.n_movies - len(np.unique(train.movie[train.user == 0]))
    assert len(version.recommend("u0", k=10_000, exclude_seen=False)) == dataset.n_movies


def checkerboard(size: int = 50) -> tuple[Dataset, Interactions]:
    """Users love the movies of their own parity; half of the others they saw and hated.

    Row and column patterns are circulant, so every movie is equally popular. The diagonal,
    loved by each user, is withheld from the train part. (After the test of benfred/implicit.)
    """
    user, movie = (axis.ravel() for axis in np.indices((size, size)))
    apart = (movie - user) % size
    rated = (apart % 2 == 0) | (apart % 4 == 1)
    user, movie, apart = user[rated], movie[rated], apart[rated]
    rating = np.where(apart % 2 == 0, 5.0, 1.0)
    board = assemble(user, movie, rating, None, size, size, name="checkerboard")
    return board, board.ratings.take(np.flatnonzero(apart != 0))


def share_solved(estimator: Estimator) -> float:
    """Share of users whose withheld movie is ranked above everything else unseen."""
    board, train = checkerboard()
    scores = all_scores(estimator.fit(board, train, seed=1)).copy()
    scores[train.user, train.movie] = -np.inf
    own = scores.diagonal().copy()
    np.fill_diagonal(scores, -np.inf)
    return float((own > scores.max(axis=1)).mean())


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.solves_checkerboard is not None],
    ids=lambda case: case.name,
)
def test_the_checkerboard_tells_who_learns_from_taste(case):
    share = share_solved(case.estimator())
    if case.solves_checkerboard:
        assert share == 1
    else:
        assert share < 0.3


def test_the_checkerboard_cannot_be_solved_by_popularity():
    board, train = checkerboard()
    counts = np.bincount(train.movie, minlength=board.n_movies)
    assert (counts == counts[0]).all()
    withheld = board.n_ratings - len(train)
    assert withheld == board.n_users


def test_cases_cover_every_baseline():
    assert {case.kind for case in CASES} >= set(BASELINES)
