"""The lists of many users at once, a block of them at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import FloatArray, IdMap, IntArray
from movierec.inference.content import VersionContent
from movierec.inference.filters import EVERYTHING, Filters, RankBy
from movierec.inference.results import Recommendation
from movierec.inference.topk import best_of_rows
from movierec.models.arrays import RatingLists

__all__ = ["Options", "TopK", "block_size", "from_lines", "top_lists"]

MOST_USERS = 1024
CELLS_AT_ONCE = 2**24  # scores in memory: 64 MB, and a copy


@dataclass(frozen=True)
class Options:
    """What lists are made like; see `LoadedVersion.recommend`."""

    k: int = 10
    exclude_seen: bool = True
    filters: Filters = EVERYTHING
    diversity: float = 0.0
    by: RankBy = "ranking"

    @property
    def is_plain(self) -> bool:
        """Whether the ranking scores alone give the order."""
        return not self.diversity and self.by == "ranking"


@dataclass(frozen=True, eq=False)
class TopK:
    """The lists of some users, one line per movie, by user and then best first.

    Shapes: user, movie: (n,) indices; rank: (n,) from 1; score: (n,); predicted: (n,) stars, NaN
    where none are predicted; reason: (n,) words, see `Recommendation`.
    """

    user: IntArray
    movie: IntArray
    rank: IntArray
    score: FloatArray
    predicted: FloatArray
    reason: npt.NDArray[np.str_]


def block_size(n_movies: int) -> int:
    """Return for how many users there is room at once."""
    return max(1, min(MOST_USERS, CELLS_AT_ONCE // max(1, n_movies)))


def top_lists(
    version: VersionContent,
    users: IntArray,
    options: Options,
    allowed: npt.NDArray[np.bool_],
    lists: RatingLists,
    *,
    predict: bool = True,
) -> TopK:
    """Return the plain lists of users; `lists` are the known ratings by user.

    Shapes: users: (n,); allowed: (n_movies,).
    """
    scores = np.array(version.recommender.score(users), np.float32)
    counts = np.diff(lists.start)[users]
    lost = counts == 0
    lost[lost] = np.ptp(scores[lost], axis=1) == 0
    scores[lost] = version.popularity
    if not allowed.all():
        scores[:, ~allowed] = -np.inf
    if options.exclude_seen:
        scores[_seen(users, counts, lists)] = -np.inf
    row, movie = best_of_rows(scores, version.popularity, options.k)
    rank = np.arange(len(row)) - np.searchsorted(row, row) + 1
    predicted = np.full(len(row), np.nan, np.float32)
    if predict:
        told = ~lost[row]
        predicted[told] = version.recommender.predict(users[row[told]], movie[told])
    reason = np.where(lost, "fallback", np.where(counts == 0, "no-ratings", "known"))[row]
    return TopK(users[row], movie, rank, scores[row, movie], predicted, reason)


def _seen(users: IntArray, counts: IntArray, lists: RatingLists) -> tuple[IntArray, IntArray]:
    """Return the row and the movie of every known rating of the users."""
    row = np.repeat(np.arange(len(users)), counts)
    before = np.cumsum(counts) - counts
    place = np.arange(len(row)) + (lists.start[users] - before)[row]
    return row, lists.index[place]


def from_lines(users: IntArray, lists: Sequence[Sequence[Recommendation]], movies: IdMap) -> TopK:
    """Return the lists of users, (n,) indices, as one table."""
    lines = [line for found in lists for line in found]
    return TopK(
        np.repeat(users, [len(found) for found in lists]),
        movies.indices([line.movie_id for line in lines]),
        np.array([line.rank for line in lines], np.int64),
        np.array([line.score for line in lines], np.float32),
        np.array([_number(line.predicted_rating) for line in lines], np.float32),
        np.array([line.reason for line in lines], np.str_),
    )


def _number(value: float | None) -> float:
    return np.nan if value is None else value
