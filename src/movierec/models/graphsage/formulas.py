"""What the torch layers and the NumPy user encoder compute alike, and its constants.

`layers.py` has the same aggregators in torch, over a whole graph and with gradients; the
definitions are torch-geometric's (`torch_geometric.nn.aggr`). A new aggregator is an entry of
`AGGREGATORS` here and one there; command line, pages and checks read their names from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from movierec.data.dataset import Interactions

__all__ = [
    "AGGREGATORS",
    "LOG_DEGREE_SCALE",
    "LOWEST_EXPONENT",
    "POWER",
    "POWER_RANGE",
    "SMALLEST_VARIANCE",
    "NeighbourSums",
    "first_newest",
    "n_newest",
    "newest_ratings",
]

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

LOG_DEGREE_SCALE = 5.0  # brings log(1 + degree) near 1
# the newest tenth of the ratings: of several windows the one whose popularity ranked the
# temporal split's validation part best (docs/LOG.md)
NEWEST_SHARE = 0.1
POWER = 2.0
POWER_RANGE = (1e-4, 100.0)  # bounds of the power mean, before and after the mean
LOWEST_EXPONENT = -80.0  # exp(-87) is about the smallest float32 that keeps its precision
SMALLEST_VARIANCE = 1e-5  # below it the deviation is 0, without a gradient


def first_newest(n_ratings: int) -> int:
    """Return how many of so many ratings are older than the newest tenth."""
    return min(int(n_ratings * (1 - NEWEST_SHARE)), n_ratings - 1)


def newest_ratings(known: Interactions) -> npt.NDArray[np.bool_]:
    """Return which ratings are the newest tenth, (n,), as `statistics` has it."""
    times, n = known.timestamp, len(known)
    if times is None or not n:
        return np.ones(n, np.bool_)
    count = n_newest(known)
    cut = np.partition(times, n - count)[n - count]
    newest = np.asarray(times > cut)
    # of ratings given at the very time of the cut those of the last users count, then movies
    tied = np.flatnonzero(times == cut)
    tied = tied[np.lexsort((known.movie[tied], known.user[tied]))]
    newest[tied[len(tied) - (count - int(newest.sum())) :]] = True
    return newest


def n_newest(known: Interactions) -> int:
    """Return how many `newest_ratings` there are."""
    n = len(known)
    return n if known.timestamp is None or not n else n - first_newest(n)


@dataclass(frozen=True, eq=False)
class NeighbourSums:
    """Sums and maxima over one user's n ratings, or over each way to leave one of them out.

    The results have a row per variant: 1 of all ratings, or n, row r without rating r.
    """

    n_ratings: int
    leave_one_out: bool = False

    def sum(self, values: npt.NDArray[Any]) -> Float64Array:
        """Return the sum over the ratings of each variant, (n, d) -> (1 or n, d)."""
        total: Float64Array = values.sum(axis=0, dtype=np.float64, keepdims=True)
        return total - values if self.leave_one_out else total

    def mean(self, values: npt.NDArray[Any]) -> Float64Array:
        """Return the mean over the ratings of each variant; 0 without ratings."""
        return np.asarray(self.sum(values) / np.maximum(self.count, 1))

    def max(self, values: Float64Array) -> Float64Array:
        """Return the maximum over the ratings of each variant; 0 without ratings."""
        if len(values) <= self.leave_one_out:
            return np.zeros((1, values.shape[1]))
        if not self.leave_one_out:
            return np.asarray(values.max(axis=0, keepdims=True))
        second, first = np.sort(values, axis=0)[-2:]
        # of equal largest values one stays, so that second is the same
        return np.asarray(np.where(values == first, second, first))

    @property
    def count(self) -> Float64Array:
        """Number of ratings in each variant, (1 or n, 1)."""
        return self.sum(np.ones((self.n_ratings, 1)))


# (sums, states of the rated movies (n, d), states of all movies (n_movies, d)) -> (1 or n, d)
Aggregator = Callable[[NeighbourSums, Float64Array, FloatArray], Float64Array]


def _softmax(sums: NeighbourSums, rated: Float64Array, movies: FloatArray) -> Float64Array:
    # the shift by every movie's maximum, not the rated ones', is the one that the layers make
    weight = np.exp(np.maximum(rated - movies.max(axis=0), LOWEST_EXPONENT))
    norm = np.maximum(sums.sum(weight), np.finfo(np.float32).tiny)
    return np.asarray(sums.sum(weight * rated) / norm)


def _power_mean(sums: NeighbourSums, rated: Float64Array, movies: FloatArray) -> Float64Array:  # noqa: ARG001
    mean = sums.mean(np.clip(rated, *POWER_RANGE) ** POWER)
    return np.asarray(np.clip(mean, *POWER_RANGE) ** (1 / POWER))


def _std(sums: NeighbourSums, rated: Float64Array, movies: FloatArray) -> Float64Array:  # noqa: ARG001
    mean, square = sums.mean(rated), sums.mean(rated**2)
    variance = square - mean**2
    return np.where(variance <= SMALLEST_VARIANCE, 0.0, np.sqrt(np.maximum(variance, 0)))


AGGREGATORS: dict[str, Aggregator] = {
    "max": lambda sums, rated, _: sums.max(rated),
    "mean": lambda sums, rated, _: sums.mean(rated),
    "sum": lambda sums, rated, _: sums.sum(rated),
    "softmax": _softmax,
    "powermean": _power_mean,
    "std": _std,
}
