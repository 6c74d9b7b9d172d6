"""Figures of runs under way or done: one measure over the epochs, several runs together."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from movierec.ui.components.drawing import finish, mark, thin
from movierec.ui.components.text import decimal
from movierec.ui.components.theme import DASHES, OKABE_ITO
from movierec.ui.components.versions.charts import CURVES, Curve, CurveName, best_epoch, over_epochs

__all__ = ["curves"]


def curves(histories: Mapping[str, pd.DataFrame], name: CurveName = "RMSE") -> go.Figure:
    """Draw one validation curve of several runs over their epochs, each best epoch ringed.

    `histories`: what each run is called, and its `model_charts.history_frame`; at least one has
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
    figure.update_xaxes(rangemode="nonnegative", tickformat="d")
    title = _title(bests, name, curve)
    told = "; ".join(
        f"{label}: {decimal(value)} at epoch {epoch}" for label, (value, epoch) in bests.items()
    )
    alt = f"{curve.axis} of {len(bests)} runs over their epochs. {title}. Best epochs: {told}."
    return finish(figure, title, alt, x="epoch", y=curve.axis)


def _title(bests: Mapping[str, tuple[float, int]], name: str, curve: Curve) -> str:
    choose = min if curve.lower_is_better else max
    label = choose(bests, key=lambda each: bests[each][0])
    value, epoch = bests[label]
    return f"{label} has the best {name}: {decimal(value)} at epoch {epoch}"
