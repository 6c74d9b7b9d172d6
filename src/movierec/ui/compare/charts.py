"""Figures of versions side by side: training, settings, what lies beside accuracy; and the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from movierec.comparison.metrics import BEYOND, BY_KEY, Metric
from movierec.comparison.results import Comparison
from movierec.store.records import VersionRecord
from movierec.ui.compare.cost_charts import pareto
from movierec.ui.compare.list_charts import bump, changes
from movierec.ui.compare.slice_charts import error_by_rating, forest, reliability
from movierec.ui.components.drawing import finish, is_wide, thin
from movierec.ui.components.parallel import parallel_lines, plain, scaled
from movierec.ui.components.text import decimal, duration, plotly_text
from movierec.ui.components.theme import NEUTRAL, VersionStyle
from movierec.ui.components.versions.charts import CURVES, CurveName, best_epoch

__all__ = [
    "beyond",
    "bump",
    "changes",
    "curves",
    "error_by_rating",
    "forest",
    "parallel",
    "pareto",
    "reliability",
]

CurveX = Literal["epoch", "seconds"]
Styles: TypeAlias = Mapping[str, VersionStyle]

_BESIDE = [m for m in BEYOND if m.path[0] == "beyond"]
_MARKS = 6  # symbols along a line, which tell it from another where colours do not
_AXES = 6  # settings that have room beside each other
_FIRST = (  # among settings with equally many values: the best known
    "preset", "loss_type", "hidden_dim", "num_layers", "learning_rate", "dropout", "aggregator",
    "epochs", "batch_size",
)  # fmt: skip


def curves(
    histories: Mapping[str, pd.DataFrame],
    name: CurveName,
    styles: Styles,
    *,
    x: CurveX = "epoch",
) -> go.Figure:
    """Draw one validation curve of several versions, the epoch each kept marked by its symbol.

    `histories`: `model_charts.history_frame` by version; `x`: the epoch, or the seconds of all
    epochs until then.
    """
    curve, figure = CURVES[name], go.Figure()
    bests: dict[str, pd.Series] = {}
    for version, history in histories.items():
        timed = history.assign(elapsed=history["seconds"].cumsum())
        known = timed.loc[timed[curve.column].notna() & (x == "epoch" or timed["elapsed"].notna())]
        if known.empty:
            continue
        bests[version] = best_epoch(known)
        across = "epoch" if x == "epoch" else "elapsed"
        rows, best = known.iloc[thin(len(known))], bests[version]
        figure.add_trace(_curve(rows, across, curve.column, version, styles[version]))
        figure.add_trace(_kept(best, across, curve.column, version, styles[version]))
    figure.update_layout(showlegend=True)
    figure.update_xaxes(rangemode="nonnegative", tickformat="d" if x == "epoch" else None)
    title = _curves_title(bests, name, x)
    told = "; ".join(f"{v}: {_kept_words(row, name)}" for v, row in bests.items())
    over = "their epochs" if x == "epoch" else "the seconds of their epochs"
    alt = f"{curve.axis} of {len(bests)} versions over {over}. {title}. Kept: {told}."
    axis = "epoch" if x == "epoch" else "time in epochs (s)"
    return finish(figure, title, alt, x=axis, y=curve.axis)


def _curve(
    rows: pd.DataFrame, across: str, column: str, version: str, style: VersionStyle
) -> go.Scatter:
    return go.Scatter(
        x=rows[across],
        y=rows[column],
        customdata=rows["epoch"],
        mode="lines+markers",
        name=version,
        line={"color": style.colour, "dash": style.dash, "width": 2.5},
        marker={"symbol": style.symbol, "size": 7, "maxdisplayed": _MARKS},
        hovertemplate=f"{version}, epoch %{{customdata}}: %{{y:.4f}}<extra></extra>",
    )


def _kept(
    best: pd.Series, across: str, column: str, version: str, style: VersionStyle
) -> go.Scatter:
    """Return the mark of the epoch whose weights a version has."""
    return go.Scatter(
        x=[best[across]],
        y=[best[column]],
        mode="markers",
        name=f"{version}, kept",
        showlegend=False,
        cliponaxis=False,
        marker={"symbol": style.symbol, "size": 14, "color": style.colour},
        hovertemplate=f"{version} kept epoch {int(best['epoch'])}: %{{y:.4f}}<extra></extra>",
    )


def _kept_words(best: pd.Series, name: CurveName) -> str:
    value = decimal(float(best[CURVES[name].column]))
    return f"{value} at epoch {int(best['epoch'])}"


def _curves_title(bests: Mapping[str, pd.Series], name: CurveName, x: CurveX) -> str:
    if not bests:
        return f"No {name} was measured while these versions were trained"
    if name == "Loss":  # losses of two kinds, such as ordinal and mse, have no common unit
        return "Loss while training; compare shapes, not heights, where the loss differs"
    column = CURVES[name].column
    choose = min if CURVES[name].lower_is_better else max
    best = choose(bests, key=lambda version: float(bests[version][column]))
    row = bests[best]
    after = "" if x == "epoch" else f", after {duration(float(row['elapsed']))}"
    return f"{best} has the best validation {name}: {_kept_words(row, name)}{after}"


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
    alike = [pair.version for pair in found.pairs.values() if pair.is_comparable]
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
