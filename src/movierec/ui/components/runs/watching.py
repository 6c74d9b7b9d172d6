"""What goes on now, on top of the Train page: live, and what just ended."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from movierec import jobs
from movierec.store.records import RunRecord
from movierec.ui.components import cache, live_chart, shell
from movierec.ui.components.runs import facts, live, outcome
from movierec.ui.components.text import ago

__all__ = ["active", "finish", "headline", "lead", "polled", "watch"]


def active() -> list[RunRecord]:
    """Return the runs that wait or go on, as they are now: one whose process is gone has ended.

    If all of them wait, the worker that was to take them may have been killed.
    """
    cache.forget_runs()
    return polled()


def polled() -> list[RunRecord]:
    """Return what `active` does, as it was within the last second: what an open page polls."""
    runs = cache.active_runs()
    if runs and not _going(runs):
        jobs.ensure_worker(cache.settings())
    return runs


def headline(runs: Sequence[RunRecord]) -> str:
    """Say in a sentence what goes on."""
    going = _going(runs)
    waiting = len(runs) - len(going)
    after = f", {waiting} waiting" if waiting else ""
    if not going:
        return f"{waiting} waiting for a worker" if waiting else "Train a version"
    if len(going) == 1:
        return f"Run {going[0].id} goes on{after}"
    return f"{len(going)} runs go on{after}"


def lead(runs: Sequence[RunRecord]) -> str:
    """Say what that rests on, or how the last run ended."""
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


def watch(runs: Sequence[RunRecord]) -> None:
    """Draw the runs under way and keep them up to date; after the last one, what it came to."""
    outcome.ended_here(runs)
    ended = outcome.announce()
    if runs:
        _panels(runs)
    elif ended is not None and ended.version is not None:
        outcome.panel(ended)


def finish(runs: Sequence[RunRecord]) -> None:
    """Bring what live charts need, once everything else is drawn."""
    live_chart.load(coming=bool(runs))
    if runs:
        jobs.ensure_worker(cache.settings())


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


def _going(runs: Sequence[RunRecord]) -> list[RunRecord]:
    return [run for run in runs if run.state == "running" or run.is_claimed]


def _signature(runs: Sequence[RunRecord]) -> set[tuple[int, str, bool, bool]]:
    return {(run.id, run.state, run.is_claimed, run.cancel_requested) for run in runs}


def _ended(run: RunRecord) -> str:
    return {"succeeded": "succeeded", "failed": "failed"}.get(run.state, f"was {run.state}")
