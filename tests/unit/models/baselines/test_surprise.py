"""What Surprise fits, served by numpy: the same numbers as Surprise's own estimates."""

from __future__ import annotations

import heapq

import numpy as np
import pandas as pd
import pytest

from movierec.data.dataset import Dataset, Interactions
from movierec.errors import EmptyDataError, TrainingError
from movierec.models.baselines import knn, simple, surprise
from movierec.models.baselines.knn import _nearest
from movierec.models.factory import make_baseline
from tests.support.factories import make_dataset

SEED = 5


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_dataset(60, 45, 0.4, seed=3)


@pytest.fixture(scope="module")
def train(dataset: Dataset) -> Interactions:
    """Without two users and two movies, so that Surprise's fallbacks are compared too."""
    ratings = dataset.ratings
    kept = ~np.isin(ratings.user, [0, 31]) & ~np.isin(ratings.movie, [2, 44])
    return ratings.take(np.flatnonzero(kept))


def surprise_algorithms() -> dict:
    from surprise import SVD, BaselineOnly, KNNBaseline, SVDpp

    similarity = {"name": "pearson_baseline", "shrinkage": 20}
    return {
        "biases": (BaselineOnly(bsl_options={"reg_u": 4, "n_epochs": 7}, verbose=False), {
            "user_regularization": 4, "epochs": 7,
        }),
        "svd": (SVD(n_factors=6, n_epochs=15, random_state=SEED), {"factors": 6, "epochs": 15}),
        "svdpp": (SVDpp(n_factors=5, n_epochs=10, random_state=SEED), {"factors": 5, "epochs": 10}),
        "knn": (
            KNNBaseline(k=5, sim_options=similarity | {"user_based": False}, verbose=False),
            {"neighbours": 5, "shrinkage": 20},
        ),
        "knn by users": (
            KNNBaseline(k=14, min_k=9, sim_options=similarity, verbose=False),
            {"neighbours": 14, "min_neighbours": 9, "shrinkage": 20, "based_on": "users"},
        ),
    }  # fmt: skip


def surprise_predictions(algorithm, dataset, train, pairs) -> np.ndarray:
    from surprise import Dataset as SurpriseDataset
    from surprise import Reader

    frame = pd.DataFrame({"u": train.user, "i": train.movie, "r": train.rating})
    data = SurpriseDataset.load_from_df(frame, Reader(rating_scale=(1, 5)))
    algorithm.fit(data.build_full_trainset())
    return np.array([algorithm.predict(int(u), int(i)).est for u, i in zip(*pairs, strict=True)])


@pytest.mark.parametrize("name", ["biases", "svd", "svdpp", "knn", "knn by users"])
def test_predicts_what_surprise_predicts_for_every_pair(name, dataset, train):
    algorithm, hyperparameters = surprise_algorithms()[name]
    pairs = [axis.ravel() for axis in np.indices((dataset.n_users, dataset.n_movies))]
    expected = surprise_predictions(algorithm, dataset, train, pairs)
    model = make_baseline(name.split()[0], hyperparameters).fit(dataset, train, seed=SEED)
    np.testing.assert_allclose(model.predict(*pairs), expected, atol=1e-5)
    # the ranking score is the same number before clipping
    scores = model.score(np.arange(dataset.n_users)).ravel()
    np.testing.assert_allclose(np.clip(scores, 1, 5), expected, atol=1e-5)


def test_of_equal_neighbours_the_first_are_kept_as_in_surprise():
    similarity = np.random.default_rng(0).integers(-2, 4, size=(50, 12)).astype(np.float32)
    for k in (1, 3, 11, 12, 20):
        kept = _nearest(similarity, k)
        for row, result in zip(similarity, kept, strict=True):
            first = heapq.nlargest(k, range(12), key=lambda at, row=row: row[at])
            expected = np.zeros(12, np.float32)
            expected[first] = np.maximum(row[first], 0)
            np.testing.assert_array_equal(result, expected)


def test_observing_the_training_ratings_again_changes_nothing(dataset, train):
    model = make_baseline("knn", {"neighbours": 5}).fit(dataset, train, seed=SEED)
    again = model.with_interactions(train)
    users = np.arange(dataset.n_users)
    np.testing.assert_allclose(again.score(users), model.score(users), atol=1e-5)


def test_observed_ratings_count_like_those_of_training(dataset, train):
    """A user told about later is predicted like one who was there, similarities aside."""
    model = make_baseline("knn", {"neighbours": 5}).fit(dataset, train, seed=SEED)
    theirs = np.flatnonzero(train.user == 9)
    told = train.take(theirs)
    renamed = Interactions(np.zeros(len(told), np.int64), told.movie, told.rating)
    observed = model.with_interactions(renamed)
    scores = observed.score(np.array([0, 9]))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


@pytest.mark.parametrize("name", ["mean", "biases", "popular", "svd", "svdpp", "knn", "ease"])
def test_nothing_to_train_on_is_refused(name, dataset):
    nothing = dataset.ratings.take(np.zeros(0, np.int64))
    with pytest.raises(EmptyDataError, match="no ratings to train on"):
        make_baseline(name).fit(dataset, nothing, seed=SEED)


def test_too_many_pairs_are_refused_before_any_work(monkeypatch, dataset, train):
    monkeypatch.setattr(knn, "NEIGHBOURS_MAX", 44)
    with pytest.raises(TrainingError, match="45 movies do not fit"):
        make_baseline("knn").fit(dataset, train, seed=SEED)
    with pytest.raises(TrainingError, match="60 users do not fit"):
        make_baseline("knn", {"based_on": "users"}).fit(dataset, train, seed=SEED)


@pytest.mark.parametrize("name", ["svd", "svdpp", "knn"])
def test_more_ratings_than_surprise_has_memory_for_are_refused(monkeypatch, dataset, train, name):
    monkeypatch.setattr(surprise, "BYTES_A_RATING", 2**40)
    with pytest.raises(TrainingError, match=rf"{len(train):,} ratings take about .* GiB") as told:
        make_baseline(name).fit(dataset, train, seed=SEED)
    assert "biases" in told.value.hint
    make_baseline("biases").fit(dataset, train, seed=SEED)  # needs no Surprise


@pytest.mark.parametrize("size", [1, 100])
def test_biases_of_blocks_are_those_of_all_ratings(monkeypatch, dataset, train, size):
    whole = make_baseline("biases").fit(dataset, train, seed=SEED)
    monkeypatch.setattr(simple, "RATINGS_AT_ONCE", size)
    blocks = make_baseline("biases").fit(dataset, train, seed=SEED)
    for name in ("rating_user_bias", "rating_movie_bias"):
        np.testing.assert_allclose(getattr(blocks, name), getattr(whole, name), atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_a_diverging_descent_is_refused(dataset, train):
    wild = {"learning_rate": 1.0, "epochs": 200, "regularization": 0.0}
    with pytest.raises(TrainingError, match="diverged"):
        make_baseline("svd", wild).fit(dataset, train, seed=SEED)


def test_factors_find_a_planted_taste_that_biases_cannot():
    data = make_dataset(150, 80, 0.4, seed=1)
    order = np.random.default_rng(0).permutation(data.n_ratings)
    train, test = data.ratings.take(order[600:]), data.ratings.take(order[:600])

    def rmse(name: str, **values: object) -> float:
        model = make_baseline(name, values).fit(data, train, seed=SEED)
        return float(np.sqrt(((model.predict(test.user, test.movie) - test.rating) ** 2).mean()))

    # measured: 0.50 (the noise and the rounding leave 0.42) against 1.05
    assert rmse("svd", factors=4, epochs=200) < 0.6
    assert rmse("biases") > 0.9
