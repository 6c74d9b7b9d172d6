"""A quick lower bound of the best scores, so that only few of many need be sorted."""

from __future__ import annotations

import numpy as np

from movierec.data.dataset import FloatArray

__all__ = ["below_kth"]

GROUP = 16  # movies whose maximum is taken together


def below_kth(scores: FloatArray, k: int) -> FloatArray:
    """Return a lower bound of each row's k-th largest score, (m, n) -> (m,).

    The k-th largest of the maxima of groups is never above the k-th largest score. A group is
    every so-manieth movie: maxima along long rows are quick.
    """
    m, n = scores.shape
    groups = n // GROUP
    if groups < k:
        return np.full(m, -np.inf, np.float32)
    maxima = scores[:, : groups * GROUP].reshape(m, GROUP, groups).max(axis=1)
    edge: FloatArray = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    return edge
