"""The Versions page's first view: all versions with filters, and which one to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from movierec.store.records import VersionRecord
from movierec.ui.components import widgets
from movierec.ui.components.fields import kept_as
from movierec.ui.components.text import ago, size
from movierec.ui.components.versions.table import distinct, headline_metrics, version_table

__all__ = ["choose", "filtered", "head", "table"]

_SHOWN = ("rmse", "ndcg_full")
_KEY, _WRITTEN, _TABLE = "version", "version-written", "version-table"


def head(records: Sequence[VersionRecord]) -> None:
    """Draw what is kept and which version is in use."""
    current = next((record for record in records if record.is_current), None)
    bytes_kept = size(sum(record.size_bytes for record in records))
    count = f"{len(records)} version{'s' if len(records) != 1 else ''}"
    title = f"{current.name} is current" if current else "No version is current"
    widgets.heading(
        "Versions",
        f"{title}; {count} kept, {bytes_kept} on disk",
        "The current version is what recommends. Make another one current, and take it back, at "
        "any time: each move is checked and remembered.",
    )


def filtered(records: Sequence[VersionRecord]) -> list[VersionRecord]:
    """Draw the filters and return what passes them, newest first."""
    search, tags, model, data = st.columns([3, 2, 2, 2])
    text = search.text_input(
        "Search names, tags and notes", type="search", live=True, **kept_as("q")
    )
    options: dict[str, Any] = {
        "placeholder": "Any",
        "bind": "query-params",
        "persist_state": "session",
    }
    known = sorted({tag for record in records for tag in record.tags}, key=str.casefold)
    wanted = tags.multiselect("Tags (all of them)", known, key="tag", **options)
    presets = model.multiselect("Model", distinct(records, "preset"), key="model", **options)
    names = data.multiselect("Data set", distinct(records, "dataset_name"), key="data", **options)
    return [
        record
        for record in records
        if _says(record, text or "")
        and set(wanted) <= set(record.tags)
        and (not presets or record.preset in presets)
        and (not names or record.dataset_name in names)
    ]


def table(records: Sequence[VersionRecord]) -> None:
    """Draw the versions; selecting a row opens it below."""

    def opened(names: list[str]) -> None:
        if names:
            st.session_state[_KEY] = names[0]

    version_table(
        [_row(record) for record in records], [record.name for record in records], opened,
        key=_TABLE, mode="single-row",
        alt="Versions, newest first, with model, data set, split, headline metrics, tags and size",
    )  # fmt: skip


def choose(records: Sequence[VersionRecord], found: Sequence[VersionRecord]) -> str:
    """Offer the versions found and the one that is open; its name is in the page's address."""
    known = {record.name: record for record in records}
    state: Any = st.session_state
    asked = st.query_params.get(_KEY)
    if asked in known and asked != state.get(_WRITTEN):
        state[_KEY] = asked
    first = next((record for record in records if record.is_current), records[0])
    if state.get(_KEY) not in known:
        state[_KEY] = first.name
    if asked and asked not in known and asked != state.get(_WRITTEN):
        widgets.mute(f"There is no version {asked[:40]} here (any more).")
    names = [record.name for record in found]
    hidden = [state[_KEY]] if state[_KEY] not in names else []
    name: str = st.selectbox("Version in detail", hidden + names, key=_KEY)
    state[_WRITTEN] = st.query_params[_KEY] = name
    return name


def _says(record: VersionRecord, text: str) -> bool:
    said = " ".join([record.name, record.preset, record.notes, *record.tags]).casefold()
    return all(word in said for word in text.casefold().split())


def _state(record: VersionRecord) -> str:
    return " ● current" if record.is_current else " ✕ files missing" * record.is_missing


def _row(record: VersionRecord) -> dict[str, object]:
    return {
        "Version": f"{record.name}{_state(record)}",
        "Model": record.preset,
        "Data set": record.dataset_name,
        "Split": record.split_label,
        **headline_metrics(record, _SHOWN),
        "Tags": list(record.tags),
        "Notes": record.notes.partition("\n")[0],
        "Size": size(record.size_bytes),
        "Trained": ago(record.created_at),
    }
