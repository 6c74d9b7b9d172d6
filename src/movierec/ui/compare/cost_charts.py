"""What versions cost against what they reach, with the front that none of them beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import plotly.graph_objects as go

from movierec.comparison.differences import pareto_front
from movierec.comparison.metrics import BY_KEY, Metric
from movierec.comparison.results import Cost
from movierec.ui.components.drawing import finish, is_wide
from movierec.ui.components.text import decimal, integer, plotly_text
from movierec.ui.components.theme import NEUTRAL, VersionStyle

__all__ = ["CostName", "pareto"]

CostName = Literal["seconds", "parameters", "memory_mb"]
Styles: TypeAlias = Mapping[str, VersionStyle]
Points: TypeAlias = Mapping[str, tuple[float, float]]

_COST_AXES: Mapping[CostName, tuple[str, str]] = {
    "seconds": ("training time of the whole run (s)", "quicker to train"),
    "parameters": ("parameters", "smaller"),
    "memory_mb": ("peak memory of the run (MB)", "smaller in memory"),
}
_LABELLED = 12  # versions whose names have room


def pareto(
    costs: Sequence[Cost],
    values: Mapping[str, Mapping[str, float]],
    metric: str,
    styles: Styles,
    *,
    x: CostName = "seconds",
) -> go.Figure:
    """Draw what each version costs against what it reaches, and the front that none beats."""
    chosen, (axis, cheaper) = BY_KEY[metric], _COST_AXES[x]
    points = {
        cost.version: (float(getattr(cost, x)), values[cost.version].get(metric, math.nan))
        for cost in costs
    }
    known = {name: p for name, p in points.items() if not any(map(math.isnan, p))}
    front = pareto_front({name: (p[0], chosen.gain(p[1])) for name, p in known.items()})
    figure = _scatter(known, front, styles, chosen)
    spent = [point[0] for point in known.values()]
    if is_wide(spent):
        ticks = _ticks(min(spent), max(spent))
        figure.update_xaxes(type="log", tickvals=ticks, ticktext=[*map(integer, ticks)])
        axis = f"{axis}, by factors"
    title = _title(front, len(known), chosen, cheaper)
    told = "; ".join(
        f"{name}: {integer(p[0])}, {decimal(p[1], chosen.digits)}" for name, p in known.items()
    )
    without = [name for name in points if name not in known]
    left_out = f" Not recorded: {', '.join(without)}." if without else ""
    alt = f"{axis} against {chosen.label} of {len(known)} versions. {title}. {told}.{left_out}"
    side = "lower" if chosen.lower_is_better else "higher"
    unit = " (stars)" if metric in ("rmse", "mae") else ""
    y = f"test {chosen.label}{unit}, {side} is better"
    return finish(figure, title, alt, x=axis, y=y).update_layout(showlegend=False)


def _scatter(points: Points, front: Sequence[str], styles: Styles, metric: Metric) -> go.Figure:
    figure = go.Figure()
    if not points:
        return figure
    figure.add_trace(_front_line([points[name] for name in front]))
    far = is_wide([point[0] for point in points.values()])
    named = {
        name: (math.log(x) if far else x, y)
        for name, (x, y) in points.items()
        if len(points) <= _LABELLED or name in front
    }
    where = _label_places(named)
    for name, point in points.items():
        trace = _point(name, point, styles[name], name in front, metric)
        is_named = name in where
        trace.update(mode="markers+text" if is_named else "markers", textposition=where.get(name))
        figure.add_trace(trace)
    low, high = (end(point[1] for point in points.values()) for end in (min, max))
    room = 0.14 * (high - low) or 0.01  # for the names
    return figure.update_yaxes(range=[low - room, high + room])


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10, 20 … from below the lowest to above the highest."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in (1, 2, 5)]


def _front_line(points: Sequence[tuple[float, float]]) -> go.Scatter:
    return go.Scatter(
        x=[point[0] for point in points],
        y=[point[1] for point in points],
        mode="lines",
        name="Pareto front",
        line={"shape": "hv", "color": NEUTRAL, "dash": "dash", "width": 2},
        hoverinfo="skip",
    )


def _point(
    name: str, point: tuple[float, float], style: VersionStyle, on_front: bool, metric: Metric
) -> go.Scatter:
    place = "on the front" if on_front else "beaten by another"
    return go.Scatter(
        x=[point[0]],
        y=[point[1]],
        text=[plotly_text(name)],
        cliponaxis=False,
        name=name,
        marker={
            "symbol": style.symbol if on_front else f"{style.symbol}-open",
            "size": 13 if on_front else 11,
            "color": style.colour,
            "line": {"width": 0 if on_front else 2},
        },
        hovertemplate=f"{plotly_text(name)}, {place}: %{{x:,.0f}}, "
        f"{metric.label} %{{y:.{metric.digits}f}}<extra></extra>",
    )


def _label_places(points: Points) -> dict[str, str]:
    """Return where each name stands: inward at both ends, and below where one above is near."""
    xs, ys = ([p[axis] for p in points.values()] for axis in (0, 1))
    width, height = (max(each, default=0) - min(each, default=0) or 1 for each in (xs, ys))
    places: dict[str, str] = {}
    for name in sorted(points, key=lambda each: points[each]):
        x, y = points[name]
        near = [
            (a, b)
            for a, b in (points[other] for other in places)
            if abs(a - x) < 0.3 * width and abs(b - y) < 0.12 * height
        ]
        across = (x - min(xs)) / width
        side = "right" if across < 0.2 else "left" if across > 0.8 else "center"
        places[name] = f"{'bottom' if len(near) % 2 else 'top'} {side}"
    return places


def _title(front: Sequence[str], n: int, metric: Metric, cheaper: str) -> str:
    if not front:
        return f"{metric.label} or its cost was recorded for none of these versions"
    if n == 1:
        return f"Cost and {metric.label} were recorded for {front[0]} alone"
    if len(front) == n:
        return f"The better in {metric.label}, the dearer: no version beats another in both"
    if len(front) == 1:
        return f"No version is {cheaper} than {front[0]}, and none is better in {metric.label}"
    return f"{_listed(front)} are on the front: none is both {cheaper} and better"


def _listed(names: Sequence[str], limit: int = 4) -> str:
    if len(names) > limit:
        return f"{len(names)} versions"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
