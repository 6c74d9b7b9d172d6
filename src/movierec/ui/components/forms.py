"""Parts of the training form and the sweep form: hyperparameters, split, engine, links to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Any

import streamlit as st

from movierec.cluster.connection import HINT, has_ray
from movierec.data.splits import SPLIT_NAMES
from movierec.errors import MovierecError
from movierec.metadata import RecordedSplit
from movierec.store.records import DatasetRecord, VersionRecord
from movierec.ui.components import cache, shell, widgets
from movierec.ui.components.address import bound
from movierec.ui.components.text import literal
from movierec.workflows import form
from movierec.workflows.form import FormField, FormGroup
from movierec.workflows.requests import MODELS, MOST_WORKERS, EngineName, engine_trouble

__all__ = [
    "choose_engine",
    "choose_split",
    "draw",
    "fill_in_engine",
    "group",
    "key_of",
    "mend_first",
    "remark",
    "retrain_link",
]

_COLUMNS = 3

_ENGINES: tuple[EngineName, ...] = ("local", "ray")


def key_of(preset: str, name: str) -> str:
    """Return the key of an input, which is also its name in the page's address."""
    return f"{preset}-{name}"


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
    kept = bound(key)
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


def choose_split(
    label: str, data: DatasetRecord, slots: dict[str, Any], *, prefix: str, help: str, **kept: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """Draw a split's name and what can be set of it; return both, and what is wrong with them.

    `prefix` begins the keys of its fields; `kept` are the key of its name and how that is kept.
    """
    cells = st.columns(4)
    with cells[0]:
        name = st.selectbox(
            label, SPLIT_NAMES, index=SPLIT_NAMES.index("random"), help=help, **kept
        )
        slots["split"] = st.empty()
    chosen: dict[str, Any] = {"name": name}
    for cell, field in zip(cells[1:], form.split_fields(name), strict=False):
        titled = replace(field, title="Split seed") if field.name == "seed" else field
        with cell:
            chosen[field.name] = draw(titled, f"{prefix}_{field.name}")
    trouble = form.split_trouble(name, data.n_ratings, has_times=data.has_timestamps)
    return chosen, {"split": trouble} if trouble else {}


def mend_first(wrong: Mapping[str, str]) -> None:
    """Name the fields that keep the form from being sent; nothing where there is none."""
    if wrong:
        names = ", ".join(form.label(name) for name in wrong)
        widgets.html(f'<p class="mr-wrong"><b>✕</b> Mend first: {escape(names)}.</p>')


def remark(slots: dict[str, Any], name: str, text: str, *, wrong: bool = False) -> None:
    """Write below an input: what is wrong with it, or how it differs from the preset."""
    with slots[name]:
        mark, kind = ("✕", "wrong") if wrong else ("●", "changed")
        widgets.html(f'<p class="mr-{kind}"><b>{mark}</b> {escape(text)}</p>')


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


def choose_engine(key: str, what: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Draw the choice, folded; return the fields of `EngineOptions`, and what is wrong with them.

    `what` the workers do stands in the help: "share the ratings".
    """
    with st.expander("Advanced: engine and workers", key=f"{key}-advanced"):
        if not has_ray():
            widgets.mute(f"Several workers need the package ray, which is not installed. {HINT}")
        found, slots = _inputs(key, what), {"engine": st.empty()}
    trouble = engine_trouble(found)
    if trouble:
        remark(slots, "engine", trouble, wrong=True)
    return found, {"engine": trouble} if trouble else {}


def fill_in_engine(key: str, engine: Mapping[str, Any]) -> None:
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
        **bound(f"{key}-engine"),
    )  # fmt: skip
    if chosen != "ray" or not has_ray():
        return {}
    count = workers.number_input(
        "Workers", 1, MOST_WORKERS, 2, **bound(f"{key}-workers"),
        help="Processes at work at a time, each on a core or a GPU of its own.",
    )  # fmt: skip
    where = address.text_input(
        "Cluster (optional)", placeholder="one is started for the run",
        help="Host and port of a Ray cluster that is there already.", **bound(f"{key}-address"),
    )  # fmt: skip
    return {"name": "ray", "workers": int(count), "address": (where or "").strip() or None}


def retrain_link(version: VersionRecord, *, on: VersionRecord) -> None:
    """Offer to train a version's settings again, on the data and split of another one."""
    data = cache.store().datasets.find(on.fingerprint)
    if version.preset not in MODELS or data is None:
        return
    shell.link(
        "Train",
        literal(f"Train {version.name}'s settings again on {on.name}'s data and split"),
        _retrain_address(version, data.name, on.metadata.split),
    )


def _retrain_address(version: VersionRecord, dataset: str, split: RecordedSplit) -> dict[str, str]:
    """Return the Train page's address whose form trains these settings on this data and split."""
    facts = version.metadata
    asked: dict[str, Any] = {
        "preset": version.preset, "train-data": dataset,
        "split": split.name or "random",
        "seed": facts.seed, "members": facts.members, "refit": facts.refit,
    }  # fmt: skip
    asked |= {f"split_{name}": value for name, value in split.as_dict().items() if name != "name"}
    changed = _changes(version.preset, facts.hyperparameters)
    asked |= {key_of(version.preset, name): value for name, value in changed.items()}
    return {key: _text(value) for key, value in asked.items() if value is not None}


def _changes(preset: str, values: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name for group in form.groups(preset) for field in group.fields}
    try:
        return dict(form.changes(preset, {n: v for n, v in values.items() if n in known}))
    except MovierecError:  # of another movierec, whose settings are no more
        return {}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
