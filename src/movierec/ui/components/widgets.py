"""Small pieces that several pages use. Text from data goes through `html.escape`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from movierec.ui.components.charts import bare
from movierec.ui.components.theme import VersionStyle

__all__ = [
    "CITATION",
    "chart_title",
    "chips",
    "citation",
    "command",
    "facts",
    "figure",
    "heading",
    "html",
    "mute",
    "open_first",
    "section",
    "selectable",
    "step",
    "steps",
    "switch",
    "version_title",
]

T = TypeVar("T")

CITATION = (
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. "
    "ACM Transactions on Interactive Intelligent Systems (TiiS) 5, 4: 19:1–19:19."
)
_CITATION_URL = "https://doi.org/10.1145/2827872"
_CHART_OPTIONS = {"displayModeBar": False, "scrollZoom": False}


def html(body: str) -> None:
    """Draw HTML whose foreign text is escaped already."""
    st.html(body)


def heading(kicker: str, title: str, lead: str = "") -> None:
    """Draw the head of a page: kicker, title, lead."""
    below = f'<p class="mr-lead">{escape(lead)}</p>' if lead else ""
    html(
        f'<p class="mr-kicker">{escape(kicker)}</p><h1 class="mr-title">{escape(title)}</h1>{below}'
    )


def steps(names: Sequence[str], *, at: int) -> None:
    """Draw steps of which the first `at` are done."""
    items = ""
    for place, name in enumerate(names):
        state = "done" if place < at else "now" if place == at else "next"
        mark = "✓" if state == "done" else str(place + 1)
        here = ' aria-current="step"' if state == "now" else ""
        items += f'<li class="mr-{state}"{here}><b>{mark}</b>{escape(name)}</li>'
    html(f'<ol class="mr-steps">{items}</ol>')


def step(what: str, why: str = "", **look: Any) -> None:
    """Draw a task or a decision, and below it the reason in quiet colour."""
    below = f'<p class="mr-mute">{escape(why)}</p>' if why else ""
    st.html(f'<p class="mr-step">{escape(what)}</p>{below}', **look)


def section(title: str) -> None:
    """Draw the heading of a part of a page."""
    html(f'<h2 class="mr-section">{escape(title)}</h2>')


def mute(text: str) -> None:
    """Draw a remark in quiet colour."""
    html(f'<p class="mr-mute">{escape(text)}</p>')


def facts(pairs: Mapping[str, str]) -> None:
    """Draw names and values as a definition list."""
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in pairs.items())
    html(f'<dl class="mr-facts">{items}</dl>')


def figure(chart: go.Figure, key: str, *, note: str = "", height: int | None = None) -> None:
    """Draw a chart under its own title, which wraps on narrow screens as Plotly's cannot."""
    chart_title(chart.layout.title.text, note)
    drawn = bare(chart, height or chart.layout.height or 320)
    st.plotly_chart(drawn, key=key, alt=chart.layout.meta["alt"], config=_CHART_OPTIONS)


def chart_title(title: str, note: str = "") -> None:
    """Draw the title of a chart, which holds HTML's escapes alone, and a remark below it."""
    below = f'<p class="mr-chart-note">{escape(note)}</p>' if note else ""
    html(f'<h3 class="mr-chart-title">{title}</h3>{below}')


def version_title(text: str, style: VersionStyle) -> None:
    """Draw a chart's title after the colour of the version it is about."""
    swatch = f'<i class="mr-swatch" style="background:{style.colour}"></i>'
    chart_title(f"{swatch}{escape(text)}")


def chips(pairs: Mapping[str, str]) -> None:
    """Draw names and values side by side, wrapping where the line ends."""
    items = "".join(
        f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in pairs.items()
    )
    html(f'<dl class="mr-chips">{items}</dl>')


def switch(label: str, options: Sequence[T], key: str) -> T:
    """Draw a few options side by side, the first as default; the choice is in the address."""
    return st.segmented_control(
        label, options, default=options[0], required=True, key=key, bind="query-params"
    )


def selectable(
    frame: pd.DataFrame, ids: Sequence[T], take: Callable[[list[T]], None], key: str, **look: Any
) -> None:
    """Draw a table with a row for each of `ids`; `take` gets those selected when that changes."""

    def selected() -> None:
        take([ids[row] for row in st.session_state[key].selection.rows])

    height = min(360, 36 + 35 * len(frame))
    look = {"height": height, "selection_mode": "single-row", "placeholder": "–", **look}
    st.dataframe(frame, hide_index=True, key=key, on_select=selected, **look)


def open_first(key: str) -> Callable[[list[T]], None]:
    """Return a callback that makes the first selected id the value of the input `key`."""

    def take(ids: list[T]) -> None:
        st.session_state[key] = ids[0] if ids else None

    return take


def command(text: str, lead: str = "The same from a terminal:") -> None:
    """Draw a command for a terminal, which a button copies."""
    mute(lead)
    st.code(text, language="bash", wrap_lines=True)


def citation() -> None:
    """Name the source of MovieLens, as its terms ask."""
    html(
        f'<p class="mr-mute">MovieLens data: {escape(CITATION)} '
        f'<a href="{_CITATION_URL}" target="_blank" rel="noopener">doi:10.1145/2827872</a></p>'
    )
