"""Figures from small frames: frame in, Plotly figure out, nothing else touched.

Each figure carries its message as title, its reading aid as subtitle, and the text for those
who cannot see it in `layout.meta["alt"]`. Colours left open here are the theme's: the first one
is the accent, in light and in dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from movierec.ui.text import decimal, integer, percent, plotly_text
from movierec.ui.theme import NEUTRAL, VersionStyle

__all__ = [
    "CURVES",
    "Curve",
    "concentration",
    "history_frame",
    "ladder",
    "learning_curve",
    "measured",
    "rating_distribution",
    "ratings_over_time",
    "share_held_by_top",
    "stars",
]

_CLEAR = "rgba(0,0,0,0)"  # what is behind the chart shines through
CurveName = Literal["RMSE", "NDCG@10", "Loss"]
_RUNG_NAMES = {"version": "this version", "floor": "floor, same split", "published": "published"}


@dataclass(frozen=True)
class Curve:
    """What one learning curve shows: column of the history, axis title, better direction."""

    column: str
    axis: str
    lower_is_better: bool = True


CURVES: dict[CurveName, Curve] = {
    "RMSE": Curve("val_rmse", "validation RMSE (stars)"),
    "NDCG@10": Curve("val_ndcg_10", "validation NDCG@10 (0–1)", lower_is_better=False),
    "Loss": Curve("val_loss", "loss (the loss's own unit)"),
}


def rating_distribution(
    shares: pd.DataFrame, reference: pd.DataFrame | None = None, *, of: str = "all ratings"
) -> go.Figure:
    """Draw the share of each rating level as bars.

    Args:
        shares: columns `level` (stars), `count`, `share` (0–1).
        reference: the same columns for everybody, drawn as marks to compare with.
        of: what the ratings belong to, for the title.

    """
    top = _row_of(shares, shares["count"].argmax())
    title = f"{stars(top['level'])} is the most common rating: {percent(top['share'])} of {of}"
    figure = go.Figure(
        go.Bar(
            x=shares["level"],
            y=100 * shares["share"],
            customdata=shares["count"],
            name="these ratings",
            hovertemplate="%{x} stars: %{y:.1f} % (%{customdata:,} ratings)<extra></extra>",
        )
    )
    if reference is not None:
        figure.add_scatter(
            x=reference["level"],
            y=100 * reference["share"],
            mode="markers",
            name="whole data set",
            marker={"symbol": "line-ew-open", "size": 26, "color": NEUTRAL, "line": {"width": 3}},
            hovertemplate="whole data set, %{x} stars: %{y:.1f} %<extra></extra>",
        )
    figure.update_layout(bargap=0.25, showlegend=reference is not None)
    if len(shares) <= 11:
        figure.update_xaxes(tickvals=shares["level"])
    alt = "Bars per rating: " + ", ".join(
        f"{level:g} stars {percent(share)}"
        for level, share in zip(shares["level"], shares["share"], strict=True)
    )
    return _finish(figure, title, alt, x="rating (stars)", y="share of ratings (%)")


def ratings_over_time(counts: pd.DataFrame) -> go.Figure:
    """Draw how many ratings were given in each period; columns `start` (datetime), `count`."""
    peak = _row_of(counts, counts["count"].argmax())
    total = int(counts["count"].sum())
    title = (
        f"{peak['start']:%B %Y} was the busiest month: "
        f"{percent(peak['count'] / total)} of all ratings"
    )
    figure = go.Figure(
        go.Bar(
            x=counts["start"],
            y=counts["count"],
            hovertemplate="%{x|%b %Y}: %{y:,} ratings<extra></extra>",
        )
    )
    figure.update_layout(bargap=0.15, showlegend=False)
    first, last = counts["start"].iloc[0], counts["start"].iloc[-1]
    alt = (
        f"Ratings per month from {first:%B %Y} to {last:%B %Y}; most, "
        f"{integer(peak['count'])}, in {peak['start']:%B %Y}."
    )
    return _finish(figure, title, alt, x="month (UTC)", y="ratings per month")


def share_held_by_top(counts: npt.NDArray[np.int64], top: float) -> float:
    """Return the share of all ratings that the most rated `top` share of them holds, 0–1."""
    ordered = np.sort(counts)[::-1]
    taken = max(1, round(top * len(ordered)))
    return float(ordered[:taken].sum() / max(1, ordered.sum()))


def concentration(
    counts: npt.NDArray[np.int64], *, noun: str, most: str, top: float = 0.1
) -> go.Figure:
    """Draw which share of the ratings the busiest share of users or movies holds.

    A Lorenz curve read from the busy end. `counts`: ratings per user or movie, (n,).
    """
    ordered = np.sort(counts)[::-1]
    held = np.concatenate([[0.0], np.cumsum(ordered) / max(1, ordered.sum())])
    place = np.linspace(0, 1, len(held))
    keep = _thin(len(held))
    share = share_held_by_top(counts, top)
    title = f"The {most} {percent(top, 0)} of {noun} hold {percent(share, 0)} of the ratings"
    figure = go.Figure(
        go.Scatter(
            x=100 * place[keep],
            y=100 * held[keep],
            mode="lines",
            fill="tozeroy",
            name=noun,
            hovertemplate=f"%{{x:.1f}} % of {noun}: %{{y:.1f}} % of ratings<extra></extra>",
        )
    )
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="if all were equal",
        line={"color": NEUTRAL, "dash": "dash", "width": 1.5},
        hoverinfo="skip",
    )
    label = f"{percent(top, 0)} → {percent(share, 0)}"
    _mark(figure, 100 * top, 100 * share, label, "bottom right")
    figure.update_layout(showlegend=True)
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(range=[0, 104])
    alt = f"{title}; the least busy half hold {percent(1 - share_held_by_top(counts, 0.5))}."
    return _finish(
        figure, title, alt, x=f"share of {noun}, {most} first (%)", y="share of ratings (%)"
    )


def measured(history: pd.DataFrame) -> list[CurveName]:
    """Return the curves that a history has values for."""
    return [name for name, curve in CURVES.items() if history[curve.column].notna().any()]


def learning_curve(
    history: pd.DataFrame,
    name: CurveName = "RMSE",
    style: VersionStyle | None = None,
    *,
    running: bool = False,
) -> go.Figure:
    """Draw one validation curve over epochs with its best epoch, the one kept, marked.

    `history`: columns of `EpochRecord`, one row per epoch, at least one row.
    """
    curve, best = CURVES[name], _kept(history)
    value, epoch = float(best[curve.column]), int(best["epoch"])
    sign = "best so far" if running else "kept"
    title = f"{name} {decimal(value)} at epoch {epoch} of {len(history)}, {sign}"
    rows = history.iloc[_thin(len(history))]
    colour = style.colour if style else None
    figure = go.Figure(
        go.Scatter(
            x=rows["epoch"],
            y=rows[curve.column],
            mode="lines+markers" if len(rows) < 60 else "lines",
            name="validation",
            line={"color": colour, "width": 2.5, "dash": style.dash if style else "solid"},
            marker={"size": 5},
            hovertemplate=f"epoch %{{x}}: {name} %{{y:.4f}}<extra></extra>",
        )
    )
    if name == "Loss":
        figure.add_scatter(
            x=rows["epoch"],
            y=rows["train_loss"],
            mode="lines",
            name="train",
            line={"color": NEUTRAL, "dash": "dot", "width": 2},
            hovertemplate="epoch %{x}: train loss %{y:.4f}<extra></extra>",
        )
    clear = "top center" if curve.lower_is_better else "bottom center"
    _mark(figure, epoch, value, f"{sign}: epoch {epoch}", clear, colour)
    figure.update_layout(showlegend=name == "Loss")
    figure.update_xaxes(rangemode="nonnegative", tickformat="d")
    first = decimal(float(history[curve.column].iloc[0]))
    alt = f"{curve.axis} over {len(history)} epochs, from {first}. {title}."
    return _finish(figure, title, alt, x="epoch", y=curve.axis)


def ladder(
    rungs: pd.DataFrame, style: VersionStyle, *, axis: str, lower_is_better: bool = True
) -> go.Figure:
    """Draw systems as dots on one axis, best on top, the version at hand in its own colour.

    `rungs`: columns `system`, `value`, `kind` ("version", "floor" or "published").
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
    return _finish(figure, f"{axis}: {_ladder_title(known, lower_is_better)}", alt, x=axis, y="")


def stars(level: float) -> str:
    """Return "4 stars" for 4.0 and "1 star" for 1.0."""
    return f"{level:g} star" + ("" if level == 1 else "s")


def _ladder_title(rungs: pd.DataFrame, lower_is_better: bool) -> str:
    own = rungs.loc[rungs["kind"] == "version", "value"]
    floors = rungs.loc[rungs["kind"] == "floor", "value"]
    if own.empty or floors.empty:
        return "no floor was measured on this split"
    best = floors.argmin() if lower_is_better else floors.argmax()
    gap = float(floors.iloc[best] - own.iloc[0]) * (1 if lower_is_better else -1)
    name = rungs.loc[rungs["kind"] == "floor", "system"].iloc[best]
    if gap > 0:
        return f"{decimal(gap)} better than the best floor, {name}"
    return f"{decimal(-gap)} behind the best floor, {name}"


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
        "floor": {"color": NEUTRAL, "size": 10, "symbol": "circle-open", "line": {"width": 2}},
        "published": {"color": "#a5b0b8", "size": 9, "symbol": "diamond"},
    }


def _kept(history: pd.DataFrame) -> pd.Series:
    """Return the epoch whose weights were kept: the last one marked best, else the lowest loss."""
    marked = history.loc[history["is_best"].astype(bool)]
    losses = history["val_loss"].fillna(np.inf)
    return marked.iloc[-1] if len(marked) else _row_of(history, losses.argmin())


def _row_of(frame: pd.DataFrame, place: int | np.integer[Any]) -> pd.Series:
    return frame.iloc[int(place)]


def _mark(
    figure: go.Figure, x: float, y: float, text: str, where: str, colour: str | None = None
) -> None:
    figure.add_scatter(
        x=[x],
        y=[y],
        mode="markers+text",
        text=[text],
        textposition=where,
        cliponaxis=False,
        name=text,
        showlegend=False,
        marker={
            "size": 12,
            "symbol": "circle-open",
            "color": colour or NEUTRAL,
            "line": {"width": 2.5},
        },
        hoverinfo="skip",
    )


def _thin(n: int, limit: int = 1000) -> npt.NDArray[np.int64]:
    """Return at most `limit` evenly spread positions, both ends among them."""
    return np.unique(np.linspace(0, n - 1, min(n, limit)).round().astype(np.int64))


def _finish(figure: go.Figure, title: str, alt: str, *, x: str, y: str) -> go.Figure:
    figure.update_layout(
        title={"text": plotly_text(title)},
        meta={"alt": alt},
        margin={"l": 8, "r": 12, "t": 44, "b": 8},
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(title=x, automargin=True)
    figure.update_yaxes(title=y, automargin=True)
    return figure


def history_frame(rows: Sequence[object]) -> pd.DataFrame:
    """Return epochs (records or mappings) as a frame, in order of epoch."""
    plain = [row if isinstance(row, dict) else vars(row) for row in rows]
    columns = ["epoch", "train_loss", "val_loss", "val_rmse", "val_ndcg_10", "seconds", "is_best"]
    frame = pd.DataFrame(plain, columns=columns).astype(dict.fromkeys(columns[1:-1], float))
    return frame.sort_values("epoch", ignore_index=True)
