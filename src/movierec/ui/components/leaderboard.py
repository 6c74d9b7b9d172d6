"""Where a version stands: its test metrics beside the floors and published numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from movierec.comparison.metrics import BY_KEY, FLOORS, Metric
from movierec.metadata import EvaluationSummary
from movierec.store.records import VersionRecord

__all__ = [
    "METRICS",
    "Metric",
    "Row",
    "best_floor",
    "best_in",
    "protocol",
    "rows",
    "rungs",
    "same_test_part",
]

Kind = Literal["version", "floor", "published"]


_RECALL = Metric("recall_rated", "R@10 rated", ("rated", "recall_at_10"), BY_KEY["ndcg_rated"].hint)
METRICS = (
    *(BY_KEY[key] for key in ("rmse", "mae", "ndcg_full", "hit_full", "precision_rated")),
    _RECALL,
    BY_KEY["ndcg_rated"],
)
_BY_KEY = {metric.key: metric for metric in METRICS}

# RMSE on u1 as published; the test part never used for choosing anything, unless noted.
_PUBLISHED_U1 = (
    ("myFM, all side information", 0.8808, "512 Gibbs samples averaged"),
    ("GLocal-K", 0.8889, "best epoch picked on the test part"),
    ("MG-GAT", 0.890, ""),
    ("STAR-GCN", 0.895, ""),
    ("IMC-GAE", 0.8967, ""),
    ("GraphRec with features", 0.897, ""),
    ("GC-MC with features", 0.905, ""),
    ("GC-MC", 0.910, ""),
)
_FIRST_REPORT = {
    "rmse": 1.0321,
    "mae": 0.8547,
    "precision_rated": 0.6727,
    "recall_rated": 0.7315,
    "ndcg_rated": 0.8372,
}


@dataclass(frozen=True)
class Row:
    """One system measured, or said, to reach these values; NaN is "not measured"."""

    system: str
    kind: Kind
    values: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def value(self, key: str) -> float:
        """Return one metric, NaN when it was not measured."""
        return self.values.get(key, math.nan)


def rows(version: VersionRecord) -> list[Row]:
    """Return the version, its floors on the same split, then published numbers that apply."""
    own = Row(version.name, "version", _values(version.metadata.evaluation))
    return [own, *_floor_rows(version), *_published_rows(version)]


def best_floor(table: Sequence[Row], key: str) -> Row | None:
    """Return the floor that is best in one metric, None when no floor has it."""
    floors = [row for row in table if row.kind == "floor" and not math.isnan(row.value(key))]
    best = min if _BY_KEY[key].lower_is_better else max
    return best(floors, key=lambda row: row.value(key)) if floors else None


def best_in(table: Sequence[Row], key: str) -> float:
    """Return the best value measured on this split, published numbers left out."""
    values = [row.value(key) for row in table if row.kind != "published"]
    known = [value for value in values if not math.isnan(value)]
    best = min if _BY_KEY[key].lower_is_better else max
    return best(known) if known else math.nan


def rungs(table: Sequence[Row], key: str) -> pd.DataFrame:
    """Return one metric of all systems as `charts.ladder` reads it."""
    return pd.DataFrame(
        [(row.system, row.value(key), row.kind) for row in table],
        columns=["system", "value", "kind"],
    )


def protocol(version: VersionRecord) -> str:
    """Say in one sentence under which protocol the version was measured."""
    evaluation = version.metadata.evaluation
    count = evaluation.n_ratings
    ratings = "held-out ratings" if count is None else f"{count:,} held-out ratings"
    return (
        f"{ratings} of {version.dataset_name}, split {version.split_label}, scored once at the end"
        f"{_told(evaluation)}{_ranked(evaluation)}"
    )


def same_test_part(one: VersionRecord, other: VersionRecord) -> bool:
    """Return whether two versions were measured on the same ratings, as far as their rows tell."""
    parts = [version.metadata.split_test_sha256 for version in (one, other)]
    return one.fingerprint == other.fingerprint and parts[0] is not None and parts[0] == parts[1]


def _told(evaluation: EvaluationSummary) -> str:
    """Say that predicted ratings knew their time, and what the RMSE is where they do not."""
    without = evaluation.without_time.rmse
    if without is None or without == evaluation.rmse:
        return ""
    return (
        f"; each prediction knew when the rating was given (RMSE {without:.4f} where it does not)"
    )


def _ranked(evaluation: EvaluationSummary) -> str:
    """Say that only a sample of the test users was ranked, where it was."""
    who = evaluation.protocol.users_ranked
    return f"; ranking measured on {who}" if who else ""


def _values(evaluation: EvaluationSummary) -> dict[str, float]:
    return {metric.key: metric.value_in(evaluation) for metric in METRICS}


def _floor_rows(version: VersionRecord) -> list[Row]:
    floors = version.metadata.floors
    return [
        Row(label, "floor", _values(floors[name]))
        for name, label in FLOORS.items()
        if name in floors
    ]


def _published_rows(version: VersionRecord) -> list[Row]:
    if version.dataset_name != "ml-100k":
        return []
    split = version.metadata.split.name
    if split == "u1":
        return [Row(name, "published", {"rmse": v}, note) for name, v, note in _PUBLISHED_U1]
    if split == "random":
        return [Row("first report", "published", _FIRST_REPORT, "another random 80/20 split")]
    return []
