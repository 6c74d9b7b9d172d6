"""The versions to compare and their baseline; both are in the page's address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from movierec.store.records import VersionRecord
from movierec.ui.components import address, onboarding, shell, widgets
from movierec.ui.components.text import ago, duration, integer
from movierec.ui.components.versions import leaderboard
from movierec.ui.components.versions.leaderboard import fit_filters, headline_metrics, version_table

__all__ = ["FACTS", "Choice", "by_default", "choose", "empty"]

_KEY, _BASELINE, _TABLE = "versions", "baseline", "versions-table"
FACTS = ("evaluation", "split_test_sha256", "durations")  # of metadata: what choosing needs
_SHOWN = ("rmse", "ndcg_full", "ndcg_rated")


@dataclass(frozen=True)
class Choice:
    """The names of versions and of their baseline; `corner` is the place beside the inputs."""

    versions: list[str]
    baseline: str
    corner: DeltaGenerator


def empty(records: Sequence[VersionRecord]) -> None:
    """Draw the page of fewer than two versions, and what to do next."""
    title = "One version is here; a comparison needs two" if records else "Nothing to compare yet"
    lead = (
        "Compare says which version is better, by how much, for whom and how surely, once two "
        "versions were measured on the same ratings."
    )
    widgets.heading("Compare", title, lead)
    with st.container(key="empty", border=True):
        if records:
            onboarding.second_version(records)
        else:
            shell.link("Home", "Train the first version on Home")


def choose(records: Sequence[VersionRecord]) -> Choice | None:
    """Offer the versions and a baseline; None while fewer than two are chosen."""
    known = {record.name: record for record in records}
    lost = _take_address(known)
    left, right, corner = st.columns([7, 2, 1.3], vertical_alignment="bottom")
    chosen = left.multiselect(
        "Versions", list(known), key=_KEY, placeholder="Choose two or more",
        persist_state="session", help="Two or more; the table below offers them with filters.",
    )  # fmt: skip
    if lost:
        widgets.mute(f"Not here (any more), so left out: {', '.join(lost)}.")
    baseline = _baseline(right, chosen, known)
    with st.expander("Choose from a table", icon=":material/table_rows:", key="choose-table"):
        _table(records)
    address.write(_KEY, *chosen)
    if baseline is not None:
        address.write(_BASELINE, baseline)
    if baseline is None or len(chosen) < 2:
        widgets.mute("Choose two or more versions to see them side by side.")
        return None
    return Choice(chosen, baseline, corner)


def by_default(records: Sequence[VersionRecord]) -> list[str]:
    """Return the two to begin with: the current version and the newest measured as it was.

    Without a current one, the newest takes its place.
    """
    first = next((record for record in records if record.is_current), records[0])
    others = [record for record in records if record.name != first.name]
    alike = [record for record in others if leaderboard.same_test_part(first, record)]
    return [first.name, *[record.name for record in (alike or others)[:1]]]


def _take_address(known: dict[str, VersionRecord]) -> list[str]:
    """Choose what the address asks for, unless it only repeats the choice; return names unknown."""
    state: Any = st.session_state
    asked = [name for item in address.asked(_KEY) for name in item.split(",") if name]
    if asked:
        state[_KEY] = [name for name in dict.fromkeys(asked) if name in known]
        wanted = st.query_params.get(_BASELINE)
        state[_BASELINE] = wanted if wanted in state[_KEY] else None
    elif _KEY not in state:
        state[_KEY] = by_default(list(known.values()))
    state[_KEY] = [name for name in state[_KEY] if name in known]
    return [name[:40] for name in dict.fromkeys(asked) if name not in known]


def _baseline(place: Any, chosen: Sequence[str], known: dict[str, VersionRecord]) -> str | None:
    state: Any = st.session_state
    if state.get(_BASELINE) not in chosen:
        current = next((name for name in chosen if known[name].is_current), None)
        state[_BASELINE] = current or (chosen[0] if chosen else None)
    found: str | None = place.selectbox(
        "Baseline", chosen, key=_BASELINE, persist_state="session", disabled=len(chosen) < 2,
        help="What the others are measured against: each difference is theirs minus its.",
    )  # fmt: skip
    return found


def _table(records: Sequence[VersionRecord]) -> None:
    """Draw all versions with filters; ticking rows chooses them."""
    model, data, split = st.columns(3)
    found = fit_filters(
        records,
        {
            "preset": (model, "Model of versions", "compare-model"),
            "dataset_name": (data, "Data set of versions", "compare-data"),
            "split_label": (split, "Split of versions", "compare-split"),
        },
    )
    if not found:
        widgets.mute("No version fits. Take a filter out.")
        return

    def chosen(names: list[str]) -> None:
        st.session_state[_KEY] = names

    version_table(
        [_row(record) for record in found], [record.name for record in found], chosen,
        key=_TABLE, mode="multi-row",
        alt="All versions, newest first, with data set, split and headline metrics",
    )  # fmt: skip


def _row(record: VersionRecord) -> dict[str, object]:
    return {
        "Version": f"{record.name}{' (current)' if record.is_current else ''}",
        "Model": record.preset,
        "Data set": record.dataset_name,
        "Split": record.split_label,
        **headline_metrics(record, _SHOWN),
        "Parameters": integer(record.parameters),
        "Took": duration(record.metadata.durations.total),
        "Trained": ago(record.created_at),
    }
