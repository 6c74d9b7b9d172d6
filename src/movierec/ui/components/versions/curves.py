"""Learning curves: the epochs of a run or a version, alone or several together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from movierec.metadata import EpochSummary
from movierec.store.records import EpochRecord, VersionRecord
from movierec.ui.components.charts import finish, mark, row_of, thin
from movierec.ui.components.text import decimal, duration
from movierec.ui.components.theme import DASHES, NEUTRAL, OKABE_ITO, Styles, VersionStyle

__all__ = [
    "CURVES",
    "Curve",
    "CurveName",
    "best_epoch",
    "curves_of_runs",
    "curves_of_versions",
    "histories",
    "history_frame",
    "learning_curve",
    "measured",
    "over_epochs",
]

CurveName = Literal["RMSE", "NDCG@10", "Loss"]

CurveX = Literal["epoch", "seconds"]
_MARKS = 6  # symbols along a line, which tell it from another where colours do not


@dataclass(frozen=True)
class Curve:
    """A learning curve: column of the history, axis title, better direction."""

    column: str
    axis: str
    lower_is_better: bool = True


_TICKED = 12  # epochs that each have a tick
CURVES: dict[CurveName, Curve] = {
    "RMSE": Curve("val_rmse", "validation RMSE (stars)"),
    "NDCG@10": Curve("val_ndcg_10", "validation NDCG@10 (0–1)", lower_is_better=False),
    "Loss": Curve("val_loss", "loss (the loss's own unit)"),
}


def history_frame(rows: Sequence[EpochRecord | EpochSummary]) -> pd.DataFrame:
    """Return epochs as a frame, in order of epoch."""
    columns = ["epoch", "train_loss", "val_loss", "val_rmse", "val_ndcg_10", "seconds", "is_best"]
    frame = pd.DataFrame([vars(row) for row in rows], columns=columns)
    frame = frame.astype(dict.fromkeys(columns[1:-1], float))
    return frame.sort_values("epoch", ignore_index=True)


def histories(records: Mapping[str, VersionRecord]) -> dict[str, pd.DataFrame]:
    """Return the epochs of each version that has any, by name."""
    frames = {name: history_frame(each.metadata.training_history) for name, each in records.items()}
    return {name: frame for name, frame in frames.items() if not frame.empty}


def measured(*histories: pd.DataFrame) -> list[CurveName]:
    """Return the curves that at least one of these histories has values for."""
    return [
        name
        for name, curve in CURVES.items()
        if any(history[curve.column].notna().any() for history in histories)
    ]


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
    _axis_of_epochs(figure, len(history))
    first = decimal(float(history[curve.column].iloc[0]))
    alt = f"{curve.axis} over {len(history)} epochs, from {first}. {title}."
    return finish(figure, title, alt, x="epoch", y=curve.axis)


def _axis_of_epochs(figure: go.Figure, n_epochs: int) -> None:
    """Have whole epochs on the axis; Plotly would name some of a few twice."""
    step = 1 if n_epochs <= _TICKED else None
    figure.update_xaxes(rangemode="nonnegative", tickformat="d", dtick=step)


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


def best_epoch(history: pd.DataFrame) -> pd.Series:
    """Return the epoch whose weights were kept: the last one marked best, else the lowest loss."""
    marked = history.loc[history["is_best"].astype(bool)]
    losses = history["val_loss"].fillna(np.inf)
    return marked.iloc[-1] if len(marked) else row_of(history, losses.argmin())


def curves_of_runs(histories: Mapping[str, pd.DataFrame], name: CurveName = "RMSE") -> go.Figure:
    """Draw one validation curve of several runs over their epochs, each best epoch ringed.

    `histories`: what each run is called, and its `history_frame`; at least one has
    a value.
    """
    curve, figure = CURVES[name], go.Figure()
    bests = {}
    for place, (label, history) in enumerate(histories.items()):
        line = {"color": OKABE_ITO[place % 7], "width": 2.5, "dash": DASHES[place % len(DASHES)]}
        known = history.loc[history[curve.column].notna()]
        if known.empty:
            continue
        figure.add_trace(over_epochs(known.iloc[thin(len(known))], curve.column, label, line))
        best = best_epoch(known)
        bests[label] = (float(best[curve.column]), int(best["epoch"]))
        mark(figure, bests[label][1], bests[label][0], "", "top center", str(line["color"]))
    figure.update_layout(showlegend=True)
    _axis_of_epochs(figure, max(map(len, histories.values())))
    title = _curves_title(bests, name, curve)
    told = "; ".join(
        f"{label}: {decimal(value)} at epoch {epoch}" for label, (value, epoch) in bests.items()
    )
    alt = f"{curve.axis} of {len(bests)} runs over their epochs. {title}. Best epochs: {told}."
    return finish(figure, title, alt, x="epoch", y=curve.axis)


def _curves_title(bests: Mapping[str, tuple[float, int]], name: str, curve: Curve) -> str:
    choose = min if curve.lower_is_better else max
    label = choose(bests, key=lambda each: bests[each][0])
    value, epoch = bests[label]
    return f"{label} has the best {name}: {decimal(value)} at epoch {epoch}"


def curves_of_versions(
    histories: Mapping[str, pd.DataFrame],
    name: CurveName,
    styles: Styles,
    *,
    x: CurveX = "epoch",
) -> go.Figure:
    """Draw one validation curve of several versions, the epoch each kept marked by its symbol.

    `histories`: `history_frame` by version; `x`: the epoch, or the seconds of all
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
        figure.add_trace(_version_curve(rows, across, curve.column, version, styles[version]))
        figure.add_trace(_kept(best, across, curve.column, version, styles[version]))
    figure.update_layout(showlegend=True)
    figure.update_xaxes(rangemode="nonnegative")
    if x == "epoch":
        _axis_of_epochs(figure, max(map(len, histories.values())))
    title = _versions_title(bests, name, x)
    told = "; ".join(f"{v}: {_kept_words(row, name)}" for v, row in bests.items())
    over = "their epochs" if x == "epoch" else "the seconds of their epochs"
    alt = f"{curve.axis} of {len(bests)} versions over {over}. {title}. Kept: {told}."
    axis = "epoch" if x == "epoch" else "time in epochs (s)"
    return finish(figure, title, alt, x=axis, y=curve.axis)


def _version_curve(
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


def _versions_title(bests: Mapping[str, pd.Series], name: CurveName, x: CurveX) -> str:
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
