"""Figures of trained versions: how training went, where one stands among others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from movierec.metadata import EpochSummary, ReliabilityBin
from movierec.store.records import EpochRecord
from movierec.ui.components.drawing import finish, mark, row_of, thin
from movierec.ui.components.text import decimal, plotly_text
from movierec.ui.components.theme import NEUTRAL, SYMBOLS, VersionStyle

__all__ = [
    "CURVES",
    "Curve",
    "CurveName",
    "best_epoch",
    "history_frame",
    "ladder",
    "learning_curve",
    "measured",
    "over_epochs",
    "reliability",
    "reliability_frame",
]

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


def history_frame(rows: Sequence[EpochRecord | EpochSummary]) -> pd.DataFrame:
    """Return epochs as a frame, in order of epoch."""
    columns = ["epoch", "train_loss", "val_loss", "val_rmse", "val_ndcg_10", "seconds", "is_best"]
    frame = pd.DataFrame([vars(row) for row in rows], columns=columns).astype(
        dict.fromkeys(columns[1:-1], float)
    )
    return frame.sort_values("epoch", ignore_index=True)


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
    curve, best = CURVES[name], best_epoch(history)
    value, epoch = float(best[curve.column]), int(best["epoch"])
    sign = "best so far" if running else "kept"
    title = f"{name} {decimal(value)} at epoch {epoch} of {len(history)}, {sign}"
    rows = history.iloc[thin(len(history))]
    colour = style.colour if style else None
    line = {"color": colour, "width": 2.5, "dash": style.dash if style else "solid"}
    figure = go.Figure(over_epochs(rows, curve.column, "validation", line))
    if name == "Loss":
        line = {"color": NEUTRAL, "width": 2, "dash": "dot"}
        figure.add_trace(over_epochs(rows, "train_loss", "train", line))
    above = "top" if curve.lower_is_better else "bottom"
    side = "left" if epoch > len(history) / 2 else "right"  # a narrow chart would cut a centred one
    clear = f"{above} {side}"
    mark(figure, epoch, value, f"{sign}: epoch {epoch}", clear, colour)
    figure.update_layout(showlegend=name == "Loss")
    figure.update_xaxes(rangemode="nonnegative", tickformat="d")
    first = decimal(float(history[curve.column].iloc[0]))
    alt = f"{curve.axis} over {len(history)} epochs, from {first}. {title}."
    return finish(figure, title, alt, x="epoch", y=curve.axis)


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
    return finish(figure, f"{axis}: {_ladder_title(known, lower_is_better)}", alt, x=axis, y="")


def reliability_frame(rows: Sequence[ReliabilityBin]) -> pd.DataFrame:
    """Return a version's stored reliability table as a frame; empty where there is none."""
    columns = ["threshold", "bin", "predicted", "observed", "count"]
    return pd.DataFrame([vars(row) for row in rows], columns=columns).astype(float)


def reliability(table: pd.DataFrame, ece: float, style: VersionStyle) -> go.Figure:
    """Draw predicted probability against observed frequency, on the diagonal where they agree.

    Args:
        table: `reliability_frame`, at least one row; of many thresholds seven are drawn.
        ece: expected calibration error, 0–1.
        style: of the version.

    """
    thresholds = np.unique(table["threshold"])
    drawn = thresholds[thin(len(thresholds), len(SYMBOLS))]
    line = {"color": NEUTRAL, "dash": "dash", "width": 1.5}
    diagonal = {"mode": "lines", "name": "exact", "line": line, "hoverinfo": "skip"}
    figure = go.Figure(go.Scatter(x=[0, 100], y=[0, 100], **diagonal))
    for threshold, symbol in zip(drawn, SYMBOLS, strict=False):
        chosen = table.loc[table["threshold"] == threshold]
        figure.add_trace(_reliable(chosen, f"above {threshold:g}", symbol, style.colour))
    figure.update_layout(showlegend=True)
    figure.update_xaxes(range=[-2, 102], tickvals=[*range(0, 101, 20)])
    figure.update_yaxes(range=[-2, 104], tickvals=[*range(0, 101, 20)])
    title = f"Its probabilities are {100 * ece:.1f} points (of 100) off on average"
    gap = float((table["predicted"] - table["observed"]).abs().max())
    alt = (
        f"Predicted probability of a rating above {_listed(drawn)} stars against how often it was, "
        f"in tenths. {title}; the largest gap of one tenth is {100 * gap:.1f} points."
    )
    x = "predicted probability of more stars (%)"
    return finish(figure, title, alt, x=x, y="observed frequency (%)")


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _reliable(rows: pd.DataFrame, name: str, symbol: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=100 * rows["predicted"],
        y=100 * rows["observed"],
        customdata=rows["count"],
        mode="markers",
        name=name,
        marker={"color": colour, "symbol": symbol, "size": 8},
        hovertemplate=f"{name} stars: predicted %{{x:.1f}} %, observed %{{y:.1f}} % "
        "(%{customdata:,} ratings)<extra></extra>",
    )


def over_epochs(
    rows: pd.DataFrame, column: str, name: str, line: Mapping[str, object]
) -> go.Scatter:
    """Return one column of a history as a line over its epochs."""
    return go.Scatter(
        x=rows["epoch"],
        y=rows[column],
        mode="lines+markers" if len(rows) < 60 else "lines",
        name=name,
        line=line,
        marker={"size": 5},
        hovertemplate=f"epoch %{{x}}, {name}: %{{y:.4f}}<extra></extra>",
    )


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


def best_epoch(history: pd.DataFrame) -> pd.Series:
    """Return the epoch whose weights were kept: the last one marked best, else the lowest loss."""
    marked = history.loc[history["is_best"].astype(bool)]
    losses = history["val_loss"].fillna(np.inf)
    return marked.iloc[-1] if len(marked) else row_of(history, losses.argmin())
