"""Figures of versions by groups of users and movies, and by true rating."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from movierec.comparison.metrics import BY_KEY, Metric
from movierec.comparison.results import SliceDiff
from movierec.evaluation.significance import Verdict
from movierec.ui.components.charts import finish, interval, row_of, with_unit
from movierec.ui.components.text import decimal, plotly_text, signed
from movierec.ui.components.theme import NEUTRAL, Styles, VersionStyle

__all__ = ["SLICES", "error_by_rating", "forest", "group_name"]


SLICES: Mapping[str, str] = {
    "activity": "Activity",
    "age": "Age",
    "gender": "Gender",
    "popularity": "Popularity",
    "decade": "Decade",
    "genre": "Genre",
}
_SYMBOLS: Mapping[Verdict, str] = {
    "worse": "triangle-down", "better": "triangle-up", "can't tell": "circle-open",
}  # fmt: skip
_TOLD: Mapping[Verdict, str] = {
    "worse": "worse", "better": "better", "can't tell": "inconclusive",
}  # fmt: skip
_LOUD = 30  # users from which a group's interval decides how wide the axis is


def forest(diffs: Sequence[SliceDiff], metric: str, style: VersionStyle) -> go.Figure:
    """Draw the change of a metric in each group with its 95 % interval, in the order given.

    Groups without a value in both versions are left out. Sure losses and gains have the
    version's colour, a triangle and a word. Intervals of small groups may leave the axis; an
    arrow then says so.
    """
    chosen = BY_KEY[metric]
    diffs = [diff for diff in diffs if not math.isnan(diff.difference.delta)]
    figure = go.Figure()
    for verdict in ("worse", "better", "can't tell"):
        rows = [diff for diff in diffs if diff.difference.verdict == verdict]
        if rows:
            colour = NEUTRAL if verdict == "can't tell" else style.colour
            figure.add_trace(_whiskers(rows, verdict, colour, chosen))
    names = [group_name(diff) for diff in diffs]
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 2}, layer="below")
    figure.update_yaxes(
        categoryorder="array", categoryarray=names[::-1], showgrid=False,
        range=[-0.7, len(names) - 0.3],
    )  # fmt: skip
    low, high = _span(diffs)
    figure.update_xaxes(range=[low, high], zeroline=False)
    figure.update_layout(
        showlegend=bool(diffs),
        height=23 * len(names) + 120,
        annotations=_beyond_edge(diffs, low, high),
    )
    title = _forest_title(diffs, chosen)
    told = "; ".join(
        f"{_plain_name(d)} {signed(d.difference.delta, chosen.digits)} ({d.difference.verdict})"
        for d in diffs
    )
    alt = f"Change of {chosen.label} in {len(diffs)} groups with 95 % intervals. {title}. {told}."
    side = "left" if chosen.lower_is_better else "right"
    x = f"change of {with_unit(chosen)}<br>{side} is better"
    return finish(figure, title, alt, x=x, y="")


def group_name(diff: SliceDiff) -> str:
    """Return a group in words as Plotly shows them, "Age: 18-24"."""
    return plotly_text(_plain_name(diff))


def _plain_name(diff: SliceDiff) -> str:
    return f"{SLICES.get(diff.slice, diff.slice.capitalize())}: {diff.value}"


def _whiskers(
    rows: Sequence[SliceDiff], verdict: Verdict, colour: str, metric: Metric
) -> go.Scatter:
    found = [diff.difference for diff in rows]
    told = [
        f"{group_name(row)}, {row.users:,} users, {row.ratings:,} ratings<br>"
        f"{metric.label} {decimal(d.a, metric.digits)} to {decimal(d.b, metric.digits)}: "
        f"{signed(d.delta, metric.digits)} ({signed(d.low, metric.digits)} to "
        f"{signed(d.high, metric.digits)}), {verdict}"
        for row, d in zip(rows, found, strict=True)
    ]
    return go.Scatter(
        x=[d.delta for d in found],
        y=[group_name(row) for row in rows],
        error_x=interval(
            [d.delta for d in found], [d.low for d in found], [d.high for d in found],
            color=colour, thickness=2,
        ),
        mode="markers",
        name=f"{verdict} ({len(rows)})",
        text=told,
        marker={
            "symbol": _SYMBOLS[verdict], "size": 11, "color": colour,
            "line": {"width": 2, "color": colour},
        },
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _span(diffs: Sequence[SliceDiff]) -> tuple[float, float]:
    """Return the ends of the axis: wide enough for the groups that are not tiny, and for zero."""
    loud = [d for d in diffs if d.users >= _LOUD] or list(diffs)
    ends = np.array([[d.difference.low, d.difference.high] for d in loud] + [[0.0, 0.0]])
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = 0.06 * (high - low) or 0.01
    return low - room, high + room


def _beyond_edge(diffs: Sequence[SliceDiff], low: float, high: float) -> list[dict[str, Any]]:
    """Return an arrow for each point or interval that lies past an end of the axis."""
    arrows = []
    for diff in diffs:
        found, name = diff.difference, group_name(diff)
        ends = [each for each in (found.low, found.delta, found.high) if not math.isnan(each)]
        if min(ends) < low:
            arrows.append({"x": low, "y": name, "text": "◀", "xanchor": "left"})
        if max(ends) > high:
            arrows.append({"x": high, "y": name, "text": "▶", "xanchor": "right"})
    shared = {"showarrow": False, "font": {"color": NEUTRAL, "size": 10}}
    return [{**arrow, **shared} for arrow in arrows]


def _forest_title(diffs: Sequence[SliceDiff], metric: Metric) -> str:
    if not diffs:
        return f"{metric.label} was measured for no group"
    counts = {v: sum(d.difference.verdict == v for d in diffs) for v in _SYMBOLS}
    told = [f"{_TOLD[verdict]} in {count}" for verdict, count in counts.items() if count]
    groups = "group" if len(diffs) == 1 else "groups"
    return f"{metric.label} in {len(diffs)} {groups}: {', '.join(told)}"


def error_by_rating(frames: Mapping[str, pd.DataFrame], styles: Styles) -> go.Figure:
    """Draw RMSE and bias by true rating, one line per version.

    `frames`, one or more: columns `level` (stars), `rmse`, `bias` (predicted − given), `ratings`.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1)
    for name, frame in frames.items():
        style = styles[name]
        for row, column in enumerate(("rmse", "bias"), start=1):
            figure.add_trace(_by_level(frame, column, name, style, row == 1), row=row, col=1)
    figure.add_hline(y=0, row=2, col=1, line={"color": NEUTRAL, "width": 1.5})
    title = _error_title(frames)
    told = "; ".join(f"{name}: {_levels(frame)}" for name, frame in frames.items())
    alt = f"RMSE, and in brackets the bias, by true rating. {title}. {told}."
    finish(figure, title, alt, x="true rating (stars)", y="")
    figure.update_yaxes(title="RMSE (stars)", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="predicted − true (stars)", row=2, col=1)
    levels = next(iter(frames.values()))["level"]
    figure.update_xaxes(title="", row=1, col=1, tickvals=levels if len(levels) < 12 else None)
    figure.update_xaxes(tickvals=levels if len(levels) < 12 else None)
    return figure.update_layout(showlegend=True, height=420)


def _levels(frame: pd.DataFrame) -> str:
    rows = zip(frame["level"], frame["rmse"], frame["bias"], strict=True)
    return ", ".join(
        f"{_stars(level)} {decimal(rmse, 2)} ({signed(bias, 2)})" for level, rmse, bias in rows
    )


def _by_level(
    frame: pd.DataFrame, column: str, name: str, style: VersionStyle, in_legend: bool
) -> go.Scatter:
    what = "RMSE" if column == "rmse" else "predicted − true"
    return go.Scatter(
        x=frame["level"],
        y=frame[column],
        customdata=frame["ratings"],
        mode="lines+markers",
        name=name,
        legendgroup=name,
        showlegend=in_legend,
        line={"color": style.colour, "dash": style.dash, "width": 2},
        marker={"color": style.colour, "symbol": style.symbol, "size": 9},
        hovertemplate=f"{plotly_text(name)}, %{{x}} stars: {what} %{{y:.3f}} "
        "(%{customdata:,} ratings)<extra></extra>",
    )


def _error_title(frames: Mapping[str, pd.DataFrame]) -> str:
    measured = {name: frame.dropna(subset=["rmse"]) for name, frame in frames.items()}
    measured = {name: frame for name, frame in measured.items() if len(frame)}
    if not measured:
        return "No stars were predicted"
    first = next(iter(measured.values()))
    level = float(row_of(first, first["rmse"].argmax())["level"])
    at = {name: _rmse_at(frame, level) for name, frame in measured.items()}
    best = min(at, key=lambda name: at[name])
    told = f"{level:g}-star ratings are hardest"
    if len({decimal(rmse, 2) for rmse in at.values()}) == 1:
        return f"{told}: {decimal(at[best], 2)} stars off"
    return f"{told}; {best} does best on them: {decimal(at[best], 2)} stars off"


def _rmse_at(frame: pd.DataFrame, level: float) -> float:
    found = frame.loc[frame["level"] == level, "rmse"]
    return float(found.iloc[0]) if len(found) else math.inf


def _stars(level: float) -> str:
    return f"{level:g} star{'' if level == 1 else 's'}"
