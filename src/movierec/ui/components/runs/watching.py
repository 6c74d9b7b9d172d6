"""Runs in progress on every page, the last runs on Home, and why a run failed."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from movierec import jobs
from movierec.jobs.causes import advice
from movierec.store.records import RunKind, RunRecord
from movierec.ui.components import cache, shell, widgets
from movierec.ui.components.runs import facts, live, outcome
from movierec.ui.components.runs.live import brief
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import NOT_MEASURED, ago, integer, literal, percent

__all__ = [
    "active",
    "finish",
    "headline",
    "is_busy",
    "latest_run",
    "lead",
    "live_panel",
    "polled",
    "runs_table",
    "trouble",
    "watch",
    "why",
]


def active() -> list[RunRecord]:
    """Return the queued and running runs as they are now; one whose process is gone has ended.

    If all of them wait, the worker that was to take them may have been killed.
    """
    cache.forget_runs()
    return polled()


def polled() -> list[RunRecord]:
    """Return `active` as of the last second, for polls of open pages."""
    runs = cache.active_runs()
    if runs and not _going(runs):
        jobs.ensure_worker(cache.settings())
    return runs


def is_busy(kind: RunKind | None = None) -> bool:
    """Return whether anything, or anything of this kind, is queued or running."""
    return any(kind in (None, run.kind) for run in active())


def latest_run() -> RunRecord | None:
    """Return the last run as it is now: one whose process is gone is interrupted."""
    runs = cache.store().runs
    runs.mark_interrupted()
    return runs.latest()


def live_panel() -> bool:
    """Draw the runs in progress, if any, and keep them up to date; return whether there are."""
    busy = is_busy()
    if busy:
        _brief_panels()
        live.load()
    return busy


@st.fragment(run_every=2)
def _brief_panels() -> None:
    with shell.errors_in_words():
        under_way = polled() or active()
        if not under_way:
            st.rerun()
        for run in under_way:
            brief(run)


def headline(runs: Sequence[RunRecord]) -> str:
    """Return a sentence: what is running and how many are queued."""
    going = _going(runs)
    waiting = len(runs) - len(going)
    after = f" · {waiting} queued" if waiting else ""
    if not going:
        return f"{waiting} waiting for a worker" if waiting else "Train a version"
    if len(going) == 1:
        doing = "training" if going[0].kind == "train" else "running"
        return f"Run {going[0].id} is {doing}{after}"
    return f"{len(going)} runs are running{after}"


def lead(runs: Sequence[RunRecord]) -> str:
    """Return the line below it, or how the last run ended."""
    if runs:
        return (
            "Each run has a process of its own: this page may be closed, and it goes on. "
            "A run started in a terminal shows here too."
        )
    last = cache.store().runs.latest("train")
    if last is None:
        return "Choose a model and what to change in it; everything has a sensible start."
    end = f" and became {last.version}" if last.version else ""
    return (
        f"The last training, run {last.id}, {facts.what(last)}, {_ended(last)}{end} "
        f"{ago(last.finished_at)}."
    )


def _ended(run: RunRecord) -> str:
    return {"succeeded": "succeeded", "failed": "failed"}.get(run.state, f"was {run.state}")


def watch(runs: Sequence[RunRecord]) -> None:
    """Draw the runs in progress and keep them up to date; after the last one its result."""
    outcome.ended_here(runs)
    ended = outcome.announce()
    if runs:
        _panels(runs)
    elif ended is not None and ended.version is not None:
        outcome.panel(ended)


@st.fragment(run_every=2)
def _panels(shown: Sequence[RunRecord]) -> None:
    with shell.errors_in_words():
        now = polled()
        if _signature(now) != _signature(shown):
            now = active()
            if _signature(now) != _signature(shown):
                st.rerun()
        for run in _going(now):
            live.panel(run)


def finish(runs: Sequence[RunRecord]) -> None:
    """Load Plotly for live charts, once everything else is drawn."""
    live.load(coming=bool(runs))
    if runs:
        jobs.ensure_worker(cache.settings())


def _going(runs: Sequence[RunRecord]) -> list[RunRecord]:
    return [run for run in runs if run.state == "running" or run.is_claimed]


def _signature(runs: Sequence[RunRecord]) -> set[tuple[int, str, bool, bool]]:
    return {(run.id, run.state, run.is_claimed, run.cancel_requested) for run in runs}


def trouble(run: RunRecord | None) -> None:
    """Draw why the last run failed and a button that resumes it; nothing if it did not fail."""
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
    """Return as Markdown the cause of a failure, what to change, and the error itself."""
    found = advice(run)
    parts = [found.cause, found.change] if found else []
    parts += [f"Its message: {run.error}"] if run.error else []
    return "\n\n".join(literal(part) for part in parts) or "No reason was recorded."


def runs_table(runs: Sequence[RunRecord]) -> None:
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
            _result(run),
        ]
        for run in runs
    ]
    widgets.html(html_table("Last runs, newest first", columns, rows))


def _result(run: RunRecord) -> Cell:
    if run.version:
        return Cell(run.version)
    if run.error:
        first = run.error.splitlines()[0]
        return Cell(first if len(first) <= 60 else first[:59] + "…")
    if "ratings" in run.facts:
        return Cell(f"measured on {integer(run.facts['ratings'])} ratings")
    return Cell(NOT_MEASURED)
