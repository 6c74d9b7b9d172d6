"""Lists of seconds as the few numbers that are told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["summary"]


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Return `count`, `median`, `p95` and `max`; p95 between the two nearest, NaN of nothing."""
    values = np.asarray(seconds, dtype=float)
    if not values.size:
        return {"count": 0, "median": float("nan"), "p95": float("nan"), "max": float("nan")}
    median, p95 = np.quantile(values, [0.5, 0.95])
    return {
        "count": int(values.size),
        "median": round(float(median), 4),
        "p95": round(float(p95), 4),
        "max": round(float(values.max()), 4),
    }
