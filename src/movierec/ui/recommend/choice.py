"""Which version recommends, and which ones beside it: all stand in the page's address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from movierec.data.dataset import Dataset
from movierec.inference import LoadedVersion
from movierec.store.records import VersionRecord
from movierec.ui.components import cache, widgets
from movierec.ui.components.theme import VersionStyle, version_style

__all__ = ["FACTS", "SelectedVersions", "choose", "kept_choice"]

FACTS = ("evaluation",)  # of metadata: what choosing needs
_VERSION, _BESIDE = "version", "beside"
_MOST_BESIDE = 3  # lists stand in columns


@dataclass(frozen=True, eq=False)
class SelectedVersions:
    """One version, or some side by side, of the same data set; ready to answer."""

    versions: Mapping[str, LoadedVersion]
    records: Mapping[str, VersionRecord]
    styles: Mapping[str, VersionStyle]

    @property
    def first(self) -> LoadedVersion:
        """The version that was chosen first."""
        return next(iter(self.versions.values()))

    @property
    def data(self) -> Dataset:
        """The data set of them all."""
        return self.first.dataset

    def mark(self, name: str) -> tuple[str, str]:
        """Return what tells a version from another one that had its name before it."""
        return name, self.records[name].created_at.isoformat()

    @property
    def kicker(self) -> str:
        """Where one is, for the head of the page."""
        return f"Recommend · {' beside '.join(self.versions)}"


def choose(records: Sequence[VersionRecord]) -> SelectedVersions:
    """Offer the version and some beside it; all are loaded.

    Raises:
        ArtifactError, NotFoundError: its files or its data set are not there.

    """
    known = {record.name: record for record in records}
    current = next((record.name for record in records if record.is_current), records[0].name)
    left, right, _ = st.columns([2, 3, 2], vertical_alignment="bottom")
    with left:
        name = kept_choice("Version", _VERSION, list(known), current, lambda v: _named(known[v]))
    alike = [
        other.name
        for other in records
        if other.fingerprint == known[name].fingerprint and other.name != name
    ]
    with right:
        chosen = [name, *_beside(alike, known)]
    ever = cache.store().versions.names_ever()
    return SelectedVersions(
        {each: cache.loaded(known[each]) for each in chosen},
        {each: known[each] for each in chosen},
        {each: version_style(each, ever) for each in chosen},
    )


def _beside(alike: Sequence[str], known: Mapping[str, VersionRecord]) -> list[str]:
    """Offer versions of the same data to stand beside the first."""
    state: Any = st.session_state
    written = f"{_BESIDE}-written"
    asked = st.query_params.get_all(_BESIDE)
    if asked and asked != state.get(written):
        state[_BESIDE] = asked
    state[_BESIDE] = [name for name in state.get(_BESIDE, []) if name in alike][:_MOST_BESIDE]
    chosen = st.multiselect(
        "Beside it", alike, key=_BESIDE, format_func=lambda name: _named(known[name]),
        max_selections=_MOST_BESIDE, placeholder="No other version", persist_state="session",
        disabled=not alike,
    )  # fmt: skip
    state[written] = st.query_params[_BESIDE] = chosen
    return chosen


def kept_choice(
    label: str, key: str, options: Sequence[str], default: str, named: Any = str, **look: Any
) -> str:
    """Offer one of some names; the address may ask for one, and says which is chosen.

    What the address asks for and is not among them is said; `look` goes to the widget.
    """
    state: Any = st.session_state
    written = f"{key}-written"
    asked = st.query_params.get(key)
    unknown = asked is not None and asked not in options and not look.get("accept_new_options")
    if asked is not None and not unknown and asked != state.get(written):
        state[key] = asked
    if state.get(key) not in options and not (look.get("accept_new_options") and state.get(key)):
        state[key] = default
    chosen: str = st.selectbox(
        label, options, key=key, format_func=named, persist_state="session", **look
    )
    if asked is not None and unknown and asked != state.get(written):
        widgets.mute(f"There is no {asked[:40]} here (any more); this is {chosen}.")
    state[written] = st.query_params[key] = chosen
    return chosen


def _named(record: VersionRecord) -> str:
    return f"{record.name} · {record.preset}{' (current)' if record.is_current else ''}"
