"""One input per hyperparameter, made from what `workflows.form` says of it."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import streamlit as st

from movierec.ui.components import widgets
from movierec.workflows.form import FormField, FormGroup

__all__ = ["draw", "group", "kept_as", "key_of", "said"]

_COLUMNS = 3


def key_of(preset: str, name: str) -> str:
    """Return the key of an input, which is also its name in the page's address."""
    return f"{preset}-{name}"


def kept_as(key: str) -> dict[str, Any]:
    """Return what keeps an input over pages and in the address, under this name.

    Streamlit 1.67 fails on an address that says `1e400` for a whole number; it drops all else
    that is none.
    """
    bind = "query-params" if _is_usable(st.query_params.get(key, "")) else None
    return {"key": key, "bind": bind, "persist_state": "session"}


def group(preset: str, fields: FormGroup, slots: dict[str, Any]) -> dict[str, Any]:
    """Draw a group's inputs three to a row; return their values.

    `slots` gets a place below each input, for what is to be said of it later.
    """
    values = {}
    for start in range(0, len(fields.fields), _COLUMNS):
        row = fields.fields[start : start + _COLUMNS]
        for column, field in zip(st.columns(_COLUMNS), row, strict=False):
            with column:
                values[field.name] = draw(field, key_of(preset, field.name))
                slots[field.name] = st.empty()
    return values


def draw(field: FormField, key: str) -> Any:
    """Draw one input, kept over pages and in the address; return its value."""
    kept = kept_as(key)
    if field.kind == "bool":
        # beside boxes with a label above, a toggle alone would hang too high
        st.space("small")
        return st.toggle(field.label, value=field.default, help=field.help, **kept)
    if field.kind == "choice":
        at = field.options.index(field.default)
        return st.selectbox(field.label, field.options, index=at, help=field.help, **kept)
    if field.kind == "several":
        chosen = st.multiselect(
            field.label, field.options, default=field.default.split("+"), help=field.help, **kept
        )
        return "+".join(chosen)
    return _number(field, kept)


def said(slots: dict[str, Any], name: str, text: str, *, wrong: bool = False) -> None:
    """Write below an input: what is wrong with it, or how it differs from the preset."""
    with slots[name]:
        mark, kind = ("✕", "wrong") if wrong else ("●", "changed")
        widgets.html(f'<p class="mr-{kind}"><b>{mark}</b> {escape(text)}</p>')


def _is_usable(text: str) -> bool:
    try:
        return not math.isinf(float(text))
    except ValueError:
        return True  # no number: Streamlit drops it by itself


def _number(field: FormField, kept: dict[str, Any]) -> int | float:
    whole = field.kind == "int"
    kind = int if whole else float
    value = st.number_input(
        field.label,
        min_value=None if math.isinf(field.low) else kind(field.low),
        max_value=None if math.isinf(field.high) else kind(field.high),
        value=kind(field.default),
        step=_step(field),
        format="%d" if whole else "%g",
        help=field.help,
        **kept,
    )
    return kind(value)


def _step(field: FormField) -> int | float:
    """Return a step that a person might take: of the value's own size or a little less."""
    size = abs(field.default) or min(field.high, 1.0)
    power = 10.0 ** math.floor(math.log10(size))
    if field.kind == "int":
        return max(1, int(power / 10) * 2 if size >= 100 else int(power / 10) or 1)
    return power / 2 if field.default else power / 10
