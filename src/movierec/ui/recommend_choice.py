"""Which version recommends, and which one beside it: both stand in the page's address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from movierec.data.dataset import Dataset
from movierec.inference import LoadedVersion
from movierec.store.records import VersionRecord
from movierec.ui import cache, widgets
from movierec.ui.theme import VersionStyle, version_style

__all__ = ["FACTS", "Sides", "choose", "kept_choice"]

FACTS = ("evaluation",)  # of metadata: what choosing needs
_VERSION, _BESIDE, _NONE = "version", "beside", "None"


@dataclass(frozen=True, eq=False)
class Sides:
    """One version, or two side by side, of the same data set; ready to answer."""

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


def choose(records: Sequence[VersionRecord]) -> Sides:
    """Offer the version and one beside it; both are loaded.

    Raises:
        ArtifactError, NotFoundError: its files or its data set are not there.

    """
    known = {record.name: record for record in records}
    current = next((record.name for record in records if record.is_current), records[0].name)
    left, right, _ = st.columns([2, 2, 3], vertical_alignment="bottom")
    with left:
        name = kept_choice("Version", _VERSION, list(known), current, lambda v: _named(known[v]))
    alike = [
        other.name
        for other in records
        if other.fingerprint == known[name].fingerprint and other.name != name
    ]
    with right:
        beside = kept_choice(
            "Beside it", _BESIDE, [_NONE, *alike], _NONE,
            lambda v: "No second version" if v == _NONE else _named(known[v]),
        )  # fmt: skip
    chosen = [name, *([beside] if beside != _NONE else [])]
    ever = cache.store().versions.names_ever()
    return Sides(
        {each: cache.loaded(known[each]) for each in chosen},
        {each: known[each] for each in chosen},
        {each: version_style(each, ever) for each in chosen},
    )


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
