"""The two ranking protocols of EVALUATION: `full` and `rated`.

`full`: the candidates are all movies except the user's known ones (train, validation and
support part). `rated`: the candidates are the user's own held-out movies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.data.splits import Split
from movierec.errors import EvaluationError
from movierec.evaluation.ranking import (
    BoolArray,
    RankedCandidates,
    UserRanking,
    place_within_users,
    tie_order,
    user_ranking,
)
from movierec.evaluation.ratings import Float64Array
from movierec.models.protocol import Recommender

__all__ = ["RELEVANT_RATING", "FullRanking", "HeldOut", "rank_full", "rank_rated"]

RELEVANT_RATING = 4.0  # stars; "liked" in EVALUATION's protocols
CELLS_AT_ONCE = 2**21  # scores of a block of users: about 60 MB with their keys


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The test part by user, and what was known before it.

    Shapes: users: (n_users,) user indices that have test ratings, ascending; row: (n_test,)
    place in `users` of each test rating; known: CSR (all users, n_movies) of known ratings.
    """

    users: IntArray
    row: IntArray
    ratings: Interactions
    known: Any

    @classmethod
    def of(cls, dataset: Dataset, split: Split) -> HeldOut:
        """Take the test part out of a data set."""
        ratings = dataset.ratings.take(split.test)
        users, row = np.unique(ratings.user, return_inverse=True)
        known = dataset.ratings.take(split.known).matrix(dataset.n_users, dataset.n_movies)
        return cls(users, row.astype(np.int64), ratings, known)

    @property
    def n_movies(self) -> int:
        """Number of movies in the catalogue."""
        return int(self.known.shape[1])

    @property
    def liked(self) -> BoolArray:
        """Which test ratings reach `RELEVANT_RATING`, (n_test,)."""
        return np.asarray(self.ratings.rating >= RELEVANT_RATING)

    @property
    def n_known(self) -> IntArray:
        """Known ratings per test user, (n_users,)."""
        return np.asarray(np.diff(self.known.indptr)[self.users], np.int64)

    def blocks(self) -> Iterator[tuple[slice, IntArray]]:
        """Yield consecutive rows with the test ratings of those rows, bounded in memory."""
        size = max(1, CELLS_AT_ONCE // max(1, self.n_movies))
        by_row = np.argsort(self.row, kind="stable")
        ends = np.cumsum(np.bincount(self.row, minlength=len(self.users)))
        for start in range(0, len(self.users), size):
            stop = min(start + size, len(self.users))
            first = ends[start - 1] if start else 0
            yield slice(start, stop), by_row[first : ends[stop - 1]]


@dataclass(frozen=True, eq=False)
class FullRanking:
    """What the `full` lists hold.

    Shapes: lists: (n_users, k) movies, best first, -1 where candidates ran out; place: (n_test,)
    place of each test rating in its user's list from 0, k when it is not in it; score: (n_test,).
    """

    lists: IntArray
    place: IntArray
    score: FloatArray
    everything: UserRanking
    liked: UserRanking


def rank_full(model: Recommender, held_out: HeldOut, k: int) -> FullRanking:
    """Rank all movies but the known ones for every test user, a block of users at a time.

    Raises:
        EvaluationError: the scores have the wrong shape or are NaN.

    """
    n_users, n_test = len(held_out.users), len(held_out.row)
    lists = np.empty((n_users, k), np.int64)
    place, score = np.empty(n_test, np.int64), np.empty(n_test, np.float32)
    first, first_liked = np.empty(n_users), np.empty(n_users)
    order, liked = tie_order(held_out.n_movies), held_out.liked
    for rows, pairs in held_out.blocks():
        scores = _scores(model, held_out.users[rows], held_out.n_movies)
        row, movie = held_out.row[pairs] - rows.start, held_out.ratings.movie[pairs]
        score[pairs] = scores[row, movie]
        ranked = RankedCandidates(scores, *_known_pairs(held_out, rows), order)
        top = ranked.top_keys(k)
        lists[rows] = ranked.movies(top)
        place[pairs] = ranked.places(row, movie, top)
        first[rows] = ranked.first_ranks(row, movie)
        first_liked[rows] = ranked.first_ranks(row[liked[pairs]], movie[liked[pairs]])
    everything = user_ranking(held_out.row, place, first, k)
    only_liked = user_ranking(held_out.row[liked], place[liked], first_liked, k)
    return FullRanking(lists, place, score, everything, only_liked)


def _scores(model: Recommender, users: IntArray, n_movies: int) -> FloatArray:
    scores = np.asarray(model.score(users), np.float32)
    if scores.shape != (len(users), n_movies):
        raise EvaluationError(
            f"score() returned shape {scores.shape} for {len(users)} users and {n_movies} movies.",
            hint="It must return one score per user asked for and movie of the data set.",
        )
    return scores


def _known_pairs(held_out: HeldOut, rows: slice) -> tuple[IntArray, IntArray]:
    known = held_out.known[held_out.users[rows]]
    return np.repeat(np.arange(known.shape[0]), np.diff(known.indptr)), known.indices


def rank_rated(
    held_out: HeldOut, prediction: FloatArray, score: FloatArray, k: int
) -> tuple[UserRanking, str]:
    """Rank each user's own test movies; relevant are those with `RELEVANT_RATING` or more.

    A user is ranked by predicted rating when all of the user's predictions are numbers, else by
    score. Precision is taken over min(k, number of candidates).

    Shapes: prediction, score: (n_test,).

    Returns:
        The metrics and what the lists were ranked by: "prediction", "score" or how many of each.

    """
    n_users, liked = len(held_out.users), held_out.liked
    unpredicted = np.bincount(held_out.row, weights=np.isnan(prediction), minlength=n_users) > 0
    ranked_by = np.where(unpredicted[held_out.row], score, prediction)
    order = tie_order(held_out.n_movies)[held_out.ratings.movie]
    place = place_within_users(held_out.row, ranked_by, order)
    depth = np.minimum(k, np.bincount(held_out.row, minlength=n_users))
    row = held_out.row[liked]
    first = _first_ranks(row, place[liked], n_users)
    return user_ranking(row, place[liked], first, k, depth), _ranked_by(unpredicted)


def _first_ranks(row: IntArray, place: IntArray, n_users: int) -> Float64Array:
    first = np.full(n_users, np.inf)
    np.minimum.at(first, row, place + 1.0)
    return first


def _ranked_by(unpredicted: BoolArray) -> str:
    by_score = int(unpredicted.sum())
    if by_score == 0:
        return "prediction"
    if by_score == len(unpredicted):
        return "score"
    return f"prediction for {len(unpredicted) - by_score} users, score for {by_score}"
