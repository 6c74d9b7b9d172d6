"""Parts of all figures: layout, marks, thinning of points, parallel axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from movierec.comparison.metrics import Metric
from movierec.ui.components.text import plotly_text
from movierec.ui.components.theme import NEUTRAL, OKABE_ITO

__all__ = [
    "REFERENCE",
    "Axis",
    "bare",
    "finish",
    "interval",
    "is_wide",
    "mark",
    "parallel_lines",
    "plain",
    "row_of",
    "scaled",
    "thin",
    "with_unit",
]

FACTORS_FROM = 20  # times the smallest, from where a scale goes by factors
POINTS = 1000  # more than these no screen shows
REFERENCE = {"color": NEUTRAL, "dash": "dash", "width": 1.5}  # the line to compare with
_CLEAR = "rgba(0,0,0,0)"  # what is behind the chart shines through

Floats: TypeAlias = npt.NDArray[np.float64]
_BEST = OKABE_ITO[1]
_LINE = "#2199b1"  # seen on both page backgrounds
_BANDS = 5  # strengths of lines
_MANY = 60  # lines that stay apart only where they are thin
_NONE = "none"
_FLOOR = 0.15  # where an axis begins that has things without a value below it


def finish(figure: go.Figure, title: str, alt: str, *, x: str, y: str) -> go.Figure:
    """Give a figure its title, axis titles with units, text for the blind, and our look."""
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


def interval(points: Any, low: Any, high: Any, **look: Any) -> dict[str, Any]:
    """Return the error bars from `low` to `high` around points; all three of one length."""
    middle = np.asarray(points, np.float64)
    ends = {"array": np.asarray(high) - middle, "arrayminus": middle - np.asarray(low)}
    return {"type": "data", "symmetric": False, "width": 0, **ends, **look}


def with_unit(metric: Metric) -> str:
    """Return a metric's label with its unit, "RMSE (stars)"; shares have none."""
    return f"{metric.label} (stars)" if metric.key in ("rmse", "mae") else metric.label


def bare(chart: go.Figure, height: int) -> go.Figure:
    """Return a chart without its title, so high."""
    drawn = go.Figure(chart).update_layout(title=None, margin_t=8, height=height)
    return drawn.update_layout(margin_t=36) if chart.layout.showlegend else drawn


def mark(
    figure: go.Figure, x: float, y: float, text: str, where: str, colour: str | None = None
) -> None:
    """Ring one point and write beside it; `where` is one of Plotly's text positions."""
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


def thin(n: int, limit: int = POINTS) -> npt.NDArray[np.int64]:
    """Return at most `limit` evenly spread positions, both ends among them."""
    return np.unique(np.linspace(0, n - 1, min(n, limit)).round().astype(np.int64))


def is_wide(values: Sequence[float]) -> bool:
    """Whether values are so far apart that they need a log scale."""
    return bool(values) and min(values) > 0 and max(values) > FACTORS_FROM * min(values)


def row_of(frame: pd.DataFrame, place: int | np.integer[Any]) -> pd.Series:
    """Return the row at a place found by `argmin` or `argmax`."""
    return frame.iloc[int(place)]


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis: where things and ticks are on it, from 0 to 1."""

    label: str
    places: Floats
    ticks: Mapping[float, str]


def scaled(values: pd.Series, label: str, *, log: bool = False, flipped: bool = False) -> Axis:
    """Return the axis of a column; of words or switches, one with a tick for each.

    What has no value is at the foot of the axis, below a scale that begins higher up then.
    """
    missing = values.isna().to_numpy()
    axis = _axis_of(values[~missing], label, log=log, flipped=flipped)
    if not missing.any():
        return axis
    places = np.zeros(len(values))
    places[~missing] = _FLOOR + (1 - _FLOOR) * axis.places
    ticks = {_FLOOR + (1 - _FLOOR) * place: text for place, text in axis.ticks.items()}
    return Axis(axis.label, places, {0.0: _NONE, **ticks})


def parallel_lines(axes: Sequence[Axis], goodness: Floats, told: Sequence[str]) -> go.Figure:
    """Draw parallel axes with a line for each row.

    Shapes: goodness: (n,), more is better, at least one of them known; told: n texts for those
    who point at a line.
    """
    heights = np.column_stack([axis.places for axis in axes])
    best = int(np.nanargmax(goodness))
    rank = pd.Series(goodness).rank(pct=True, na_option="top").to_numpy()
    figure = go.Figure()
    for place, (low, high) in enumerate(pairwise(np.linspace(0, 1, _BANDS + 1))):
        within = np.flatnonzero((rank > low) & (rank <= high) & (np.arange(len(rank)) != best))
        if len(within):
            opacity = ((place + 1) / _BANDS) ** 1.5
            lines = _lines(heights[within], [told[each] for each in within.tolist()], opacity)
            figure.add_trace(lines.update(line_width=1 if len(rank) > _MANY else 1.75))
    figure.add_trace(_line_of_best(heights[best], told[best]))
    _draw_axes(figure, axes)
    return figure


def plain(value: Any) -> str:
    """Return a setting's value as it is read."""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.3g}"
    return str(value)


def _axis_of(values: pd.Series, label: str, *, log: bool, flipped: bool) -> Axis:
    values = values.infer_objects()
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        words = sorted(set(map(str, values)))
        at = {word: (place + 0.5) / len(words) for place, word in enumerate(words)}
        places = np.array([at[str(value)] for value in values])
        return Axis(label, places, {place: word for word, place in at.items()})
    numbers = values.to_numpy(np.float64)
    low, high = numbers.min(), numbers.max()
    label = f"{label} (log)" if log else label
    if low == high:
        return Axis(label, np.full(len(numbers), 0.5), {0.5: plain(float(low))})
    along, ends = (np.log(each) if log else each for each in (numbers, np.array([low, high])))
    places = (along - ends[0]) / (ends[1] - ends[0])
    ticks = {0.0: plain(float(low)), 1.0: plain(float(high))}
    if flipped:
        return Axis(label, 1 - places, {1 - place: text for place, text in ticks.items()})
    return Axis(label, places, ticks)


def _lines(heights: Floats, told: Sequence[str], opacity: float) -> go.Scatter:
    """Return several lines as one trace, with a gap after each."""
    count, width = heights.shape
    gap = np.full((count, 1), np.nan)
    return go.Scatter(
        x=np.tile(np.arange(width + 1), count),
        y=np.hstack([heights, gap]).ravel(),
        text=np.repeat([plotly_text(each) for each in told], width + 1),
        mode="lines",
        line={"color": _LINE},
        opacity=opacity,
        hovertemplate="%{text}<extra></extra>",
    )


def _line_of_best(heights: Floats, told: str) -> go.Scatter:
    return go.Scatter(
        x=np.arange(len(heights)),
        y=heights,
        mode="lines+markers",
        line={"color": _BEST, "width": 3.5},
        marker={"size": 9, "symbol": "diamond"},
        hovertemplate=f"the best: {plotly_text(told)}<extra></extra>",
    )


def _draw_axes(figure: go.Figure, axes: Sequence[Axis]) -> None:
    lines = [
        {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "layer": "below",
         "line": {"color": NEUTRAL, "width": 1.5}}
        for at in range(len(axes))
    ]  # fmt: skip
    notes = [
        {"x": at, "y": place, "text": plotly_text(text), "showarrow": False,
         "font": {"size": 12}, **_beside(place)}
        for at, axis in enumerate(axes)
        for place, text in axis.ticks.items()
    ]  # fmt: skip
    figure.update_layout(shapes=lines, annotations=notes)  # at once: slow to add one by one
    figure.update_xaxes(
        tickvals=[*range(len(axes))], ticktext=[plotly_text(axis.label) for axis in axes],
        side="top", showgrid=False, zeroline=False, range=[-0.4, len(axes) - 0.5],
        ticklabelstandoff=12, ticklabeloverflow="allow", fixedrange=True,
    )  # fmt: skip
    figure.update_yaxes(visible=False, range=[-0.1, 1.1], fixedrange=True)


def _beside(place: float) -> dict[str, Any]:
    """Return where a tick's text stands: the ends' clear of the lines."""
    if place in (0.0, 1.0):
        return {"yanchor": "bottom" if place else "top", "yshift": 3 if place else -3}
    return {"xanchor": "left", "yanchor": "bottom", "xshift": 5}
