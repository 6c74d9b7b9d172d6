"""The best of many scores, exactly, without sorting them all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import FloatArray, IntArray

__all__ = ["best", "best_of_rows"]

GROUP = 16  # movies whose maximum is taken together


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

    The k-th largest of the maxima of groups is never above the k-th largest score, so that only
    what reaches it need be sorted.

    Shapes: scores: (m, n), -inf for what is not allowed -> rows, columns: (found,), by row, best
    first; a row may have fewer than k.
    """
    row, column = np.divmod(
        np.flatnonzero(scores >= _floor(scores, k)[:, None]), max(1, scores.shape[1])
    )
    value = scores[row, column]
    order = np.lexsort((-popularity[column], -value, row))
    row, column, value = row[order], column[order], value[order]
    place = np.arange(len(row)) - np.searchsorted(row, np.arange(len(scores)))[row]
    kept = (place < k) & np.isfinite(value)
    return row[kept], column[kept]


def _floor(scores: FloatArray, k: int) -> FloatArray:
    """Return a lower bound of each row's k-th largest score, (m,).

    A group is every so-manieth movie: maxima along long rows are quick.
    """
    m, n = scores.shape
    groups = n // GROUP
    if groups < k:
        return np.full(m, -np.inf, np.float32)
    maxima = scores[:, : groups * GROUP].reshape(m, GROUP, groups).max(axis=1)
    edge: FloatArray = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    return edge
