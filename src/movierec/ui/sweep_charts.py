"""Figures of a sweep: how the best came, which values go together, what mattered."""

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

from movierec.ui.drawing import finish, mark, row_of
from movierec.ui.text import decimal, percent, plotly_text
from movierec.ui.theme import NEUTRAL, OKABE_ITO
from movierec.workflows.sweep_records import SweepRecord

__all__ = ["METRICS", "history", "importance", "parallel", "trials_frame"]

# by the metric's name: in a sentence, on an axis
METRICS: Mapping[str, tuple[str, str]] = {
    "val_rmse": ("RMSE", "validation RMSE (stars)"),
    "val_ndcg_10": ("NDCG@10", "validation NDCG@10 (0–1)"),
}
Floats: TypeAlias = npt.NDArray[np.float64]
_BEST = OKABE_ITO[1]
_LINE = "#2199b1"  # seen on both page backgrounds
_TICKED = 12  # trials that each have a tick
_BANDS = 5  # strengths of lines
_MANY = 60  # lines that stay apart only where they are thin


def trials_frame(record: SweepRecord) -> pd.DataFrame:
    """Return the measured trials in the order they were done.

    Columns `number`, `state`, `value`, and one for each hyperparameter that varies; missing
    where a trial did not come to it.
    """
    rows = [
        {"number": trial.number, "state": trial.state, "value": trial.value,
         **{name: trial.params.get(name) for name in record.search}}
        for trial in record.trials
        if trial.value is not None and trial.state in ("done", "pruned")
    ]  # fmt: skip
    columns = ["number", "state", "value", *record.search]
    return pd.DataFrame(rows, columns=columns).sort_values("number", ignore_index=True)


def history(trials: pd.DataFrame, metric: str, *, lower_is_better: bool) -> go.Figure:
    """Draw the value of each trial and the best so far as steps; at least one trial is done.

    `trials`: as `trials_frame` returns it.
    """
    name, axis = METRICS[metric]
    done = trials.loc[trials["state"] == "done"]
    so_far = done["value"].cummin() if lower_is_better else done["value"].cummax()
    best = _best(done, lower_is_better=lower_is_better)
    last = trials["number"].max()
    figure = go.Figure(_points(done, "done", "circle", OKABE_ITO[0]))
    figure.add_trace(_points(trials.loc[trials["state"] == "pruned"], "pruned", "x", NEUTRAL))
    figure.add_scatter(
        x=[*done["number"], last], y=[*so_far, so_far.iloc[-1]], mode="lines",
        name="best so far", line={"shape": "hv", "color": _BEST, "width": 2.5},
        hoverinfo="skip",
    )  # fmt: skip
    mark(figure, best["number"], best["value"], "", "top center", _BEST)
    figure.update_layout(showlegend=True)
    figure.update_xaxes(tickformat="d", rangemode="tozero", dtick=1 if last < _TICKED else None)
    title = _history_title(name, best, done["value"].iloc[0], len(trials))
    alt = f"{axis} of {len(trials)} trials in their order, with the best so far. {title}."
    return finish(figure, title, alt, x="trial", y=axis)


def parallel(
    trials: pd.DataFrame, search: Mapping[str, str], metric: str, *, lower_is_better: bool
) -> go.Figure:
    """Draw each done trial as a line through its hyperparameters to its value, best on top.

    The stronger, the better; the best one has a colour and marks of its own. `search` says of
    each hyperparameter what was searched, as it is typed. At least two trials are done.

    Plotly's own Parcoords neither widens one line nor shows its axes on a dark page.
    """
    metric_name, axis = METRICS[metric]
    done = trials.loc[trials["state"] == "done"]
    axes = [_axis(done[name], name, log=text.endswith(":log")) for name, text in search.items()]
    axes.append(_axis(done["value"], f"{metric_name}, best on top", flipped=lower_is_better))
    heights = np.column_stack([each.places for each in axes])
    rank = done["value"].rank(ascending=not lower_is_better, pct=True).to_numpy()
    best = _best(done, lower_is_better=lower_is_better)
    figure = go.Figure()
    for place, (low, high) in enumerate(pairwise(np.linspace(0, 1, _BANDS + 1))):
        within = (rank > low) & (rank <= high) & (done["number"] != best["number"]).to_numpy()
        if within.any():
            opacity = ((place + 1) / _BANDS) ** 1.5
            lines = _lines(heights[within], done.loc[within], metric_name, opacity)
            figure.add_trace(lines.update(line_width=1 if len(done) > _MANY else 1.75))
    figure.add_trace(_best_line(heights[done["number"] == best["number"]][0], best))
    _draw_axes(figure, axes)
    point = ", ".join(f"{each} {_plain(best[each])}" for each in search)
    title = f"The best trial, {best['number']}: {point}"
    alt = (
        f"Parallel axes for {', '.join(search)} and {axis}, one line for each of {len(done)} "
        f"trials, the best on top. {title}; {metric_name} {decimal(best['value'], 4)}."
    )
    finish(figure, title, alt, x="", y="").update_layout(height=340, showlegend=False)
    return figure.update_xaxes(title=None)


def importance(shares: Mapping[str, float], metric: str, trials: int) -> go.Figure:
    """Draw each hyperparameter's share (0–1) of the variance of the metric, largest on top."""
    name = METRICS[metric][0]
    rows = sorted(shares.items(), key=lambda item: item[1])
    first, share = rows[-1]
    title = f"{first} mattered most: {percent(share, 0)} of the differences in {name}"
    figure = go.Figure(
        go.Bar(
            x=[100 * value for _, value in rows],
            y=[each for each, _ in rows],
            orientation="h",
            text=[percent(value, 0) for _, value in rows],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    told = ", ".join(f"{each} {percent(value, 0)}" for each, value in reversed(rows))
    alt = f"Bars of what mattered for {name} in {trials} finished trials: {told}."
    figure.update_layout(showlegend=False, height=max(180, 60 + 36 * len(rows)))
    figure.update_xaxes(range=[0, max(100 * share * 1.2, 10)])
    return finish(figure, title, alt, x=f"share of the variance of {name} (%)", y="")


def _best(done: pd.DataFrame, *, lower_is_better: bool) -> pd.Series:
    values = done["value"].to_numpy()
    return row_of(done, values.argmin() if lower_is_better else values.argmax())


def _points(trials: pd.DataFrame, name: str, symbol: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=trials["number"],
        y=trials["value"],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 8, "color": colour},
        hovertemplate=f"trial %{{x}}, {name}: %{{y:.4f}}<extra></extra>",
    )


def _history_title(name: str, best: pd.Series, first: float, count: int) -> str:
    where = f"trial {best['number']} of {count}"
    if best["value"] == first:
        return f"{name} {decimal(first, 4)} in {where}: the first one is the best so far"
    return f"{name} went from {decimal(first, 4)} to {decimal(best['value'], 4)}, best in {where}"


@dataclass(frozen=True, eq=False)
class _Axis:
    """One axis of parallel coordinates: where trials and ticks are on it, from 0 to 1."""

    label: str
    places: Floats
    ticks: Mapping[float, str]


def _axis(values: pd.Series, label: str, *, log: bool = False, flipped: bool = False) -> _Axis:
    """Return the axis of a column; of words or switches, one with a tick for each."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        words = sorted(set(map(str, values)))
        at = {word: (place + 0.5) / len(words) for place, word in enumerate(words)}
        places = np.array([at[str(value)] for value in values])
        return _Axis(label, places, {place: word for word, place in at.items()})
    numbers = values.to_numpy(np.float64)
    low, high = numbers.min(), numbers.max()
    label = f"{label} (log)" if log else label
    if low == high:
        return _Axis(label, np.full(len(numbers), 0.5), {0.5: _plain(float(low))})
    scaled, ends = (np.log(each) if log else each for each in (numbers, np.array([low, high])))
    places = (scaled - ends[0]) / (ends[1] - ends[0])
    ticks = {0.0: _plain(float(low)), 1.0: _plain(float(high))}
    if flipped:
        return _Axis(label, 1 - places, {1 - place: text for place, text in ticks.items()})
    return _Axis(label, places, ticks)


def _lines(heights: Floats, trials: pd.DataFrame, name: str, opacity: float) -> go.Scatter:
    """Return several lines as one trace, with a gap after each."""
    count, width = heights.shape
    gap = np.full((count, 1), np.nan)
    told = [
        f"trial {number}: {name} {value:.4f}"
        for number, value in zip(trials["number"], trials["value"], strict=True)
    ]
    return go.Scatter(
        x=np.tile(np.arange(width + 1), count),
        y=np.hstack([heights, gap]).ravel(),
        text=np.repeat(told, width + 1),
        mode="lines",
        line={"color": _LINE},
        opacity=opacity,
        hovertemplate="%{text}<extra></extra>",
    )


def _best_line(heights: Floats, best: pd.Series) -> go.Scatter:
    return go.Scatter(
        x=np.arange(len(heights)),
        y=heights,
        mode="lines+markers",
        line={"color": _BEST, "width": 3.5},
        marker={"size": 9, "symbol": "diamond"},
        hovertemplate=f"the best: trial {best['number']}, {best['value']:.4f}<extra></extra>",
    )


def _draw_axes(figure: go.Figure, axes: Sequence[_Axis]) -> None:
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
        ticklabelstandoff=12, fixedrange=True,
    )  # fmt: skip
    figure.update_yaxes(visible=False, range=[-0.1, 1.1], fixedrange=True)


def _beside(place: float) -> dict[str, Any]:
    """Return where a tick's text stands: the ends' clear of the lines."""
    if place in (0.0, 1.0):
        return {"yanchor": "bottom" if place else "top", "yshift": 3 if place else -3}
    return {"xanchor": "left", "yanchor": "bottom", "xshift": 5}


def _plain(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.3g}"
    return str(value)
