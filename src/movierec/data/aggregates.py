"""What is told of a whole data set in counts and means: one pass over it, then kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from movierec.data.arrays import steps
from movierec.data.dataset import Dataset, IntArray, Interactions, RatingScale

__all__ = ["AGGREGATES", "Aggregates", "GroupStatistics", "aggregates_of", "level_counts"]

AGGREGATES = "aggregates"  # the name they are kept by
Float64Array: TypeAlias = npt.NDArray[np.float64]
Arrays: TypeAlias = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class GroupStatistics:
    """The ratings of each user, or of each movie.

    Shapes: count: (n,); mean: (n,) stars, NaN without a rating; spread: (n,) stars, the sample
    standard deviation, NaN with fewer than two.
    """

    count: IntArray
    mean: Float64Array
    spread: Float64Array

    @classmethod
    def of(cls, ratings: Interactions, side: str, size: int) -> Self:
        """Compute it for one side, "user" or "movie", of which there are `size`."""
        index: IntArray = getattr(ratings, side)
        count, total, square = np.zeros(size, np.int64), np.zeros(size), np.zeros(size)
        for step in steps(len(ratings)):
            count += np.bincount(index[step], minlength=size)
            total += np.bincount(index[step], ratings.rating[step], size)
        mean = total / np.where(count > 0, count, np.nan)
        for step in steps(len(ratings)):
            off = ratings.rating[step] - mean[index[step]]
            square += np.bincount(index[step], off * off, size)
        return cls(count, mean, np.sqrt(square / np.where(count > 1, count - 1, np.nan)))


@dataclass(frozen=True, eq=False)
class Aggregates:
    """What is told of a whole data set.

    Shapes: levels: (n_levels,) how often each level of the scale was given; months: (n,) ratings
    of each calendar month (UTC) from `first_month` on, which counts from January 1970; none where
    the data has no times.
    """

    levels: IntArray
    first_month: int
    months: IntArray
    user: GroupStatistics
    movie: GroupStatistics

    def arrays(self) -> Arrays:
        """Return name -> array; `from_arrays` reads it back."""
        found = {
            "levels": self.levels,
            "first_month": np.array([self.first_month]),
            "months": self.months,
        }
        for name, side in (("user", self.user), ("movie", self.movie)):
            found |= {f"{name}_{of}": array for of, array in vars(side).items()}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Bring it back from `arrays()`."""
        user, movie = (
            GroupStatistics(*(arrays[f"{side}_{name}"] for name in ("count", "mean", "spread")))
            for side in ("user", "movie")
        )
        first = int(arrays["first_month"][0])
        return cls(arrays["levels"], first, arrays["months"], user, movie)


def aggregates_of(dataset: Dataset) -> Aggregates:
    """Count a data set a piece at a time."""
    ratings = dataset.ratings
    levels = np.zeros(len(dataset.scale.levels), np.int64)
    for step in steps(len(ratings)):
        levels += level_counts(dataset.scale, ratings.rating[step])
    return Aggregates(
        levels,
        *_months(ratings.timestamp),
        GroupStatistics.of(ratings, "user", dataset.n_users),
        GroupStatistics.of(ratings, "movie", dataset.n_movies),
    )


def level_counts(scale: RatingScale, stars: npt.NDArray[np.float32]) -> IntArray:
    """Return how often each level of the scale is among some ratings, (n_levels,)."""
    place = np.rint((stars - scale.low) / scale.step).astype(np.int64)
    return np.bincount(place, minlength=len(scale.levels))


def _months(times: IntArray | None) -> tuple[int, IntArray]:
    """Return the first month, counted from January 1970, and the ratings of each from it on."""
    if times is None or not len(times):
        return 0, np.zeros(0, np.int64)
    first, last = (int(_month(np.array([each]))[0]) for each in (times.min(), times.max()))
    counts = np.zeros(last - first + 1, np.int64)
    for step in steps(len(times)):
        counts += np.bincount(_month(times[step]) - first, minlength=len(counts))
    return first, counts


def _month(times: IntArray) -> IntArray:
    return times.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
