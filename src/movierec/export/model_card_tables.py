"""A model card's numbers: test metrics beside the reference baselines, groups, certainty."""

from __future__ import annotations

import math
from collections.abc import Mapping

from movierec.comparison.metrics import BEYOND, PAIRED, Metric, values_of
from movierec.export.markdown import markdown_table, plain_text
from movierec.metadata import SliceSummary
from movierec.store import VersionRecord

__all__ = ["certainty", "decimal", "listed", "metrics", "slices"]

DASH = "–"
REFERENCE_BASELINES = ("biases", "popular", "constant", "random")
FEW_RATINGS = 50  # an error over fewer says little


def listed(facts: Mapping[str, object]) -> str:
    """Return facts as a Markdown list, without those that are not known."""
    known = {name: text for name, text in facts.items() if text not in ("", None)}
    return "\n".join(f"- {plain_text(name)}: {plain_text(text)}" for name, text in known.items())


def decimal(value: object, digits: int) -> str:
    """Return a number with fixed decimals; a dash for what was not measured."""
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return f"{value:,.{digits}f}" if is_number else DASH


def metrics(record: VersionRecord) -> str:
    """Return the test metrics beside the reference baselines: accuracy, and what is beyond it."""
    own = values_of(record.metadata.evaluation)
    floors = record.metadata.floors
    known = {name: values_of(floors[name]) for name in REFERENCE_BASELINES if name in floors}
    if not any(math.isfinite(value) for value in own.values()):
        return "Nothing was measured."
    head = ("Metric", record.name, *known)
    accuracy, beyond = (_metric_rows(group, own, known) for group in (PAIRED, BEYOND))
    return (
        "Beside simple baselines that every model should beat, on the same split. "
        "↓ lower is better, ↑ higher.\n\n"
        f"{markdown_table(head, accuracy)}\n\n"
        f"Beyond accuracy:\n\n{markdown_table(head, beyond)}"
    )


def _metric_rows(
    group: tuple[Metric, ...], own: Mapping[str, float], floors: Mapping[str, dict[str, float]]
) -> list[list[str]]:
    return [
        [
            f"{plain_text(metric.label)} {'↓' if metric.lower_is_better else '↑'}",
            decimal(own[metric.key], metric.digits),
            *(decimal(values[metric.key], metric.digits) for values in floors.values()),
        ]
        for metric in group
    ]


def slices(record: VersionRecord) -> str:
    """Return every group of users and movies, the worst served first."""
    rows = sorted(record.metadata.slices, key=_badness)
    if not rows:
        return ""
    head = ("Group", "Value", "Users", "Ratings", "RMSE", "NDCG@10 full", "R@10 full")
    return (
        f"By RMSE; those with fewer than {FEW_RATINGS} test ratings, which say little, are last."
        f"\n\n{markdown_table(head, map(_slice_cells, rows), right=2)}"
    )


def _slice_cells(row: SliceSummary) -> list[str]:
    return [
        plain_text(row.slice), plain_text(row.value), decimal(row.users, 0),
        decimal(row.ratings, 0), decimal(row.rmse, 4), decimal(row.ndcg_at_10, 3),
        decimal(row.recall_at_10, 3),
    ]  # fmt: skip


def _badness(row: SliceSummary) -> tuple[bool, float, float]:
    is_small = (row.ratings or 0) < FEW_RATINGS
    return is_small, -(row.rmse or 0.0), row.recall_at_10 or 0.0


def certainty(record: VersionRecord) -> str:
    """Return how far the probabilities of ratings come true."""
    facts = record.metadata.evaluation.calibration
    if not facts.n:
        return "This model gives no probabilities: how sure it is was not measured."
    fitted = record.metadata.calibration
    return listed({
        "Calibration error": f"{decimal(facts.ece, 3)}, 0 where probabilities come true",
        "NLL": f"{decimal(facts.nll, 3)} nats per test rating",
        "80 % intervals": f"hold {_share(facts.coverage_80)} of the test ratings, claim "
        f"{_share(facts.claimed_80)}, are {decimal(facts.width_80, 2)} stars wide",
        "Fitted by": fitted.method,
        "Temperature": decimal(fitted.temperature, 3) if fitted.is_recorded else "",
    })  # fmt: skip


def _share(value: object) -> str:
    return f"{decimal(100 * value, 1)} %" if isinstance(value, int | float) else DASH
