"""Flash messages: shown once, on the page that is drawn next."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from movierec.ui.components.text import literal

__all__ = ["announce", "leave"]

_SAID = "said"


def leave(message: str, **state: object) -> NoReturn:
    """Draw the page anew with this message on it, and with widgets set to these values."""
    st.session_state[_SAID] = message
    st.session_state.setdefault("said-next", {}).update(state)
    st.rerun()


def announce() -> None:
    """Show the message that was left, once."""
    for key, value in st.session_state.pop("said-next", {}).items():
        st.session_state[key] = value
    message = st.session_state.pop(_SAID, None)
    if message:
        st.toast(literal(message), icon=":material/check_circle:")
