"""Do 95 % intervals cover a known difference, and is nothing called better that is not?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from movierec.comparison.metrics import PAIRED
from movierec.evaluation.significance import Difference, PairedSums, paired_bootstrap

PAIRS, USERS, TOGETHER = 1_000, 300, 50
SHARE = (1.2, 1.8)  # Beta: how well a user is served
SPREAD = (2.0, 0.45)  # Gamma: a user's error variance, mean 0.9
COMMON = 0.85  # of the variance of errors, that both models share
CLEAR = 0.1

Family = list[PairedSums]


def simulated(rng: np.random.Generator, effect: float, n: int = USERS) -> Family:
    """One pair of models measured on new users, B better than A by `true_differences`.

    Test ratings per user are overdispersed as in MovieLens (1 to about 150, mean 21), error
    variances differ from user to user, and the two models' errors and hits are correlated.
    """
    size = 1 + rng.negative_binomial(0.8, 0.8 / 20.8, n)
    share = rng.beta(*SHARE, n)
    lifted = share + effect * share * (1 - share)
    return [*errors(rng, size, 1 - 0.2 * effect), *hits(rng, share, lifted)]


def errors(rng: np.random.Generator, size: np.ndarray, scale: float) -> Family:
    user = np.repeat(np.arange(len(size)), size)
    spread = np.sqrt(rng.gamma(*SPREAD, len(size)))[user]
    common, *own = rng.normal(size=(3, len(user)))
    a, b = (spread * (math.sqrt(COMMON) * common + math.sqrt(1 - COMMON) * one) for one in own)

    def sums(metric: str, of: Callable[[np.ndarray], np.ndarray]) -> PairedSums:
        by_user = [np.bincount(user, of(x), minlength=len(size)) for x in (a, scale * b)]
        return PairedSums(metric, *by_user, size.astype(float))

    return [sums("rmse", np.square), sums("mae", np.abs)]


def hits(rng: np.random.Generator, share: np.ndarray, lifted: np.ndarray) -> Family:
    one, steady = np.ones(len(share)), 6.0
    found = []
    for metric in PAIRED[2:]:
        if metric.key == "hit_full":  # yes or no, mostly the same for both
            first, second = rng.random((2, len(share)))
            second = np.where(rng.random(len(share)) < 0.7, first, second)
            a, b = (first < share).astype(float), (second < lifted).astype(float)
        else:
            a, b = (rng.beta(steady * m, steady * (1 - m)) for m in (share, lifted))
        found.append(PairedSums(metric.column, a, b, one))
    return found


def true_differences(effect: float) -> dict[str, float]:
    (p, q), (shape, scale) = SHARE, SPREAD
    gain = effect * p * q / ((p + q) * (p + q + 1))  # mean of share * (1 - share)
    spread = math.sqrt(scale) * math.gamma(shape + 0.5) / math.gamma(shape)
    stars = {
        "rmse": -0.2 * effect * math.sqrt(shape * scale),
        "mae": -0.2 * effect * spread * math.sqrt(2 / math.pi),
    }
    return stars | {metric.column: gain for metric in PAIRED[2:]}


def compared(effect: float, pairs: int = PAIRS, resamples: int = 500) -> list[list[Difference]]:
    found = []
    for batch in range(pairs // TOGETHER):
        rng = np.random.default_rng([11, batch])
        families = [simulated(rng, effect) for _ in range(TOGETHER)]
        found += paired_bootstrap(families, resamples=resamples, seed=batch)
    return found


def covered(found: list[list[Difference]], effect: float) -> dict[str, float]:
    """Return per metric in which share of the pairs the interval holds the true difference."""
    truth = true_differences(effect)
    names = [d.metric for d in found[0]]
    inside = [[d.low <= truth[d.metric] <= d.high for d in family] for family in found]
    return dict(zip(names, np.mean(inside, axis=0), strict=True))


def called(found: list[list[Difference]], *verdicts: str) -> float:
    return float(np.mean([any(d.verdict in verdicts for d in family) for family in found]))


def test_the_simulation_has_the_difference_that_it_says():
    """The truth that intervals are held against, checked by one pair of very many users."""
    family = simulated(np.random.default_rng(0), CLEAR, n=300_000)
    truth = true_differences(CLEAR)
    for sums in family:
        (a,), (b,) = sums.values(np.array([[sums.a.sum(), sums.b.sum(), sums.size.sum()]]))
        assert b - a == pytest.approx(truth[sums.metric], abs=0.003)
        assert abs(truth[sums.metric]) > 0.01


def test_intervals_cover_a_known_difference():
    found = compared(CLEAR)
    shares = covered(found, CLEAR)
    assert len(shares) == len(PAIRED)
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares
    assert called(found, "better") > 0.5, "most pairs are told apart"
    assert called(found, "worse") < 0.01


def test_no_difference_is_called_one_at_most_one_time_in_twenty():
    found = compared(0.0)
    shares = covered(found, 0.0)
    false, better = called(found, "better", "worse"), called(found, "better")
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares
    error = 2 * math.sqrt(0.05 * 0.95 / PAIRS)
    assert false <= 0.05 + error
    assert better <= 0.05
    assert false > 0.005, "a test that never says anything is right for nothing"


@pytest.mark.parametrize("n", [2, 3, 6])
def test_a_few_users_who_agree_prove_nothing(n):
    flat, ones = np.full(n, 0.3), np.ones(n)
    ((found,),) = paired_bootstrap([[PairedSums("hits", flat, flat + 0.1, ones)]])
    assert found.p_value == 2.0 ** (1 - n)
    assert found.verdict == ("better" if n == 6 else "can't tell")


def test_groups_of_a_few_users_are_not_called_worse_by_luck():
    """Two models alike in sixty groups of 2 to 40 users; percentiles of the draws call some."""
    rng, calls = np.random.default_rng(3), 0
    for round_ in range(40):
        family = []
        for group in range(60):
            users = rng.choice(100, size=2 + group % 39, replace=False)
            a, b, size = np.zeros((3, 100))
            a[users], b[users] = rng.gamma(2.0, 0.5, (2, len(users)))
            size[users] = 1
            family.append(PairedSums(f"group {group}", a, b, size))
        (found,) = paired_bootstrap([family], resamples=3_000, seed=round_)
        calls += any(d.verdict != "can't tell" for d in found)
    assert calls <= 6  # of 40; 2 are expected
