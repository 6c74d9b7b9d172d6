"""Which movies make a list: the best scores, exactly, and maximal marginal relevance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import FloatArray, IntArray
from movierec.errors import EvaluationError
from movierec.models.arrays import below_kth

__all__ = [
    "best",
    "best_of_rows",
    "check_diversity",
    "diverse",
    "n_candidates",
]

LEAST_CANDIDATES, CANDIDATES_PER_MOVIE = 100, 10


def check_diversity(diversity: float) -> None:
    """Raise EvaluationError unless the diversity lies between 0 and 1."""
    if not 0 <= diversity <= 1:
        raise EvaluationError(
            f"diversity = {diversity} is not between 0 and 1.",
            hint="0 is the plain list, 1 counts only how unlike the movies are.",
        )


def n_candidates(k: int) -> int:
    """Return from how many of the best movies a diverse list of k is chosen."""
    return max(LEAST_CANDIDATES, CANDIDATES_PER_MOVIE * k)


def diverse(scores: FloatArray, similarity: FloatArray, k: int, diversity: float) -> IntArray:
    """Return the positions of k movies, each the best trade of score against likeness.

    Maximal marginal relevance (Carbonell and Goldstein 1998, "The use of MMR"): the next movie is

        argmax_i (1 - diversity) * relevance_i - diversity * max_{j chosen} similarity_ij

    with the scores brought to 0…1 as the relevance. The first one is the best by score.

    Shapes: scores: (n,), best first; similarity: (n, n) cosines -> at most (k,).
    """
    span = float(np.ptp(scores)) if len(scores) else 0.0
    relevance = (scores - scores.min()) / span if span else np.zeros(len(scores))
    chosen: list[int] = []
    closest = np.full(len(scores), -np.inf)
    for _ in range(min(k, len(scores))):
        penalty = diversity * np.maximum(closest, -1.0) if chosen else 0.0
        worth = (1 - diversity) * relevance - penalty
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
        closest = np.maximum(closest, similarity[chosen[-1]])
    return np.array(chosen, np.int64)


def best(
    scores: FloatArray, allowed: npt.NDArray[np.bool_], popularity: IntArray, k: int
) -> IntArray:
    """Return the positions of the k highest allowed scores, best first; (n,) each.

    Equal scores are sorted by popularity, then by position.
    """
    values = np.where(allowed, scores, -np.inf)
    if k < len(values):
        edge = np.partition(values, len(values) - k)[len(values) - k]
        found = np.flatnonzero((values >= edge) & allowed)
    else:
        found = np.flatnonzero(allowed)
    order = np.lexsort((-popularity[found], -values[found]))
    return found[order[:k]]


def best_of_rows(scores: FloatArray, popularity: IntArray, k: int) -> tuple[IntArray, IntArray]:
    """Return the k best finite scores of each row, ordered as `best` does it.

    Only what reaches a lower bound of the k-th largest score need be sorted.

    Shapes: scores: (m, n), -inf for what is not allowed -> rows, columns: (found,), by row, best
    first; a row may have fewer than k.
    """
    row, column = np.divmod(
        np.flatnonzero(scores >= below_kth(scores, k)[:, None]), max(1, scores.shape[1])
    )
    value = scores[row, column]
    order = np.lexsort((-popularity[column], -value, row))
    row, column, value = row[order], column[order], value[order]
    place = np.arange(len(row)) - np.searchsorted(row, np.arange(len(scores)))[row]
    kept = (place < k) & np.isfinite(value)
    return row[kept], column[kept]
