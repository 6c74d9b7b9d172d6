"""Beyond-accuracy measures against hand-made lists and plain loops."""

from __future__ import annotations

from itertools import combinations
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine

from movierec.evaluation.beyond import beyond_accuracy

LISTS = np.array([[0, 1], [0, 2]])
POPULARITY = np.array([8, 4, 1, 0])
GENRES = np.array([[1, 0], [1, 1], [0, 1], [0, 0]], np.float32)


def random_lists(seed: int, n_users=12, n_movies=20, k=5):
    rng = np.random.default_rng(seed)
    lists = np.array([rng.permutation(n_movies)[:k] for _ in range(n_users)])
    genres = (rng.random((n_movies, 4)) < 0.4).astype(np.float32)
    return lists, rng.integers(0, 9, n_movies), genres


def test_by_hand():
    found = beyond_accuracy(LISTS, POPULARITY, 8, GENRES)
    assert found == {
        "catalogue_coverage": 3 / 4,
        # exposures 0, 1, 1, 2: (-3·0 - 1·1 + 1·1 + 3·2) / (4·4)
        "gini": 6 / 16,
        # percentiles 7/8, 5/8, 3/8 for movies 0, 1, 2
        "popularity_percentile": pytest.approx((7 / 8 + 5 / 8 + 7 / 8 + 3 / 8) / 4),
        "novelty_bits": pytest.approx((0 + 1 + 0 + 3) / 4),
        # cos(0, 1) = 1/sqrt(2), cos(0, 2) = 0
        "intra_list_diversity": pytest.approx(((1 - 0.5**0.5) + 1) / 2),
        "personalisation": 1 - 1 / 2,
    }


def test_the_same_list_for_all_and_a_list_for_each():
    same = beyond_accuracy(np.array([[0, 1]] * 3), POPULARITY, 8, GENRES)
    assert same["personalisation"] == 0.0
    own = beyond_accuracy(np.array([[0, 1], [2, 3]]), POPULARITY, 8, GENRES)
    assert (own["personalisation"], own["gini"], own["catalogue_coverage"]) == (1.0, 0.0, 1.0)


def test_a_movie_nobody_rated_counts_as_rated_once():
    found = beyond_accuracy(np.array([[3]]), POPULARITY, 8, GENRES)
    assert found["novelty_bits"] == log2(8)


def test_a_list_cut_short_counts_only_its_movies():
    short = beyond_accuracy(np.array([[0, 1, -1], [0, 2, -1]]), POPULARITY, 8, GENRES)
    assert short == beyond_accuracy(LISTS, POPULARITY, 8, GENRES)


def test_nothing_shown_is_not_measured():
    found = beyond_accuracy(np.full((2, 3), -1), POPULARITY, 8, GENRES)
    assert all(np.isnan(value) for value in found.values())


def test_without_genres_diversity_is_not_measured():
    found = beyond_accuracy(LISTS, POPULARITY, 8, np.zeros((4, 0), np.float32))
    assert np.isnan(found["intra_list_diversity"])


@pytest.mark.parametrize("seed", range(3))
def test_equals_plain_loops(seed):
    lists, popularity, genres = random_lists(seed)
    found = beyond_accuracy(lists, popularity, 30, genres)
    overlaps = [len(set(a) & set(b)) / 5 for a, b in combinations(lists.tolist(), 2)]
    assert found["personalisation"] == pytest.approx(1 - np.mean(overlaps))
    exposure = [(lists == movie).sum() for movie in range(20)]
    gaps = sum(abs(x - y) for x in exposure for y in exposure)
    assert found["gini"] == pytest.approx(gaps / (2 * 20 * sum(exposure)))
    less = [(popularity < p).mean() + (popularity == p).mean() / 2 for p in popularity]
    expected = np.mean([less[movie] for movie in lists.ravel()])
    assert found["popularity_percentile"] == pytest.approx(expected)
    diversities = [diversity(genres[movies]) for movies in lists]
    assert found["intra_list_diversity"] == pytest.approx(np.nanmean(diversities), rel=1e-6)


def diversity(genres) -> float:
    known = [row for row in genres if row.any()]
    distances = [cosine(a, b) for a, b in combinations(known, 2)]
    return float(np.mean(distances)) if distances else float("nan")


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_bounds_and_indifference_to_order(seed):
    lists, popularity, genres = random_lists(seed)
    rng = np.random.default_rng(seed)
    name, users = rng.permutation(20), rng.permutation(12)
    back = np.argsort(name)
    found = beyond_accuracy(lists, popularity, 30, genres)
    moved = beyond_accuracy(name[lists[users]], popularity[back], 30, genres[back])
    assert moved == pytest.approx(found, rel=1e-6)
    bounded = {metric: value for metric, value in found.items() if metric != "novelty_bits"}
    assert all(-1e-9 <= value <= 1 + 1e-9 for value in bounded.values())
