"""What all figures share: their finish, their marks, and how many points they draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from movierec.ui.components.text import plotly_text
from movierec.ui.components.theme import NEUTRAL

__all__ = ["bare", "finish", "is_wide", "mark", "row_of", "thin"]

FACTORS_FROM = 20  # times the smallest, from where a scale goes by factors
POINTS = 1000  # more than these no screen shows
_CLEAR = "rgba(0,0,0,0)"  # what is behind the chart shines through


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
    """Whether values are so far apart that only factors tell the small ones apart."""
    return bool(values) and min(values) > 0 and max(values) > FACTORS_FROM * min(values)


def row_of(frame: pd.DataFrame, place: int | np.integer[Any]) -> pd.Series:
    """Return the row at a place found by `argmin` or `argmax`."""
    return frame.iloc[int(place)]
