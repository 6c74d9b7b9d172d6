"""Inputs in a page's address, which is its query parameters.

Where Streamlit can, it binds an input to the address by itself (`bound`). It would write an
option's label there, so a choice among things with an id is kept by hand: `asked` reads what a
link asks for, `write` puts down what was chosen, `select` is a select box around both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from typing import Any, TypeVar

import streamlit as st

from movierec.ui.components import widgets

__all__ = ["asked", "bound", "select", "write"]

Default = TypeVar("Default", str, None)


def bound(key: str) -> dict[str, Any]:
    """Return the arguments that keep an input over pages and in the address, under this name.

    Streamlit 1.67 fails on an address that says `1e400` for a whole number; it drops all else
    that is none.
    """
    bind = "query-params" if _is_usable(st.query_params.get(key, "")) else None
    return {"key": key, "bind": bind, "persist_state": "session"}


def asked(key: str) -> list[str]:
    """Return the values the address asks for; none where it repeats what this session wrote."""
    values = st.query_params.get_all(key)
    repeats = key in st.session_state and values == st.session_state.get(_written(key))
    return [] if repeats else values


def write(key: str, *values: str) -> None:
    """Put values into the address; without any the parameter is removed."""
    st.session_state[_written(key)] = [*values]
    if values:
        st.query_params[key] = [*values]
    else:
        st.query_params.pop(key, None)


def select(
    label: str,
    key: str,
    options: Sequence[str],
    default: Default,
    *,
    known: Container[str] | None = None,
    named: Callable[[str], str] = str,
    unknown: str = "There is no {asked} here (any more); this is {chosen}.",
    **arguments: Any,
) -> str | Default:
    """Draw a select box whose value is in the address; the address may ask for another value.

    Args:
        label: of the select box.
        key: of the select box, and the parameter's name.
        options: those that are offered.
        default: the one to begin with; None leaves the choice open, and then nothing is said of
            what is not known.
        known: all that may be chosen, where more are than are offered.
        named: gives an option's text.
        unknown: what is said where the address asks for something that is not known.
        arguments: others of `st.selectbox`.

    """
    state: Any = st.session_state
    may_be_typed = known is None and arguments.get("accept_new_options", False)
    known = options if known is None else known
    wanted: str | None = next(iter(asked(key)), None)
    if wanted is not None and (wanted in known or may_be_typed):
        state[key] = wanted
        wanted = None
    kept: Any = state.get(key)
    if kept not in known and not (kept and may_be_typed):
        state[key] = default
    kept = state[key]
    hidden: list[Any] = (
        [kept] if kept is not None and kept not in options and not may_be_typed else []
    )
    chosen: str | Default = st.selectbox(
        label, [*hidden, *options], index=None if default is None else 0, key=key,
        format_func=named, **arguments,
    )  # fmt: skip
    if wanted is not None and default is not None:
        widgets.mute(unknown.format(asked=wanted[:40], chosen=chosen))
    write(key, *([] if chosen is None else [chosen]))
    return chosen


def _written(key: str) -> str:
    return f"{key}-written"


def _is_usable(text: str) -> bool:
    try:
        return not math.isinf(float(text))
    except ValueError:
        return True  # no number: Streamlit drops it by itself
