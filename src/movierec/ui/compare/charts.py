"""Figures of versions side by side: settings, cost against accuracy, metrics beside accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from movierec.comparison.differences import pareto_front
from movierec.comparison.metrics import BEYOND, BY_KEY, Metric
from movierec.comparison.results import Comparison, Cost
from movierec.store.records import VersionRecord
from movierec.ui.components.charts import finish, is_wide, parallel_lines, plain, scaled, with_unit
from movierec.ui.components.text import decimal, integer, plotly_text
from movierec.ui.components.theme import NEUTRAL, Styles, VersionStyle

__all__ = ["CostName", "beyond", "parallel", "pareto"]


_BESIDE = [m for m in BEYOND if m.path[0] == "beyond"]
_AXES = 6  # settings that have room beside each other
_FIRST = (  # among settings with equally many values: the best known
    "preset", "loss_type", "hidden_dim", "num_layers", "learning_rate", "dropout", "aggregator",
    "epochs", "batch_size",
)  # fmt: skip

CostName = Literal["seconds", "parameters", "memory_mb"]
Points: TypeAlias = Mapping[str, tuple[float, float]]
_COST_AXES: Mapping[CostName, tuple[str, str, str]] = {
    "seconds": ("training time of the whole run (s)", "quicker to train", "costs more time"),
    "parameters": ("parameters", "smaller", "needs more parameters"),
    "memory_mb": ("peak memory of the run (MB)", "smaller in memory", "needs more memory"),
}
_LABELLED = 12  # versions whose names have room


def parallel(
    found: Comparison, records: Mapping[str, VersionRecord], metric: str = "rmse"
) -> go.Figure | None:
    """Draw each version as a line through the settings that differ to its metrics.

    Of more settings than there is room for, those with most values are drawn. None where nothing
    differs, or where the metric was measured for fewer than two versions.
    """
    chosen = BY_KEY[metric]
    table = _settings(found, records)
    varying = [str(c) for c in table if table[c].astype(str).nunique() > 1]
    values = pd.DataFrame([found.values[name] for name in found.versions], columns=[*BY_KEY])
    if not varying or values[metric].notna().sum() < 2:
        return None
    drawn = sorted(varying, key=lambda c: (-table[c].astype(str).nunique(), _rank(c)))[:_AXES]
    axes = [scaled(table[c], c, log=_goes_by_factors(table[c])) for c in drawn]
    axes += [
        scaled(values[key], BY_KEY[key].label, flipped=BY_KEY[key].lower_is_better)
        for key in dict.fromkeys((metric, "rmse", "ndcg_full"))
        if values[key].notna().any()
    ]
    goodness = values[metric].map(chosen.gain).to_numpy(np.float64)
    told = [decimal(value, chosen.digits) for value in values[metric]]
    said = [f"{n}: {chosen.label} {v}" for n, v in zip(found.versions, told, strict=True)]
    figure = parallel_lines(axes, goodness, said)
    best = int(np.nanargmax(goodness))
    title = f"{found.versions[best]} has the best {chosen.label} of {len(table)}, {told[best]}"
    point = ", ".join(f"{c} {plain(table[c].iloc[best])}" for c in drawn)
    of = "" if len(drawn) == len(varying) else f" ({len(drawn)} of {len(varying)} that differ)"
    alt = (
        f"Parallel axes for {', '.join(drawn)}{of} and the test metrics, one line for each of "
        f"{len(table)} versions, the best on top. {title}, with {point}."
    )
    finish(figure, title, alt, x="", y="").update_layout(height=360, showlegend=False)
    return figure.update_xaxes(title=None)


def _settings(found: Comparison, records: Mapping[str, VersionRecord]) -> pd.DataFrame:
    """Return preset and hyperparameters, a row for each version; missing where it has none."""
    rows = [records[name] for name in found.versions]
    return pd.DataFrame([{"preset": r.preset, **r.metadata.hyperparameters} for r in rows])


def _goes_by_factors(column: pd.Series) -> bool:
    known = column.dropna().infer_objects()
    numeric = pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known)
    return numeric and is_wide(known.to_list())


def _rank(setting: str) -> int:
    return _FIRST.index(setting) if setting in _FIRST else len(_FIRST)


def beyond(found: Comparison, styles: Styles) -> go.Figure:
    """Draw coverage, novelty, diversity and popularity bias as multiples of the baseline's.

    Versions that cannot be compared with the baseline are left out.
    """
    alike = found.alike[1:]
    base = found.values[found.baseline]
    figure = go.Figure()
    labels = [_with_direction(metric) for metric in reversed(_BESIDE)]
    for name in alike:
        ratios = [_ratio(found.values[name], base, metric) for metric in reversed(_BESIDE)]
        if all(map(math.isnan, ratios)):
            continue
        texts = [
            f"{metric.label}: {decimal(found.values[name].get(metric.key), metric.digits)} "
            f"instead of {decimal(base.get(metric.key), metric.digits)}"
            for metric in reversed(_BESIDE)
        ]
        figure.add_scatter(
            x=ratios, y=labels, text=texts, mode="markers", name=name, cliponaxis=False,
            marker={"symbol": styles[name].symbol, "size": 12, "color": styles[name].colour},
            hovertemplate=f"{plotly_text(name)}, %{{text}}<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 2})
    figure.update_layout(showlegend=True, height=60 + 42 * len(labels))
    figure.update_yaxes(categoryorder="array", categoryarray=labels)
    figure.update_xaxes(ticksuffix=" %", zeroline=False)
    title = _beyond_title(found, alike)
    alt = f"Change from {found.baseline} in per cent, of lists of ten. {title}."
    axis = f"change from {found.baseline} (%)<br>↑ more is better, ↓ less is better"
    return finish(figure, title, alt, x=axis, y="")


def _ratio(values: Mapping[str, float], base: Mapping[str, float], metric: Metric) -> float:
    """Return the change in per cent; NaN where either was not measured."""
    before = base.get(metric.key, math.nan)
    change = values.get(metric.key, math.nan) - before
    return 100 * change / before if before else math.nan


def _with_direction(metric: Metric) -> str:
    return f"{metric.label} {'↓' if metric.lower_is_better else '↑'}"


def _beyond_title(found: Comparison, alike: Sequence[str]) -> str:
    coverage = {name: found.values[name].get("coverage", math.nan)
                for name in (found.baseline, *alike)}  # fmt: skip
    known = {name: value for name, value in coverage.items() if not math.isnan(value)}
    if len(known) < 2:
        return "Beside accuracy, nothing was measured that can be compared"
    best = max(known, key=lambda name: known[name])
    others = [name for name in known if name != best]
    beside = (
        f"{others[0]} {100 * known[others[0]]:.1f} %"
        if len(others) == 1
        else (f"the others at most {100 * max(known[n] for n in others):.1f} %")
    )
    return f"{best} shows {100 * known[best]:.1f} % of the movies to somebody, {beside}"


def pareto(
    costs: Sequence[Cost],
    values: Mapping[str, Mapping[str, float]],
    metric: str,
    styles: Styles,
    *,
    x: CostName = "seconds",
) -> go.Figure:
    """Draw cost against accuracy with the Pareto front."""
    chosen, (axis, cheaper, dearer) = BY_KEY[metric], _COST_AXES[x]
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
        figure.update_xaxes(
            type="log",
            tickvals=ticks,
            ticktext=[integer(tick) if tick >= 1 else f"{tick:g}" for tick in ticks],
        )
        axis = f"{axis}, log scale"
    title = _title(front, len(known), chosen, cheaper, dearer)
    told = "; ".join(
        f"{name}: {integer(p[0])}, {decimal(p[1], chosen.digits)}" for name, p in known.items()
    )
    without = [name for name in points if name not in known]
    left_out = f" Not recorded: {', '.join(without)}." if without else ""
    alt = f"{axis} against {chosen.label} of {len(known)} versions. {title}. {told}.{left_out}"
    side = "lower" if chosen.lower_is_better else "higher"
    y = f"test {with_unit(chosen)}, {side} is better"
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
    """Return the position of each name: inward at both ends, below where one above is near."""
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


def _title(front: Sequence[str], n: int, metric: Metric, cheaper: str, dearer: str) -> str:
    if not front:
        return f"{metric.label} or its cost was recorded for none of these versions"
    if n == 1:
        return f"Cost and {metric.label} were recorded for {front[0]} alone"
    if len(front) == n:
        return f"Better accuracy {dearer}; no version wins on both"
    if len(front) == 1:
        return f"No version is {cheaper} than {front[0]}, and none is better in {metric.label}"
    return f"{_listed(front)} are on the front: none is both {cheaper} and better"


def _listed(names: Sequence[str], limit: int = 4) -> str:
    if len(names) > limit:
        return f"{len(names)} versions"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
