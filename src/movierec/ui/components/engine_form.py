"""Where a training or a sweep is to be worked on: this process, or workers on Ray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from movierec.cluster.connection import HINT, has_ray
from movierec.ui.components import fields, widgets
from movierec.ui.components.fields import kept_as
from movierec.workflows.requests import MOST_WORKERS, EngineName, engine_trouble

__all__ = ["choose", "fill_in"]

_ENGINES: tuple[EngineName, ...] = ("local", "ray")


def choose(key: str, what: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Draw the choice, folded; return the fields of `EngineOptions`, and what is wrong with them.

    `what` the workers do stands in the help: "share the ratings".
    """
    with st.expander("Advanced: engine and workers", key=f"{key}-advanced"):
        if not has_ray():
            widgets.mute(f"Several workers need the package ray, which is not installed. {HINT}")
        found, slots = _inputs(key, what), {"engine": st.empty()}
    trouble = engine_trouble(found)
    if trouble:
        fields.said(slots, "engine", trouble, wrong=True)
    return found, {"engine": trouble} if trouble else {}


def fill_in(key: str, engine: Mapping[str, Any]) -> None:
    """Put the engine of an earlier run into the choice; this process where Ray is missing."""
    state: Any = st.session_state
    is_ray = engine.get("name") == "ray" and has_ray()
    state[f"{key}-engine"] = "ray" if is_ray else "local"
    state[f"{key}-workers"] = int(engine.get("workers", 1)) if is_ray else 1
    state[f"{key}-address"] = str(engine.get("address") or "") if is_ray else ""


def _inputs(key: str, what: str) -> dict[str, Any]:
    engine, workers, address = st.columns([3, 2, 4])
    chosen = engine.selectbox(
        "Engine", _ENGINES, disabled=not has_ray(),
        help=f"local is one process; on ray several {what}, on this machine or many.",
        **kept_as(f"{key}-engine"),
    )  # fmt: skip
    if chosen != "ray" or not has_ray():
        return {}
    count = workers.number_input(
        "Workers", 1, MOST_WORKERS, 2, **kept_as(f"{key}-workers"),
        help="Processes at work at a time, each on a core or a GPU of its own.",
    )  # fmt: skip
    where = address.text_input(
        "Cluster (optional)", placeholder="one is started for the run",
        help="Host and port of a Ray cluster that is there already.", **kept_as(f"{key}-address"),
    )  # fmt: skip
    return {"name": "ray", "workers": int(count), "address": (where or "").strip() or None}
