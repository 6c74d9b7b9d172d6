"""Numbers of a comparison as text: the page, the CLI and the report agree to the digit."""

from __future__ import annotations

import math

from movierec.comparison.metrics import BY_KEY

__all__ = ["NOT_MEASURED", "delta_text", "interval_text", "value_text"]

NOT_MEASURED = "–"


def value_text(key: str, value: float) -> str:
    """Return a metric's value with its digits, "0.857"; a dash for what was not measured."""
    if not math.isfinite(value):
        return NOT_MEASURED
    return _minus(f"{value:.{BY_KEY[key].digits}f}")


def delta_text(key: str, delta: float) -> str:
    """Return a difference of a metric with its sign, "+0.012"; none where it rounds to zero."""
    if not math.isfinite(delta):
        return NOT_MEASURED
    text = f"{delta:+.{BY_KEY[key].digits}f}"
    return _minus(text) if float(text) else text[1:]


def interval_text(key: str, low: float, high: float) -> str:
    """Return an interval of a metric's difference, "+0.007 to +0.017"."""
    if not math.isfinite(low) or not math.isfinite(high):
        return NOT_MEASURED
    return f"{delta_text(key, low)} to {delta_text(key, high)}"


def _minus(text: str) -> str:
    return text.replace("-", "−")
