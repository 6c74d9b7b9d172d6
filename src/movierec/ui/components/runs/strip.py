"""Runs as Home shows them: the one under way, live, and the last ones."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from movierec import jobs
from movierec.jobs.causes import advice
from movierec.store.records import RunKind, RunRecord
from movierec.ui.components import cache, live_chart, shell, widgets
from movierec.ui.components.runs import facts, watching
from movierec.ui.components.runs.live import brief
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import NOT_MEASURED, ago, integer, literal, percent

__all__ = ["active", "history", "latest", "live", "trouble", "why"]


def live() -> bool:
    """Draw the runs under way, if any, and keep them up to date; return whether there are."""
    busy = active()
    if busy:
        _panel()
        live_chart.load()
    return busy


def active(kind: RunKind | None = None) -> bool:
    """Return whether anything, or anything of this kind, is queued or running."""
    return any(kind in (None, run.kind) for run in watching.active())


def latest() -> RunRecord | None:
    """Return the last run as it is now: one whose process is gone is interrupted."""
    runs = cache.store().runs
    runs.mark_interrupted()
    return runs.latest()


def trouble(run: RunRecord | None) -> None:
    """Say why the last run ended badly, and offer to take it up again; nothing if it did not."""
    if run is None or run.state not in ("failed", "interrupted"):
        return
    what = f"Run {run.id} ({facts.what(run)})"
    if run.state == "interrupted":
        st.warning(
            f"**{literal(what)} was interrupted at {percent(run.progress, 0)}.** "
            f"{literal(run.error)} What was stored before is whole.",
            icon=":material/warning:",
        )
    else:
        st.error(f"**{literal(what)} failed.** {why(run)}", icon=":material/error:")
    if st.button(facts.again(run), key=f"again-{run.id}", icon=":material/replay:"):
        jobs.resume(cache.settings(), run.id)
        st.rerun()


def why(run: RunRecord) -> str:
    """Return as Markdown why a run ended badly, what to change, and its own words."""
    found = advice(run)
    parts = [found.cause, found.change] if found else []
    parts += [f"Its message: {run.error}"] if run.error else []
    return "\n\n".join(literal(part) for part in parts) or "No reason was recorded."


def history(runs: Sequence[RunRecord]) -> None:
    """Draw the last runs, newest first."""
    columns = [
        Column("Run"),
        Column("State"),
        Column("Started"),
        Column("Took", numeric=True),
        Column("Result"),
    ]
    rows: list[list[Cell | str]] = [
        [
            f"{run.id} · {facts.what(run)}",
            facts.SIGNS[run.state],
            ago(run.created_at),
            facts.took(run),
            _end(run),
        ]
        for run in runs
    ]
    widgets.html(html_table("Last runs, newest first", columns, rows))


@st.fragment(run_every=2)
def _panel() -> None:
    with shell.errors_in_words():
        under_way = watching.polled() or watching.active()
        if not under_way:
            st.rerun()
        for run in under_way:
            brief(run)


def _end(run: RunRecord) -> Cell:
    if run.version:
        return Cell(run.version)
    if run.error:
        first = run.error.splitlines()[0]
        return Cell(first if len(first) <= 60 else first[:59] + "…")
    if "ratings" in run.facts:
        return Cell(f"measured on {integer(run.facts['ratings'])} ratings")
    return Cell(NOT_MEASURED)
