"""Reference baselines and biases on MovieLens 100K against the reference numbers of EVALUATION."""

from __future__ import annotations

import numpy as np
import pytest

from movierec.data.splits import SplitSpec, make_split
from movierec.evaluation import evaluate, reference_baselines
from tests.support.eval_oracle import TableModel

pytestmark = [pytest.mark.realdata, pytest.mark.golden]

RANDOM_RATED = {"precision_at_10": 0.588, "recall_at_10": 0.666, "ndcg_at_10": 0.695}
BIASES_RATED = {"precision_at_10": 0.683, "recall_at_10": 0.732, "ndcg_at_10": 0.834}


def biases(dataset, split) -> TableModel:
    """Fit mean + user bias + movie bias by alternating shrunk means, 15 rounds."""
    known = dataset.ratings.take(split.known)
    mean = known.rating.mean()
    user, movie = np.zeros(dataset.n_users), np.zeros(dataset.n_movies)
    for _ in range(15):
        movie = shrunk(known.movie, known.rating - mean - user[known.user], len(movie), 5)
        user = shrunk(known.user, known.rating - mean - movie[known.movie], len(user), 5)
    table = np.float32(mean + user[:, None] + movie)
    return TableModel(table, table)


def shrunk(index, residual, size, strength):
    count = np.bincount(index, minlength=size)
    return np.bincount(index, weights=residual, minlength=size) / (count + strength)


@pytest.fixture(scope="module")
def split(ml_100k):
    return make_split(ml_100k, SplitSpec())


def test_floors_of_the_random_split(ml_100k, split):
    found = reference_baselines(ml_100k, split)
    for metric, value in RANDOM_RATED.items():
        assert found["random"].rated[metric] == pytest.approx(value, abs=0.015)
        assert found["constant"].rated[metric] == pytest.approx(value, abs=0.025)
    assert found["random"].rated["hit_rate_at_10"] == pytest.approx(0.997, abs=0.006)
    assert found["popular"].full["ndcg_at_10"] == pytest.approx(0.22, abs=0.02)
    assert found["random"].full["ndcg_at_10"] < 0.03


def test_biases_on_the_random_split(ml_100k, split):
    found = evaluate(biases(ml_100k, split), ml_100k, split)
    for metric, value in BIASES_RATED.items():
        assert found.rated[metric] == pytest.approx(value, abs=0.015)
    assert found.protocol["rated_ranked_by"] == "prediction"
    assert found.full["ndcg_at_10"] == pytest.approx(0.09, abs=0.04)  # sorting by predicted rating


def test_u1_keeps_its_users_and_its_unrated_movies(ml_100k):
    split = make_split(ml_100k, SplitSpec(name="u1"))
    found = evaluate(biases(ml_100k, split), ml_100k, split)
    assert found.rmse == pytest.approx(0.960, abs=0.01)
    assert (len(found.per_user), found.n_ratings) == (459, 20_000)
    rated = np.unique(ml_100k.ratings.movie[split.known])
    assert (~found.per_rating["movie_index"].isin(rated)).sum() == 32
    popular = reference_baselines(ml_100k, split)["popular"]
    assert popular.full["ndcg_at_10"] == pytest.approx(0.325, abs=0.01)


def test_popular_on_the_temporal_split(ml_100k):
    split = make_split(ml_100k, SplitSpec(name="temporal"))
    popular = reference_baselines(ml_100k, split)["popular"]
    assert popular.full["ndcg_at_10"] == pytest.approx(0.340, abs=0.01)


def test_slices_are_complete(ml_100k, split):
    slices = evaluate(biases(ml_100k, split), ml_100k, split).slices
    groups = slices.groupby("slice")["value"].count()
    assert groups["age"] == 7
    assert groups["gender"] == 2
    assert groups["popularity"] == 3
    assert groups["activity"] == 4
    assert groups["genre"] == 19  # 18 and "unknown"
