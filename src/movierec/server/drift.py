"""Whether what is served is what the validation part led to expect."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

import numpy as np

__all__ = ["Drift", "stability_index"]

WINDOW = 5_000  # served movies that are looked at together
LEAST = 500  # before that the index is mostly noise
BINS = 10
_FLOOR = 1e-4  # an empty bin's share; the logarithm of 0 is none


def stability_index(served: Sequence[int], expected: Sequence[float]) -> float:
    """Return the population stability index of counts against expected shares.

        PSI = sum_i (p_i - q_i) * ln(p_i / q_i)

    with p the served and q the expected share of bin i (Siddiqi 2006, "Credit Risk Scorecards":
    below 0.1 alike, above 0.25 another population). NaN where nothing was served.
    """
    total = sum(served)
    if not total:
        return math.nan
    pairs = [
        (max(n / total, _FLOOR), max(q, _FLOOR)) for n, q in zip(served, expected, strict=True)
    ]
    return sum((p - q) * math.log(p / q) for p, q in pairs)


class Drift:
    """Predicted ratings of the last movies served, against those of the reference lists.

    The bins are the reference's deciles, so that each expects a tenth, or more where many
    predictions are alike.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._last: deque[float] = deque(maxlen=window)
        self._sum = 0.0
        self._edges: list[float] = []
        self._counts: list[int] = []
        self._expected: list[float] = []
        self.reference_mean = math.nan

    def refer_to(self, predicted: Sequence[float]) -> None:
        """Set the reference; what was served before does not count."""
        if not predicted:
            return
        edges = np.unique(np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1])).tolist()
        counts = np.bincount([bisect_right(edges, p) for p in predicted], minlength=len(edges) + 1)
        self._last.clear()
        self._sum = 0.0
        self._expected = (counts / len(predicted)).tolist()
        self._counts = [0] * len(self._expected)
        self.reference_mean = float(np.mean(predicted))
        self._edges = edges

    def serve(self, predicted: Sequence[float | None]) -> None:
        """Count the predicted ratings of a list that was served."""
        if not self._expected:
            return
        for rating in predicted:
            if rating is not None:
                self._push(rating)

    @property
    def index(self) -> float:
        """The stability index of the last movies served; NaN below 500 of them."""
        if len(self._last) < LEAST:
            return math.nan
        return stability_index(self._counts, self._expected)

    @property
    def served_mean(self) -> float:
        """Their mean predicted rating, in stars; NaN without any."""
        return self._sum / len(self._last) if self._last else math.nan

    def _push(self, rating: float) -> None:
        if len(self._last) == self._last.maxlen:
            oldest = self._last[0]
            self._counts[bisect_right(self._edges, oldest)] -= 1
            self._sum -= oldest
        self._last.append(rating)
        self._counts[bisect_right(self._edges, rating)] += 1
        self._sum += rating
