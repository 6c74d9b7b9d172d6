"""Reference baselines: what knowing nothing achieves."""

from __future__ import annotations

import numpy as np
import pytest

from movierec.data.splits import SplitSpec, make_split
from movierec.evaluation import reference_baselines
from tests.support.factories import make_dataset


@pytest.fixture(scope="module")
def measured():
    dataset = make_dataset(300, 200, 0.2)
    split = make_split(dataset, SplitSpec())
    return dataset, split, reference_baselines(dataset, split)


def test_constant_and_random_rank_like_chance(measured):
    dataset, split, found = measured
    candidates = dataset.n_movies - len(split.known) / dataset.n_users
    chance = len(split.test) / dataset.n_users / candidates
    for name in ("random", "constant"):
        # 3,000 places in lists; for the constant the same 10 or so movies for all users
        assert found[name].full["precision_at_10"] == pytest.approx(chance, rel=0.35)


def test_only_the_constant_predicts_ratings(measured):
    dataset, split, found = measured
    mean = dataset.ratings.rating[split.known].mean()
    error = dataset.ratings.rating[split.test] - mean
    assert found["constant"].rmse == pytest.approx(float((error**2).mean() ** 0.5), rel=1e-5)
    assert np.isnan(found["random"].rmse)
    assert np.isnan(found["popular"].rmse)


def test_popular_lists_are_the_most_popular_unknown_movies(measured):
    _, _, found = measured
    beyond = found["popular"].beyond
    assert beyond["popularity_percentile"] > 0.9 > found["random"].beyond["popularity_percentile"]
    assert beyond["catalogue_coverage"] < 0.5 < found["random"].beyond["catalogue_coverage"]


def test_floors_repeat_to_the_last_digit(measured):
    dataset, split, found = measured
    again = reference_baselines(dataset, split)
    for name, baseline in found.items():
        assert again[name].as_dict() == baseline.as_dict()
