"""A Plotly chart that is updated in place: what somebody zoomed into stays where it is.

`st.plotly_chart` is mounted anew whenever its data changes, so a live curve would jump back at
every poll. This component hands each new figure to `Plotly.react`. Plotly itself comes from the
plotly package that is installed, through a second component that is mounted once per page.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from movierec.ui import widgets

__all__ = ["live_chart", "load"]

_HEIGHT = 320
_SCRIPT = Path(__file__).with_name("live_chart.js")


def live_chart(chart: go.Figure, key: str, *, note: str = "", height: int = _HEIGHT) -> None:
    """Draw a chart under its own title; zoom and pan outlive its updates.

    The page must call `load` once, outside of fragments.
    """
    widgets.chart_title(chart, note)
    bare = widgets.bare(chart, height)
    data = {"figure": bare.to_json(), "alt": chart.layout.meta["alt"], "height": height}
    _chart()(key=key, data=data, height=height)


def load() -> None:
    """Bring Plotly into the page; last, so that everything else is painted before it."""
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
