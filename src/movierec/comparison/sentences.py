"""A comparison in words: names of verdicts, and the sentence that says which version is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from movierec.comparison.metrics import BY_KEY
from movierec.comparison.results import Obstacle
from movierec.evaluation.significance import Difference

__all__ = [
    "LEADS",
    "NOT_MEASURED",
    "delta_text",
    "interval_text",
    "sentence_of",
    "value_text",
]

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


# What a verdict is told by: how well it ranks, and how well it predicts.
LEADS: Mapping[str, str] = {"ndcg_full": "at ranking", "rmse": "on RMSE"}
_SAID = {"better": "better", "worse": "worse", "can't tell": "can't be told apart"}


def sentence_of(
    baseline: str,
    version: str,
    differences: Mapping[str, Difference],
    obstacles: Sequence[Obstacle] = (),
) -> str:
    """Return one sentence without a full stop; `differences` are by `Metric.key`."""
    if obstacles:
        whats = ", ".join(obstacle.what for obstacle in obstacles)
        return f"{version} can't be compared with {baseline}: {whats}"
    told = {key: differences[key] for key in LEADS if key in differences}
    missing = [BY_KEY[key].label for key in LEADS if key not in differences]
    if not told:
        return f"Neither ranking nor RMSE was measured for both {version} and {baseline}"
    rest = f"; {' and '.join(missing)} was not measured for both" if missing else ""
    return f"{version} {_claims(baseline, told)}{rest}"


def _claims(baseline: str, told: Mapping[str, Difference]) -> str:
    """Return "is better than v1.0.0 at ranking (…) and can't be told apart on RMSE (…)"."""
    parts: list[str] = []
    before = ""
    for key, found in told.items():
        aspect = f"{LEADS[key]} ({_ground(key, found)})"
        verdict = found.verdict
        if verdict == before:
            parts.append(aspect)
        elif not parts:
            parts.append(f"{_first(verdict, baseline)} {aspect}")
        else:
            is_plain = before != "can't tell" or verdict == "can't tell"
            parts.append(f"{'' if is_plain else 'is '}{_SAID[verdict]} {aspect}")
        before = verdict
    return " and ".join(parts)


def _first(verdict: str, baseline: str) -> str:
    if verdict == "can't tell":
        return f"{_SAID[verdict]} from {baseline}"
    return f"is {_SAID[verdict]} than {baseline}"


def _ground(key: str, found: Difference) -> str:
    label = "" if key == "rmse" else "NDCG@10 "
    interval = interval_text(key, found.low, found.high)
    return f"{label}{delta_text(key, found.delta)}, 95 % interval {interval}"
