"""The best of many scores, exactly, without sorting them all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import FloatArray, IntArray
from movierec.models.topk import below_kth

__all__ = ["best", "best_of_rows"]


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
