"""Actions on a version: make it current, compare, export, delete."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from movierec.registry import Registry
from movierec.registry.archive.pack import archive_name, export_archive
from movierec.store.records import VersionRecord
from movierec.ui.components import cache, shell, widgets
from movierec.ui.components.flash import leave
from movierec.ui.components.tables import Column, html_table
from movierec.ui.components.text import size
from movierec.workflows.promote import PromotionCheck, check_promotion, promote

__all__ = ["bar", "compare_link", "gate_panel", "promote_button", "recommend_link"]

_REFUSED, _DELETING = "promotion-refused", "deleting"


def bar(registry: Registry, record: VersionRecord) -> None:
    """Draw the buttons of a version, and below them their confirmations."""
    with st.container(horizontal=True, vertical_alignment="center"):
        promote_button(registry, record, primary=True)
        compare_link(record)
        recommend_link(record)
        st.download_button(
            f"Export {record.name}", lambda: _archive(registry, record),
            archive_name(record), "application/zip",
            key=f"export-{record.name}", icon=":material/archive:", on_click="ignore",
            disabled=record.is_missing,
        )  # fmt: skip
        if not record.is_current and st.button(
            f"Delete {record.name} …", key=f"delete-{record.name}", icon=":material/delete:"
        ):
            st.session_state[_DELETING] = record.name
    gate_panel(registry, record)
    if st.session_state.get(_DELETING) == record.name:
        _confirm(registry, record)


def promote_button(registry: Registry, record: VersionRecord, *, primary: bool = False) -> None:
    """Draw the button that makes a version current; failed checks show in `gate_panel`."""
    if record.is_current:
        widgets.mute(f"{record.name} is the current version.")
        return
    if st.button(
        f"Make {record.name} current", key=f"promote-{record.name}", icon=":material/verified:",
        type="primary" if primary else "secondary",
    ):  # fmt: skip
        with shell.errors_in_words():
            gate = check_promotion(registry, record.name, guards=_guards())
            if gate.passed:
                _promote(registry, record.name)
            st.session_state[_REFUSED] = record.name


def gate_panel(registry: Registry, record: VersionRecord) -> None:
    """Draw the checks that failed, and an override for a stated reason."""
    if st.session_state.get(_REFUSED) != record.name or record.is_current:
        return
    with st.container(border=True, key="gate"), shell.errors_in_words():
        gate = check_promotion(registry, record.name, guards=_guards())
        widgets.step(f"{record.name} was not made current")
        _checks(gate)
        if not gate.can_be_overridden:
            widgets.mute("Its files cannot be trusted; that cannot be overridden.")
            return
        reason = st.text_input(
            "Reason for overriding the check", key=f"reason-{record.name}", max_chars=500,
            placeholder="It is kept in the history",
        )  # fmt: skip
        with st.container(horizontal=True):
            if st.button(
                f"Make {record.name} current anyway", key="override",
                icon=":material/gpp_maybe:", disabled=not (reason or "").strip(),
            ):  # fmt: skip
                _promote(registry, record.name, reason)
            if st.button("Leave it as it is", key="refused-ok"):
                del st.session_state[_REFUSED]
                st.rerun()


def _promote(registry: Registry, name: str, reason: str | None = None) -> None:
    record = promote(registry, name, guards=_guards(), override=reason)
    st.session_state.pop(_REFUSED, None)
    leave(f"{record.name} is current.")


def _checks(gate: PromotionCheck) -> None:
    columns = [Column("Check"), Column(""), Column("Found")]
    rows = [
        [check.name, "✓ passed" if check.passed else "✕ failed", check.detail]
        for check in gate.checks
    ]
    widgets.html(html_table("What was checked", columns, rows))


def _guards() -> tuple[str, ...]:
    return cache.settings().promotion_guards


def compare_link(record: VersionRecord) -> None:
    """Offer to see a version beside the current one."""
    current = cache.store().versions.current()
    if current is None or current.name == record.name:
        return
    shell.link(
        "Compare",
        f"Compare with {current.name}",
        {"versions": [current.name, record.name], "baseline": current.name},
    )


def recommend_link(record: VersionRecord) -> None:
    """Offer to see what a version recommends."""
    shell.link("Recommend", f"What {record.name} recommends", {"version": record.name})


def _archive(registry: Registry, record: VersionRecord) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return export_archive(registry, record.name, Path(folder)).read_bytes()


def _confirm(registry: Registry, record: VersionRecord) -> None:
    name, freed = record.name, size(record.size_bytes)
    days = cache.settings().trash_days
    with st.container(border=True, key="delete-confirm"):
        widgets.step(
            f"Delete {name}?",
            f"In the trash it can be brought back for {days:g} days and keeps its {freed}; "
            f"deleted now, {freed} are free at once and it cannot be brought back.",
        )
        with st.container(horizontal=True):
            if days and st.button(f"Move {name} to the trash", key="trash-it", type="primary",
                                  icon=":material/delete:"):  # fmt: skip
                _delete(registry, name, now=False, said=f"{name} is in the trash.")
            if st.button(f"Delete {name} now and free {freed}", key="delete-now",
                         icon=":material/delete_forever:"):  # fmt: skip
                _delete(registry, name, now=True, said=f"{name} is deleted; {freed} are free.")
            if st.button(f"Keep {name}", key="keep", icon=":material/undo:"):
                del st.session_state[_DELETING]
                st.rerun()


def _delete(registry: Registry, name: str, *, now: bool, said: str) -> None:
    with shell.errors_in_words():
        registry.delete(name, now=now)
        st.session_state.pop(_DELETING, None)
        leave(said)
