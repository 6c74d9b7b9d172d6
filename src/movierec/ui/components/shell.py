"""The frame of every page: configuration, style, sidebar, views, links, and errors as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import streamlit as st

from movierec.errors import MovierecError
from movierec.ui.components import flash
from movierec.ui.components.text import literal

__all__ = ["PAGES", "errors_in_words", "link", "setup", "views"]

# Only pages that exist: name, file, icon.
PAGES: Mapping[str, tuple[str, str]] = {
    "Home": ("Home.py", "home"),
    "Data": ("pages/Data.py", "database"),
    "Train": ("pages/Train.py", "model_training"),
    "Compare": ("pages/Compare.py", "compare_arrows"),
    "Recommend": ("pages/Recommend.py", "recommend"),
    "Versions": ("pages/Versions.py", "inventory_2"),
}
_STYLE = Path(__file__).with_name("style.css")
# Two people, three films, the ratings between them: legible on both page backgrounds.
_MARK = """<svg viewBox="0 0 48 48" xmlns="http://www.w3.org/2000/svg" fill="#1a93ab"
stroke="#1a93ab" stroke-width="2.5"><path d="M11 15 37 9M11 15 37 24M11 33 37 24M11 33 37 39"
fill="none" opacity=".75"/><circle cx="10" cy="15" r="5.5" stroke="none"/><circle cx="10" cy="33"
r="5.5" stroke="none"/><rect x="32" y="4" width="11" height="10" rx="2.5" stroke="none"/><rect
x="32" y="19" width="11" height="10" rx="2.5" stroke="none"/><rect x="32" y="34" width="11"
height="10" rx="2.5" stroke="none"/></svg>"""


def setup(title: str) -> None:
    """Configure the page, draw its sidebar and flash message; the first call of a page."""
    # A `:material/…:` icon here would make the browser ask Google's server for it.
    st.set_page_config(page_title=f"{title} · movierec", page_icon=_MARK, layout="wide")
    st.html(_STYLE)
    st.logo(_MARK, size="large")
    with st.sidebar:
        for name in PAGES:
            link(name, name, width="stretch")
    flash.announce()


def link(
    page: str, label: str, query: Mapping[str, str | list[str]] | None = None, *,
    icon: str = "", width: Literal["content", "stretch"] = "content",
) -> None:  # fmt: skip
    """Draw a link to a page, with the page's icon unless another one is given."""
    file, own = PAGES[page]
    icon = f":material/{icon or own}:"
    st.page_link(file, label=label, icon=icon, query_params=query, width=width)


def views(drawers: Mapping[str, Callable[[], None]]) -> None:
    """Draw a page's views as tabs and what is in the open one, which the page's address names."""
    tabs = st.tabs(list(drawers), key="view", bind="query-params")
    for tab, draw in zip(tabs, drawers.values(), strict=True):
        if tab.open:
            with tab, errors_in_words():
                draw()


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Show an error of movierec's own as its message and hint, without a stack trace."""
    try:
        yield
    except MovierecError as error:
        hint = f"\n\n{literal(error.hint)}" if error.hint else ""
        st.error(f"**{literal(error.message)}**{hint}", icon=":material/error:")
