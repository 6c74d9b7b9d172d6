"""Test metrics of versions: one beside baselines and published numbers, all of them in a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from movierec.comparison.metrics import BY_KEY, REFERENCE_BASELINES, Metric
from movierec.metadata import EvaluationSummary
from movierec.store.records import VersionRecord
from movierec.ui.components import widgets
from movierec.ui.components.charts import finish
from movierec.ui.components.text import decimal, plotly_text
from movierec.ui.components.theme import NEUTRAL, VersionStyle

__all__ = [
    "METRICS",
    "Row",
    "best_baseline",
    "best_in",
    "fit_filters",
    "headline_metrics",
    "ladder",
    "protocol",
    "rows",
    "rungs",
    "same_test_part",
    "version_table",
]

Kind = Literal["version", "baseline", "published"]


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

_RUNG_NAMES = {
    "version": "this version",
    "baseline": "baseline, same split",
    "published": "published",
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
    """Return the version, baselines on the same split, then published numbers that apply."""
    own = Row(version.name, "version", _values(version.metadata.evaluation))
    return [own, *_baseline_rows(version), *_published_rows(version)]


def best_baseline(table: Sequence[Row], key: str) -> Row | None:
    """Return the baseline that is best in one metric, None when none has it."""
    baselines = [row for row in table if row.kind == "baseline" and not math.isnan(row.value(key))]
    best = min if _BY_KEY[key].lower_is_better else max
    return best(baselines, key=lambda row: row.value(key)) if baselines else None


def best_in(table: Sequence[Row], key: str) -> float:
    """Return the best value measured on this split, published numbers left out."""
    values = [row.value(key) for row in table if row.kind != "published"]
    known = [value for value in values if not math.isnan(value)]
    best = min if _BY_KEY[key].lower_is_better else max
    return best(known) if known else math.nan


def rungs(table: Sequence[Row], key: str) -> pd.DataFrame:
    """Return one metric of all systems as `ladder` reads it."""
    return pd.DataFrame(
        [(row.system, row.value(key), row.kind) for row in table],
        columns=["system", "value", "kind"],
    )


def ladder(
    rungs: pd.DataFrame, style: VersionStyle, *, axis: str, lower_is_better: bool = True
) -> go.Figure:
    """Draw systems as dots on one axis, best on top, the version at hand in its own colour.

    `rungs`: columns `system`, `value`, `kind` ("version", "baseline" or "published").
    """
    known = rungs.dropna(subset=["value"])
    known = known.sort_values("value", ascending=not lower_is_better, kind="stable")
    known = known.assign(label=[plotly_text(name) for name in known["system"]])
    figure = go.Figure()
    for kind, marker in _rung_markers(style).items():
        chosen = known.loc[known["kind"] == kind]
        if len(chosen):
            figure.add_trace(_rung(chosen, _RUNG_NAMES[kind], marker))
    figure.update_yaxes(categoryorder="array", categoryarray=list(known["label"]), showgrid=False)
    low, high = known["value"].min(), known["value"].max()
    room = max(high - low, 0.02)
    figure.update_xaxes(range=[low - 0.08 * room, high + 0.25 * room])
    figure.update_layout(height=30 * len(known) + 120, showlegend=True)
    alt = f"{axis}, best first: " + ", ".join(
        f"{name} {decimal(value)}"
        for name, value in zip(known["system"][::-1], known["value"][::-1], strict=True)
    )
    return finish(figure, f"{axis}: {_ladder_title(known, lower_is_better)}", alt, x=axis, y="")


def _ladder_title(rungs: pd.DataFrame, lower_is_better: bool) -> str:
    own = rungs.loc[rungs["kind"] == "version", "value"]
    baselines = rungs.loc[rungs["kind"] == "baseline", "value"]
    if own.empty:
        return "not measured for this version"
    if baselines.empty:
        return "no baseline was measured on this split"
    best = baselines.argmin() if lower_is_better else baselines.argmax()
    gap = float(baselines.iloc[best] - own.iloc[0]) * (1 if lower_is_better else -1)
    name = rungs.loc[rungs["kind"] == "baseline", "system"].iloc[best]
    if gap > 0:
        return f"{decimal(gap)} better than the best simple baseline, {name}"
    return f"{decimal(-gap)} behind the best simple baseline, {name}"


def _rung(rungs: pd.DataFrame, name: str, marker: dict[str, object]) -> go.Scatter:
    return go.Scatter(
        x=rungs["value"],
        y=rungs["label"],
        mode="markers+text",
        text=[decimal(value) for value in rungs["value"]],
        textposition="middle right",
        cliponaxis=False,
        name=name,
        marker=marker,
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )


def _rung_markers(style: VersionStyle) -> dict[str, dict[str, object]]:
    return {
        "version": {"color": style.colour, "size": 15, "symbol": style.symbol},
        "baseline": {"color": NEUTRAL, "size": 10, "symbol": "circle-open", "line": {"width": 2}},
        "published": {"color": "#a5b0b8", "size": 9, "symbol": "diamond"},
    }


def protocol(version: VersionRecord) -> str:
    """Return the protocol of a version's test metrics in one sentence."""
    evaluation = version.metadata.evaluation
    count = evaluation.n_ratings
    ratings = "held-out ratings" if count is None else f"{count:,} held-out ratings"
    return (
        f"{ratings} of {version.dataset_name}, split {version.split_label}, scored once at the end"
        f"{_told(evaluation)}{_ranked(evaluation)}"
    )


def _told(evaluation: EvaluationSummary) -> str:
    """Return that predictions use the time of a rating, and the RMSE without it."""
    without = evaluation.without_time.rmse
    if without is None or without == evaluation.rmse:
        return ""
    return f"; uses the rating's time (RMSE {without:.4f} without it)"


def _ranked(evaluation: EvaluationSummary) -> str:
    """Return that only a sample of the test users was ranked, where it was."""
    who = evaluation.protocol.users_ranked
    return f"; ranking measured on {who}" if who else ""


def same_test_part(one: VersionRecord, other: VersionRecord) -> bool:
    """Return whether two versions were measured on the same ratings, as far as their rows tell."""
    parts = [version.metadata.split_test_sha256 for version in (one, other)]
    return one.fingerprint == other.fingerprint and parts[0] is not None and parts[0] == parts[1]


def _values(evaluation: EvaluationSummary) -> dict[str, float]:
    return {metric.key: metric.value_in(evaluation) for metric in METRICS}


def _baseline_rows(version: VersionRecord) -> list[Row]:
    measured = version.metadata.floors
    return [
        Row(label, "baseline", _values(measured[name]))
        for name, label in REFERENCE_BASELINES.items()
        if name in measured
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


def version_table(
    rows: Sequence[Mapping[str, object]],
    names: Sequence[str],
    take: Callable[[list[str]], None],
    *,
    key: str,
    mode: Literal["single-row", "multi-row"],
    alt: str,
) -> None:
    """Draw rows, one for each of `names`; `take` gets the names selected, when that changes."""
    columns = {
        metric.label: st.column_config.NumberColumn(format=f"%.{metric.digits}f", help=metric.hint)
        for metric in BY_KEY.values()
    }
    widgets.selectable(
        pd.DataFrame(rows), names, take, key,
        column_config=columns, selection_mode=mode, alt=alt,
    )  # fmt: skip


def headline_metrics(record: VersionRecord, keys: Sequence[str]) -> dict[str, float]:
    """Return a version's metrics by the names of their columns."""
    evaluation = record.metadata.evaluation
    return {BY_KEY[key].label: BY_KEY[key].value_in(evaluation) for key in keys}


def fit_filters(
    records: Sequence[VersionRecord], filters: Mapping[str, tuple[DeltaGenerator, str, str]],
    **options: Any,
) -> list[VersionRecord]:  # fmt: skip
    """Offer the values of some fields; return the records with one of those chosen of each.

    `filters`: for each field of a record where its input is drawn, and the input's label and key.
    """
    found = list(records)
    for name, (cell, label, key) in filters.items():
        values = sorted({getattr(record, name) for record in records})
        chosen = cell.multiselect(label, values, key=key, placeholder="Any", **options)
        found = [record for record in found if not chosen or getattr(record, name) in chosen]
    return found
