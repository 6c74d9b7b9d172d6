"""The pages opened under many addresses, and which parts of an address each of them reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamlit.runtime.state import query_params, query_params_proxy
from streamlit.testing.v1 import AppTest

import movierec
from tests.support.program import inside, none_detached

__all__ = ["PAGES", "addresses", "opened"]

ROOT = Path(movierec.__file__).resolve().parents[2]
Query = dict[str, str | list[str]]

# what leads to parts that a page does not draw by itself
PAGES: dict[str, tuple[Query, ...]] = {
    "Home.py": ({},),
    "pages/Data.py": (
        {}, {"view": "Movies", "movie": "m3"}, {"view": "Users", "user": "u5"}, {"view": "Import"},
    ),
    "pages/Train.py": (
        {}, {"preset": "svd", "split": "random"}, {"preset": "default", "split": "cold-users"},
        {"view": "Runs", "run": "7"}, {"view": "Sweeps", "sweep": "small"},
    ),
    "pages/Compare.py": (
        {}, *({"versions": ["v1.0.0", "v1.1.0"], "baseline": "v1.1.0", "view": view}
              for view in ("Overview", "Groups", "Stars", "Lists", "Online")),
        {"versions": "v1.0.0,v1.6.0"},
    ),
    "pages/Recommend.py": (
        {}, {"user": "u5", "version": "v1.1.0", "beside": "v1.2.0"},
        {"view": "Newcomer", "ratings": "m1:5,m2:1"}, {"view": "Movie", "movie": "m3"},
        {"view": "Map", "user": "u5"}, {"view": "Feedback"},
    ),
    "pages/Versions.py": (
        {}, {"version": "v1.1.0"}, {"view": "History of current"}, {"view": "Trash"},
        {"view": "Import"},
    ),
}  # fmt: skip


def opened(home: Path, page: str, query: Query) -> AppTest:
    """Return a page of a home as it was drawn under an address, without an exception."""
    with inside(home), none_detached():
        at = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60)
        if page != "Home.py":
            at.switch_page(str(ROOT / page))
        for key, value in query.items():
            at.query_params[key] = value
        at.run()
    assert not at.exception, (page, query, at.exception[0].stack_trace)
    assert not at.error, (page, query, at.error[0].value)
    return at


def addresses(home: Path) -> dict[str, list[str]]:
    """Return which keys of an address each page reads or writes."""
    found = {}
    for page, queries in PAGES.items():
        with _watched() as keys:
            for query in queries:
                opened(home, page, query)
        found[page] = sorted(keys)
    return found


@contextmanager
def _watched() -> Iterator[set[str]]:
    """Collect every key that Streamlit is asked for, or binds a widget to."""
    keys: set[str] = set()
    proxy, params = query_params_proxy.QueryParamsProxy, query_params.QueryParams
    places = [
        (proxy, "__getitem__"), (proxy, "__setitem__"), (proxy, "get_all"), (params, "bind_widget"),
    ]  # fmt: skip
    kept = [(owner, name, getattr(owner, name)) for owner, name in places]
    for owner, name, method in kept:
        setattr(owner, name, _telling(method, keys))
    try:
        yield keys
    finally:
        for owner, name, method in kept:
            setattr(owner, name, method)


def _telling(method: Any, keys: set[str]) -> Any:
    def told(self: Any, *given: Any, **named: Any) -> Any:
        keys.add(given[0] if given else named["param_key"])
        return method(self, *given, **named)

    return told
