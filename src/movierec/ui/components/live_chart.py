"""A Plotly chart that is updated in place: what somebody zoomed into stays where it is.

`st.plotly_chart` is mounted anew whenever its data changes, so a live curve would jump back at
every poll. This component hands each new figure to `Plotly.react`. Plotly itself comes from the
plotly package that is installed, through a second component that is mounted once per page.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from movierec.ui.components import widgets

__all__ = ["Drawing", "drawing", "live_chart", "load"]

_HEIGHT = 320
_WANTED = "live-chart-drawn"
_SCRIPT = Path(__file__).with_name("live_chart.js")


@dataclass(frozen=True)
class Drawing:
    """A figure as the browser gets it: its title and alt text, and Plotly's JSON of the rest."""

    title: str
    alt: str
    figure: str
    height: int


def drawing(chart: go.Figure, height: int = _HEIGHT) -> Drawing:
    """Return what `live_chart` draws of a figure; worth keeping, since Plotly is slow at it."""
    figure: str = widgets.bare(chart, height).to_json()
    return Drawing(chart.layout.title.text, chart.layout.meta["alt"], figure, height)


def live_chart(drawn: Drawing, key: str, *, note: str = "") -> None:
    """Draw a chart under its own title; zoom and pan outlive its updates.

    The page must call `load` once, outside of fragments.
    """
    st.session_state[_WANTED] = True
    widgets.chart_title(drawn.title, note)
    data = {"figure": drawn.figure, "alt": drawn.alt, "height": drawn.height}
    _chart()(key=key, data=data, height=drawn.height)


def load(*, coming: bool = True) -> None:
    """Bring Plotly into the page; last, so that everything else is painted before it.

    If no chart is `coming` with a poll, only where the page has drawn one: it is 5 MB.
    """
    if st.session_state.pop(_WANTED, False) or coming:
        _library()(key="plotly-library", height=1)


@cache
def _chart() -> Any:
    return st.components.v2.component(
        "movierec_live_chart",
        html='<div class="mr-live" role="img"></div>',
        js=_SCRIPT.read_text(encoding="utf-8"),
        isolate_styles=False,
    )


@cache
def _library() -> Any:
    code = files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    after = "window.dispatchEvent(new Event('movierec-plotly'));\nexport default () => {};\n"
    return st.components.v2.component(
        "movierec_plotly", js=f"{code}\n{after}", isolate_styles=False
    )
