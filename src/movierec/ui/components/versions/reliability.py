"""Figures of calibration: do the probabilities of a version, or of several, come true?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from movierec.metadata import ReliabilityBin
from movierec.ui.components.charts import REFERENCE, finish, thin
from movierec.ui.components.text import plotly_text
from movierec.ui.components.theme import SYMBOLS, Styles, VersionStyle

__all__ = ["expected_error", "of_one", "of_several", "pooled", "reliability_frame"]

_X, _Y = "predicted probability of more stars (%)", "observed frequency (%)"


def reliability_frame(rows: Sequence[ReliabilityBin]) -> pd.DataFrame:
    """Return a version's stored reliability table as a frame; empty where there is none."""
    columns = ["threshold", "bin", "predicted", "observed", "count"]
    return pd.DataFrame([vars(row) for row in rows], columns=columns).astype(float)


def of_one(table: pd.DataFrame, ece: float, style: VersionStyle) -> go.Figure:
    """Draw predicted probability against observed frequency, on the diagonal where they agree.

    Args:
        table: `reliability_frame`, at least one row; of many thresholds seven are drawn.
        ece: expected calibration error, 0–1.
        style: of the version.

    """
    thresholds = np.unique(table["threshold"])
    drawn = thresholds[thin(len(thresholds), len(SYMBOLS))]
    figure = _diagonal()
    for threshold, symbol in zip(drawn, SYMBOLS, strict=False):
        chosen = table.loc[table["threshold"] == threshold]
        name, marker = f"above {threshold:g}", {"color": style.colour, "symbol": symbol, "size": 8}
        figure.add_trace(_bins(chosen, name, f"{name} stars", mode="markers", marker=marker))
    title = f"Its probabilities are {100 * ece:.1f} points (of 100) off on average"
    gap = float((table["predicted"] - table["observed"]).abs().max())
    alt = (
        f"Predicted probability of a rating above {_listed(drawn)} stars against how often it was, "
        f"in tenths. {title}; the largest gap of one tenth is {100 * gap:.1f} points."
    )
    return finish(figure, title, alt, x=_X, y=_Y)


def _diagonal() -> go.Figure:
    """Return the line where what is predicted is what is observed, with its axes in per cent."""
    exact = {"mode": "lines", "name": "exact", "line": REFERENCE, "hoverinfo": "skip"}
    figure = go.Figure(go.Scatter(x=[0, 100], y=[0, 100], **exact))
    figure.update_layout(showlegend=True)
    figure.update_xaxes(range=[-2, 102], tickvals=[*range(0, 101, 20)])
    return figure.update_yaxes(range=[-2, 104], tickvals=[*range(0, 101, 20)])


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _bins(rows: pd.DataFrame, name: str, what: str, **look: Any) -> go.Scatter:
    return go.Scatter(
        x=100 * rows["predicted"],
        y=100 * rows["observed"],
        customdata=rows["count"],
        name=name,
        hovertemplate=f"{what}: predicted %{{x:.1f}} %, observed %{{y:.1f}} % "
        "(%{customdata:,} ratings)<extra></extra>",
        **look,
    )


def pooled(table: pd.DataFrame) -> pd.DataFrame:
    """Return predicted and observed frequency per bin over all thresholds together.

    `table`: `reliability_frame`. Columns: bin, predicted, observed, count. Each threshold counts
    by its ratings, which are as many for all.
    """
    weighted = table.assign(
        predicted=table["predicted"] * table["count"], observed=table["observed"] * table["count"]
    )
    sums = weighted.groupby("bin")[["predicted", "observed", "count"]].sum()
    sums = sums.loc[sums["count"] > 0]
    frequencies = sums[["predicted", "observed"]].div(sums["count"], axis=0)
    return frequencies.assign(count=sums["count"]).reset_index()


def expected_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error of a reliability table, the mean over thresholds."""
    gap = (table["predicted"] - table["observed"]).abs() * table["count"]
    by = table["threshold"]
    return float((gap.groupby(by).sum() / table["count"].groupby(by).sum()).mean())


def of_several(tables: Mapping[str, Sequence[ReliabilityBin]], styles: Styles) -> go.Figure:
    """Draw predicted probability against observed frequency for several versions.

    `tables`: the stored reliability rows by version, none of them empty; all thresholds of one
    are pooled, as several versions with several thresholds each could not be told apart.
    """
    figure = _diagonal()
    errors = {}
    for name, rows in tables.items():
        table = reliability_frame(rows)
        errors[name] = expected_error(table)
        style = styles[name]
        line = {"color": style.colour, "dash": style.dash, "width": 1.5}
        marker = {"color": style.colour, "symbol": style.symbol, "size": 9}
        look = {"mode": "lines+markers", "line": line, "marker": marker}
        figure.add_trace(_bins(pooled(table), name, plotly_text(name), **look))
    title = _title(errors)
    told = "; ".join(f"{name} {100 * error:.1f}" for name, error in errors.items())
    alt = (
        "Predicted probability of a rating above a number of stars against how often it was, in "
        f"tenths, all thresholds together. {title}. Points (of 100) off on average: {told}."
    )
    return finish(figure, title, alt, x=_X, y=_Y)


def _title(errors: Mapping[str, float]) -> str:
    best = min(errors, key=lambda name: errors[name])
    if len(errors) == 1:
        return f"The probabilities of {best} are {100 * errors[best]:.1f} points off on average"
    others = {name: error for name, error in errors.items() if name != best}
    worst = max(others, key=lambda name: others[name])
    low, high = f"{100 * errors[best]:.1f}", f"{100 * errors[worst]:.1f}"
    if low == high:
        return f"All are calibrated alike: {low} points off on average"
    return f"{best} is calibrated best: {low} points off on average, {worst} {high}"
