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

__all__ = ["RELEVANT_RATING", "FullRanking", "HeldOut", "Ranked", "rank_full", "rank_rated"]

RELEVANT_RATING = 4.0  # stars; "liked" in EVALUATION's protocols
CELLS_AT_ONCE = 2**22  # scores of a block of users: about 40 MB with their copy
# scores of all test users: beyond, a sample of the users is ranked. It takes 10 to 20 s a model,
# and at 87,585 movies leaves 22,835 users: a standard error of 0.0033 at most (docs/LOG.md)
MOST_CELLS = 2 * 10**9
SAMPLE_SEED = 20_251_125  # any constant does; changing it changes who is ranked


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The test part by user, and how much was known before it.

    Shapes: users: (n_users,) user indices that have test ratings, ascending; row: (n_test,)
    place in `users` of each test rating; n_known: (all users,) known ratings of each user;
    popularity: (n_movies,) known ratings of each movie.
    """

    users: IntArray
    row: IntArray
    ratings: Interactions
    n_known: IntArray
    popularity: IntArray

    @classmethod
    def of(cls, dataset: Dataset, split: Split) -> HeldOut:
        """Take the test part out of a data set."""
        ratings, every = dataset.ratings.take(split.test), dataset.ratings
        n_test = np.bincount(ratings.user, minlength=dataset.n_users)
        tested = np.bincount(ratings.movie, minlength=dataset.n_movies)
        return cls(
            np.flatnonzero(n_test),
            (np.cumsum(n_test > 0) - 1)[ratings.user],
            ratings,
            # what is not in the test part is known, whatever the split
            np.bincount(every.user, minlength=dataset.n_users) - n_test,
            np.bincount(every.movie, minlength=dataset.n_movies) - tested,
        )

    @property
    def n_raters(self) -> int:
        """How many users have known ratings."""
        return int(np.count_nonzero(self.n_known))


@dataclass(frozen=True, eq=False)
class Ranked:
    """The test users who are ranked: all of them, or as many as `MOST_CELLS` allows.

    Who that is hangs on the split and the number of movies alone, so that it is the same for
    every model. It is a sample of users, never one of candidates.

    Shapes: users: (n_users,) user indices, ascending; place: (n_users,) their places in
    `HeldOut.users`; pairs: (n_pairs,) which test ratings are theirs; row, movie, liked:
    (n_pairs,) of those ratings; known: CSR (n_users, n_movies) of their known ratings.
    """

    users: IntArray
    place: IntArray
    pairs: IntArray
    row: IntArray
    movie: IntArray
    liked: BoolArray
    known: Any

    @classmethod
    def of(cls, dataset: Dataset, split: Split, held_out: HeldOut) -> Ranked:
        """Choose who is ranked."""
        place = _chosen(len(held_out.users), dataset.n_movies)
        row_of = np.full(len(held_out.users), -1)
        row_of[place] = np.arange(len(place))
        pairs = np.flatnonzero(row_of[held_out.row] >= 0)
        users = held_out.users[place]
        return cls(
            users,
            place,
            pairs,
            row_of[held_out.row[pairs]],
            held_out.ratings.movie[pairs],
            held_out.ratings.rating[pairs] >= RELEVANT_RATING,
            dataset.ratings.among(users, dataset.n_users, without=split.test).matrix(
                len(users), dataset.n_movies
            ),
        )

    @property
    def n_movies(self) -> int:
        """Number of movies in the catalogue."""
        return int(self.known.shape[1])

    def blocks(self) -> Iterator[tuple[slice, IntArray]]:
        """Yield consecutive rows with the pairs of those rows, bounded in memory."""
        size = max(1, CELLS_AT_ONCE // max(1, self.n_movies))
        by_row = np.argsort(self.row, kind="stable")
        ends = np.cumsum(np.bincount(self.row, minlength=len(self.users)))
        for start in range(0, len(self.users), size):
            stop = min(start + size, len(self.users))
            first = ends[start - 1] if start else 0
            yield slice(start, stop), by_row[first : ends[stop - 1]]


def _chosen(n_users: int, n_movies: int) -> IntArray:
    """Return the places of the test users who are ranked, ascending."""
    size = max(1, MOST_CELLS // max(1, n_movies))
    if n_users <= size:
        return np.arange(n_users)
    drawn = np.random.default_rng(SAMPLE_SEED).choice(n_users, size, replace=False, shuffle=False)
    return np.sort(drawn)


@dataclass(frozen=True, eq=False)
class FullRanking:
    """What the `full` lists hold.

    Shapes: lists: (n_users, k) movies, best first, -1 where candidates ran out; place: (n_pairs,)
    place of each test rating in its user's list from 0, k when it is not in it; score: (n_pairs,).
    """

    lists: IntArray
    place: IntArray
    score: FloatArray
    everything: UserRanking
    liked: UserRanking


def rank_full(model: Recommender, ranked: Ranked, k: int) -> FullRanking:
    """Rank all movies but the known ones for every ranked user, a block of users at a time.

    Raises:
        EvaluationError: the scores have the wrong shape or are NaN.

    """
    n_users, n_pairs = len(ranked.users), len(ranked.row)
    lists = np.empty((n_users, k), np.int64)
    place, score = np.empty(n_pairs, np.int64), np.empty(n_pairs, np.float32)
    first, first_liked = np.empty(n_users), np.empty(n_users)
    order, liked = tie_order(ranked.n_movies), ranked.liked
    for rows, pairs in ranked.blocks():
        scores = _scores(model, ranked.users[rows], ranked.n_movies)
        row, movie = ranked.row[pairs] - rows.start, ranked.movie[pairs]
        score[pairs] = scores[row, movie]
        candidates = RankedCandidates(scores, *_known_pairs(ranked, rows), order)
        top = candidates.top_keys(k)
        lists[rows] = candidates.movies(top)
        place[pairs] = candidates.places(row, movie, top)
        first[rows] = candidates.first_ranks(row, movie)
        first_liked[rows] = candidates.first_ranks(row[liked[pairs]], movie[liked[pairs]])
    everything = user_ranking(ranked.row, place, first, k)
    only_liked = user_ranking(ranked.row[liked], place[liked], first_liked, k)
    return FullRanking(lists, place, score, everything, only_liked)


def _scores(model: Recommender, users: IntArray, n_movies: int) -> FloatArray:
    scores = np.asarray(model.score(users), np.float32)
    if scores.shape != (len(users), n_movies):
        raise EvaluationError(
            f"score() returned shape {scores.shape} for {len(users)} users and {n_movies} movies.",
            hint="It must return one score per user asked for and movie of the data set.",
        )
    return scores


def _known_pairs(ranked: Ranked, rows: slice) -> tuple[IntArray, IntArray]:
    known = ranked.known[rows]
    return np.repeat(np.arange(known.shape[0]), np.diff(known.indptr)), known.indices


def rank_rated(
    ranked: Ranked, prediction: FloatArray, score: FloatArray, k: int
) -> tuple[UserRanking, str]:
    """Rank each user's own test movies; relevant are those with `RELEVANT_RATING` or more.

    A user is ranked by predicted rating when all of the user's predictions are numbers, else by
    score. Precision is taken over min(k, number of candidates).

    Shapes: prediction, score: (n_pairs,).

    Returns:
        The metrics and what the lists were ranked by: "prediction", "score" or how many of each.

    """
    n_users, liked = len(ranked.users), ranked.liked
    unpredicted = np.bincount(ranked.row, weights=np.isnan(prediction), minlength=n_users) > 0
    ranked_by = np.where(unpredicted[ranked.row], score, prediction)
    order = tie_order(ranked.n_movies)[ranked.movie]
    place = place_within_users(ranked.row, ranked_by, order)
    depth = np.minimum(k, np.bincount(ranked.row, minlength=n_users))
    row = ranked.row[liked]
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
