"""Ranking metrics of one list per user, and the lists themselves.

Ties in the scores are broken by one random order of the movies, the same for every user and
every model (`tie_order`). Neither index order nor popularity can leak through equal scores, and
a constant score ranks like chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import FloatArray, IntArray
from movierec.errors import EvaluationError
from movierec.evaluation.ratings import Float64Array
from movierec.models.arrays import below_kth

__all__ = [
    "METRICS",
    "RankedCandidates",
    "RankingMetrics",
    "UserRanking",
    "metric_key",
    "place_within_users",
    "ranking_at_k",
    "tie_order",
    "user_ranking",
]

RankingMetrics: TypeAlias = dict[str, float]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

METRICS = ("precision", "recall", "ndcg", "hit_rate", "map", "mrr")
TIE_SEED = 20_240_607  # any constant does; changing it moves the metrics of models with ties
MASKED = np.iinfo(np.int64).min
LOWEST = np.finfo(np.float32).min  # stands for -inf, which no candidate has but those left out
MOST_SORTED = 16  # times k; where more scores are near the top, as among equals, none is sorted


def metric_key(metric: str, k: int) -> str:
    """Return the metric's name in tables and files, e.g. `ndcg_at_10`; `mrr` has no cut-off."""
    return metric if metric == "mrr" else f"{metric}_at_{k}"


def tie_order(n_movies: int) -> IntArray:
    """Return each movie's rank among equals, (n_movies,): of two equal scores the larger wins."""
    return np.random.default_rng(TIE_SEED).permutation(n_movies)


@dataclass(frozen=True)
class UserRanking:
    """Ranking metrics of each user, NaN where the user has no relevant movie.

    Shapes: values[metric] and n_relevant: (n_users,), for every metric of `METRICS`.
    """

    k: int
    values: Mapping[str, Float64Array]
    n_relevant: IntArray

    @classmethod
    def joined(cls, parts: Sequence[UserRanking]) -> UserRanking:
        """Return the rankings of several blocks of users as one, in this order."""
        values = {name: np.concatenate([part.values[name] for part in parts]) for name in METRICS}
        relevant = np.concatenate([part.n_relevant for part in parts])
        return cls(parts[0].k, values, relevant)

    def summary(self) -> RankingMetrics:
        """Return the means over users with a relevant movie, and how many `users` those are."""
        counted = self.n_relevant > 0
        means = {
            metric_key(name, self.k): float(values[counted].mean()) if counted.any() else np.nan
            for name, values in self.values.items()
        }
        return {**means, "users": int(counted.sum())}

    def columns(self, protocol: str) -> dict[str, Float64Array]:
        """Return the values under their column names, e.g. `full_ndcg_at_10`."""
        return {f"{protocol}_{metric_key(n, self.k)}": v for n, v in self.values.items()}


def ranking_at_k(scores: FloatArray, seen: Any, relevant: Any, k: int = 10) -> UserRanking:
    """Rank all movies but the seen ones for each user and measure the lists.

    Shapes: scores: (n_users, n_movies), higher is better; seen, relevant: CSR matrices of that
    shape whose stored entries are the seen and the relevant movies.

    Raises:
        EvaluationError: the shapes differ, or a score is NaN.

    """
    for name, matrix in (("seen", seen), ("relevant", relevant)):
        _require_shape(name, matrix.shape, scores.shape)
    ranked = RankedCandidates(scores, *_pairs(seen), tie_order(scores.shape[1]))
    row, movie = _pairs(relevant)
    place = ranked.places(row, movie, ranked.top_keys(k))
    return user_ranking(row, place, ranked.first_ranks(row, movie), k)


def _pairs(matrix: Any) -> tuple[IntArray, IntArray]:
    counts = np.diff(matrix.indptr)
    return np.repeat(np.arange(matrix.shape[0]), counts), matrix.indices


def _require_shape(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if shape != wanted:
        raise EvaluationError(
            f"{name} has shape {shape}, expected {wanted}.",
            hint="Rows are the users asked for, columns all movies of the data set.",
        )


class RankedCandidates:
    """The candidates of a block of users, in the order of their scores.

    An int64 key of a user and a movie holds the score's bits above the movie's rank among equals,
    so all keys of a user differ and a larger key is a better place. Keys are made only of what may
    be in a list: the scores alone leave out nearly everything.
    """

    def __init__(
        self, scores: FloatArray, seen_row: IntArray, seen_movie: IntArray, order: IntArray
    ) -> None:
        self._scores = np.maximum(scores, LOWEST, dtype=np.float32)  # a copy; NaN stays NaN
        if np.isnan(self._scores.min(initial=0)):
            raise EvaluationError(
                "A ranking score is NaN.", hint="score() must rank every movie; use -inf for last."
            )
        self._scores[seen_row, seen_movie] = -np.inf
        self._order = order
        self._movie_of = np.argsort(order)

    def top_keys(self, k: int) -> IntArray:
        """Return the k largest keys of each user, best first; MASKED where candidates run out."""
        found = self._scores >= below_kth(self._scores, k)[:, None]
        count = np.count_nonzero(found, axis=1)
        top = np.full((len(found), k), MASKED)
        crowded = count > MOST_SORTED * k
        for row in np.flatnonzero(crowded).tolist():
            top[row] = self._best_of(row, k)
        found[crowded] = False
        self._place(top, *np.divmod(np.flatnonzero(found), found.shape[1]))
        return top

    def movies(self, keys: IntArray) -> IntArray:
        """Return the movies of keys, in their shape; -1 for MASKED."""
        movies: IntArray = np.where(keys == MASKED, -1, self._movie_of[keys & 0xFFFFFFFF])
        return movies

    def places(self, row: IntArray, movie: IntArray, top: IntArray) -> IntArray:
        """Return the place of each (row, movie) in its user's top k, from 0; k when not in it."""
        own = self._keys(row, movie)
        place = np.count_nonzero(top[row] > own[:, None], axis=1)
        placed: IntArray = np.where(own == MASKED, top.shape[1], place)
        return placed

    def first_ranks(self, row: IntArray, movie: IntArray) -> Float64Array:
        """Return the rank of each user's best pair among all candidates, from 1; inf for none."""
        best = np.full(len(self._scores), MASKED)
        np.maximum.at(best, row, self._keys(row, movie))
        ranks, movies = np.full(len(best), np.inf), self.movies(best)
        for at in np.flatnonzero(movies >= 0).tolist():
            ranks[at] = self._rank(self._scores[at], movies[at])
        return ranks

    def _keys(self, row: IntArray, movie: IntArray) -> IntArray:
        score = self._scores[row, movie]
        keys = _sortable(score) << 32 | self._order[movie]
        return np.where(score == -np.inf, MASKED, keys)

    def _best_of(self, row: int, k: int) -> IntArray:
        """Return `top_keys` of a user many of whose scores are equal, (k,)."""
        n_movies = len(self._order)
        keys = self._keys(np.full(n_movies, row), np.arange(n_movies))
        best: IntArray = np.partition(keys, n_movies - k)[n_movies - k :]
        best.sort()
        return best[::-1]

    def _place(self, top: IntArray, row: IntArray, movie: IntArray) -> None:
        """Put the best of some pairs, ascending by row, where they belong."""
        keys = self._keys(row, movie)
        order = np.lexsort((keys, row))
        row, keys = row[order], keys[order]
        place = np.searchsorted(row, row, side="right") - 1 - np.arange(len(row))
        kept = place < top.shape[1]
        top[row[kept], place[kept]] = keys[kept]

    def _rank(self, scores: FloatArray, movie: int) -> int:
        above, equal = np.count_nonzero(scores > scores[movie]), scores == scores[movie]
        if np.count_nonzero(equal) > 1:
            above += np.count_nonzero(self._order[equal] > self._order[movie])
        return 1 + int(above)


def _sortable(scores: FloatArray) -> IntArray:
    """Return int64 numbers in the order of the float32 scores (IEEE 754 bits, sign folded)."""
    bits = (scores.astype(np.float32, copy=False) + np.float32(0)).view(np.int32)  # -0 becomes 0
    return (bits ^ (bits >> 31 & 0x7FFFFFFF)).astype(np.int64)


def place_within_users(row: IntArray, score: FloatArray, order: IntArray) -> IntArray:
    """Return the place, from 0, of each pair among the pairs of the same row, best score first.

    Shapes: row, score, order: (n,) -> (n,). Of two equal scores the larger `order` comes first.
    """
    sorting = np.lexsort((-order, -score.astype(np.float64), row))
    starts = np.flatnonzero(np.diff(row[sorting], prepend=-1))
    lengths = np.diff(starts, append=len(row))
    place = np.empty(len(row), np.int64)
    place[sorting] = np.arange(len(row)) - np.repeat(starts, lengths)
    return place


def user_ranking(
    row: IntArray,
    place: IntArray,
    first_rank: Float64Array,
    k: int,
    depth: IntArray | int | None = None,
) -> UserRanking:
    """Measure lists of which only the places of the relevant movies are known.

    Shapes: row, place: (n_pairs,), one pair per user and relevant movie, place from 0;
    first_rank: (n_users,), rank of the first relevant candidate from 1; depth: precision's
    denominator, k by default, or one per user.
    """
    hits = np.zeros((len(first_rank), k), bool)
    hits[row[place < k], place[place < k]] = True
    relevant = np.bincount(row, minlength=len(hits))
    values = {
        "precision": _precision(hits, k if depth is None else depth),
        "recall": _divide(hits.sum(1), relevant),
        "ndcg": _ndcg(hits, relevant),
        "hit_rate": hits.any(1).astype(np.float64),
        "map": _average_precision(hits, relevant),
        "mrr": 1.0 / first_rank,
    }
    undefined = np.where(relevant > 0, 0.0, np.nan)
    return UserRanking(k, {name: value + undefined for name, value in values.items()}, relevant)


def _precision(hits: BoolArray, depth: IntArray | int) -> Float64Array:
    """Hits among the first k / depth, where depth is k or min(k, number of candidates)."""
    return _divide(hits.sum(1), np.broadcast_to(depth, len(hits)))


def _ndcg(hits: BoolArray, relevant: IntArray) -> Float64Array:
    """Sum of 1/log2(rank + 1) over hits, divided by the same sum for min(k, relevant) first hits.

    Järvelin and Kekäläinen (2002) with binary gain.
    """
    discount = 1.0 / np.log2(np.arange(hits.shape[1]) + 2.0)
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    return _divide(hits @ discount, ideal[np.minimum(relevant, hits.shape[1])])


def _average_precision(hits: BoolArray, relevant: IntArray) -> Float64Array:
    """Mean of precision@rank over the hits' ranks; divided by min(k, relevant), misses count 0."""
    precision_at = np.cumsum(hits, axis=1) / (np.arange(hits.shape[1]) + 1.0)
    return _divide((precision_at * hits).sum(1), np.minimum(relevant, hits.shape[1]))


def _divide(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Float64Array:
    """Divide; NaN where the denominator is 0."""
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
