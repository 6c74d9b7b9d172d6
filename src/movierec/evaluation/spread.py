"""How far a difference would move with other users: its standard error.

Users are drawn with replacement; every metric is recomputed on the same draws. Of very many users
that takes minutes and says what a formula says at once: the infinitesimal jackknife, to which the
bootstrap's standard error tends as users and draws become many (Efron 1982, The Jackknife, the
Bootstrap and Other Resampling Plans, section 6.3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from movierec.evaluation.ratings import Float64Array

__all__ = ["PairedSums", "standard_errors"]

WEIGHTS_AT_ONCE = 2**21  # draws of users held at a time: about 60 MB
MOST_DRAWN = 20_000  # users; beyond, drawing them takes longer than anybody waits for a page
LEAST_LINEAR = 500  # users of a group from which on the formula is within 2 % of the draws


@dataclass(frozen=True, eq=False)
class PairedSums:
    """A metric of A and B as ratios of sums over users; the root of it for "rmse".

    Shapes: a, b, size: (n_users,) each; users left out are 0 in all three.
    """

    metric: str
    a: Float64Array
    b: Float64Array
    size: Float64Array

    @property
    def users(self) -> int:
        """How many users are not left out."""
        return int(np.count_nonzero(self.size > 0))

    def counted(self) -> PairedSums:
        """Return the sums of those users alone."""
        kept = self.size > 0
        return PairedSums(self.metric, self.a[kept], self.b[kept], self.size[kept])

    def values(self, totals: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return A's and B's metric for each row of totals of a, b and size, (n_draws, 3)."""
        ratio = [_ratio(totals[:, column], totals[:, 2]) for column in (0, 1)]
        a, b = np.sqrt(ratio) if self.metric == "rmse" else ratio
        return a, b


def standard_errors(sums: Sequence[PairedSums], resamples: int, seed: int) -> list[float]:
    """Return the standard error of B - A of each, all of the same users; NaN where it has none.

    By draws of users, the same for all; beyond 20,000 users by the formula, but for groups that
    few of them are in.
    """
    if not sums:
        return []
    if len(sums[0].size) <= MOST_DRAWN:
        return _drawn(sums, resamples, seed)
    return [
        _linear(one) if one.users >= LEAST_LINEAR else _drawn([one.counted()], resamples, seed)[0]
        for one in sums
    ]


def _linear(sums: PairedSums) -> float:
    """Return sqrt(sum over users of the squared influence of one on B - A).

    Of a ratio A/S the influence of a user is (a - A/S s) / S, of its root that over 2 sqrt(A/S).
    """
    left, right = (_influence(values, sums.size, sums.metric) for values in (sums.a, sums.b))
    return math.sqrt(float(((right - left) ** 2).sum()))


def _influence(values: Float64Array, size: Float64Array, metric: str) -> Float64Array:
    ratio = values.sum() / size.sum()
    influence: Float64Array = (values - ratio * size) / size.sum()
    if metric != "rmse":
        return influence
    return influence / (2 * math.sqrt(ratio)) if ratio > 0 else np.zeros_like(influence)


def _drawn(sums: Sequence[PairedSums], resamples: int, seed: int) -> list[float]:
    deltas = (values[~np.isnan(values)] for values in _draw_deltas(sums, resamples, seed))
    return [float(values.std()) if len(values) else math.nan for values in deltas]


def _draw_deltas(sums: Sequence[PairedSums], resamples: int, seed: int) -> list[Float64Array]:
    """Return B − A in every draw of users; one matrix product a block of draws for all sums."""
    columns = np.column_stack([part for one in sums for part in (one.a, one.b, one.size)])
    deltas = np.full((len(sums), resamples), np.nan)
    for rows, weights in _draws(len(columns), resamples, seed):
        totals = weights @ columns
        for place, one in enumerate(sums):
            a, b = one.values(totals[:, 3 * place : 3 * place + 3])
            deltas[place, rows] = b - a
    return [*deltas]


def _draws(n_users: int, resamples: int, seed: int) -> Iterator[tuple[slice, Float64Array]]:
    """Yield how often each user is drawn, (n_draws, n_users) at a time."""
    rng = np.random.default_rng(seed)
    size = max(1, WEIGHTS_AT_ONCE // max(1, n_users))
    for start in range(0, resamples, size):
        n = min(size, resamples - start)
        drawn = rng.integers(0, max(1, n_users), size=(n, n_users))
        flat = (drawn + n_users * np.arange(n)[:, None]).ravel()
        counts = np.bincount(flat, minlength=n * n_users).reshape(n, n_users)
        yield slice(start, start + n), counts.astype(np.float64)


def _ratio(numerator: Float64Array, denominator: Float64Array) -> Float64Array:
    out = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out
