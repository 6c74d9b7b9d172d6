"""Runs as Home shows them: the one under way, live, and the last ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape

import streamlit as st

from movierec import jobs
from movierec.store.records import ACTIVE_STATES, RunKind, RunRecord
from movierec.ui import cache, model_charts, shell, widgets
from movierec.ui.tables import Cell, Column, html_table
from movierec.ui.text import NOT_MEASURED, ago, duration, literal, percent

__all__ = ["active", "history", "latest", "live", "trouble"]

_RESUMING = "resuming"
_PATIENCE = timedelta(seconds=60)  # until a process that was started again must have taken its run
_SIGNS = {
    "queued": "○ waiting",
    "running": "● running",
    "succeeded": "✓ succeeded",
    "failed": "✕ failed",
    "cancelled": "■ cancelled",
    "interrupted": "! interrupted",
}


def live() -> bool:
    """Draw the runs under way, if any, and keep them up to date; return whether there are."""
    busy = active()
    if busy:
        _panel()
    return busy


def active(kind: RunKind | None = None) -> bool:
    """Return whether anything, or anything of this kind, is queued or running."""
    return any(kind in (None, run.kind) for run in _active())


def latest() -> RunRecord | None:
    """Return the last run as it is now: one whose process is gone is interrupted."""
    runs = cache.store().runs
    runs.mark_interrupted()
    return runs.latest()


def trouble(run: RunRecord | None) -> None:
    """Say why the last run ended badly, and offer to take it up again; nothing if it did not."""
    if run is None or run.state not in ("failed", "interrupted") or _is_resuming(run):
        return
    what = f"Run {run.id} ({_what(run)})"
    if run.state == "interrupted":
        st.warning(
            f"**{literal(what)} was interrupted at {percent(run.progress, 0)}.** "
            f"{literal(run.error)} What was stored before is whole.",
            icon=":material/warning:",
        )
    else:
        cause = literal(run.error or "No reason was recorded.")
        log = literal(run.log_path)
        st.error(f"**{literal(what)} failed.** {cause}\n\nLog: {log}", icon=":material/error:")
    if st.button(_again(run), key=f"again-{run.id}", icon=":material/replay:"):
        jobs.resume(cache.settings(), run.id)
        st.session_state[_RESUMING] = (run.id, run.started_at, datetime.now(UTC))
        st.rerun()


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
        [f"{run.id} · {_what(run)}", _SIGNS[run.state], ago(run.created_at), _took(run), _end(run)]
        for run in runs
    ]
    widgets.html(html_table("Last runs, newest first", columns, rows))


@st.fragment(run_every=2)
def _panel() -> None:
    with shell.errors_in_words():
        under_way = _active()
        if not under_way:
            st.rerun()
        for run in under_way:
            _progress(run)


def _active() -> list[RunRecord]:
    last = latest()
    resuming = [last] if last is not None and _is_resuming(last) else []
    return cache.store().runs.active() or resuming


def _is_resuming(run: RunRecord) -> bool:
    """Return whether this session took the run up again and its process has yet to say so."""
    asked: tuple[int, datetime | None, datetime] | None = st.session_state.get(_RESUMING)
    if asked is None or asked[:2] != (run.id, run.started_at):
        return False
    return datetime.now(UTC) - asked[2] < _PATIENCE


def _again(run: RunRecord) -> str:
    if run.kind == "train" and run.state == "interrupted":
        return f"Resume run {run.id} from its last checkpoint"
    return f"Try run {run.id} again"


def _progress(run: RunRecord) -> None:
    with st.container(border=True, key=f"live-{run.id}"):
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            st.html(_title(run), width="content")
            _cancel_button(run)
        st.progress(min(1.0, max(0.0, run.progress)), text=literal(_stage(run)))
        if run.kind == "train":
            _live_curve(run)


def _cancel_button(run: RunRecord) -> None:
    if run.state not in ACTIVE_STATES:
        return
    asked = run.cancel_requested
    label = f"Stopping run {run.id} …" if asked else f"Cancel run {run.id}"
    if st.button(label, key=f"cancel-{run.id}", disabled=asked, icon=":material/stop_circle:"):
        jobs.cancel(cache.settings(), run.id)
        st.rerun()


def _live_curve(run: RunRecord) -> None:
    history = model_charts.history_frame(cache.store().runs.epochs(run.id))
    names = model_charts.measured(history)
    if len(history) < 2 or not names:
        widgets.mute("The curve appears after the second epoch.")
        return
    follow = st.toggle(
        "Follow live",
        value=True,
        key=f"follow-{run.id}",
        help="Off: the chart stands still so that you can look into it.",
    )
    shown = len(history) if follow else st.session_state.get(f"seen-{run.id}", len(history))
    st.session_state[f"seen-{run.id}"] = shown
    widgets.figure(
        model_charts.learning_curve(history.head(shown), names[0], running=True),
        f"live-curve-{run.id}",
        height=260,
    )


def _title(run: RunRecord) -> str:
    doing = "Training" if run.kind == "train" else "Fetching and importing"
    return f'<p class="mr-step">{doing}: {escape(_what(run))}</p>'


def _stage(run: RunRecord) -> str:
    if run.state != "running":
        return "its process is starting"
    return f"{percent(run.progress, 0)} · {run.stage or 'starting'} · {_took(run)}"


def _what(run: RunRecord) -> str:
    if run.kind == "import":
        return f"import of {run.dataset_name}"
    return f"{run.preset} on {run.dataset_name}"


def _took(run: RunRecord) -> str:
    if run.started_at is None:
        return NOT_MEASURED
    end = run.finished_at or datetime.now(UTC)
    return duration((end - run.started_at).total_seconds())


def _end(run: RunRecord) -> Cell:
    if run.version:
        return Cell(run.version)
    if run.error:
        first = run.error.splitlines()[0]
        return Cell(first if len(first) <= 60 else first[:59] + "…")
    return Cell(NOT_MEASURED)
