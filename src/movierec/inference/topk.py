"""The best of many scores, exactly, without sorting them all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import FloatArray, IntArray

__all__ = ["best", "best_of_rows"]

BLOCK = 64  # movies whose maximum is taken together


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

    The k-th largest of the maxima of blocks is never above the k-th largest score, so that only
    what reaches it need be sorted.

    Shapes: scores: (m, n), -inf for what is not allowed -> rows, columns: (found,), by row, best
    first; a row may have fewer than k.
    """
    floor = _floor(scores, k)
    row, column = np.nonzero((scores >= floor[:, None]) & np.isfinite(scores))
    order = np.lexsort((-popularity[column], -scores[row, column], row))
    row, column = row[order], column[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    kept = place < k
    return row[kept], column[kept]


def _floor(scores: FloatArray, k: int) -> FloatArray:
    """Return a lower bound of each row's k-th largest score, (m,)."""
    m, n = scores.shape
    blocks = n // BLOCK
    if blocks < k:
        return np.full(m, -np.inf, np.float32)
    maxima = scores[:, : blocks * BLOCK].reshape(m, blocks, BLOCK).max(axis=2)
    edge: FloatArray = np.partition(maxima, blocks - k, axis=1)[:, blocks - k]
    return edge
