"""The formula that stands for the draws of very many users says what they say."""

from __future__ import annotations

import numpy as np
import pytest

from movierec.evaluation import significance
from movierec.evaluation.significance import PairedSums, standard_errors

USERS, GROUP = 1500, 30
DRAWS = 2_000  # leave 1.6 % of a standard error to chance


@pytest.fixture(scope="module")
def sums() -> list[PairedSums]:
    """Errors that few users cause, means of which some users have none, and a small group."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 60, USERS).astype(float)
    worst = 1 + 4 * (rng.random(USERS) < 0.1)
    a, b = (worst * rng.gamma(sizes, scale) for scale in (0.9, 0.8))
    counted = (rng.random(USERS) < 0.7).astype(float)
    ndcg = [rng.beta(2, 5, USERS) * counted for _ in range(2)]
    few = np.where(np.arange(USERS) < GROUP, 1.0, 0.0)
    return [
        PairedSums("rmse", a, b, sizes),
        PairedSums("mae", a, b, sizes),
        PairedSums("ndcg_full", *ndcg, counted),
        PairedSums("rmse", a * few, b * few, sizes * few),
    ]


@pytest.fixture
def many(monkeypatch):
    monkeypatch.setattr("movierec.evaluation.significance.MOST_DRAWN", USERS - 1)


def test_the_formula_is_the_draws(sums, many):
    drawn = significance._drawn(sums, DRAWS, 0)
    assert standard_errors(sums, DRAWS, 0) == pytest.approx(drawn, rel=0.08)


def test_large_samples_hang_on_no_seed_and_small_groups_are_drawn(sums, many):
    one, other = (standard_errors(sums, 200, seed) for seed in (1, 2))
    assert one[:3] == other[:3]
    assert one[3] != other[3]


def test_few_users_are_drawn_together(sums):
    assert standard_errors(sums, 200, 0) == significance._drawn(sums, 200, 0)


def test_a_model_without_an_error_has_no_spread(many):
    none, size = np.zeros(USERS), np.ones(USERS)
    assert standard_errors([PairedSums("rmse", none, none, size)], 200, 0) == [0.0]


def test_a_group_of_nobody_has_none(many):
    none = np.zeros(USERS)
    assert np.isnan(standard_errors([PairedSums("rmse", none, none, none)], 200, 0)).all()
    assert standard_errors([], 200, 0) == []
