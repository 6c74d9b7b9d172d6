"""The Runs view: the queue, the history, and one run in detail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from movierec import jobs
from movierec.errors import MovierecError
from movierec.registry.names import listed
from movierec.store.queue import Where
from movierec.store.records import EpochRecord, RunRecord
from movierec.ui.components import address, cache, shell, widgets
from movierec.ui.components.address import bound
from movierec.ui.components.runs import facts as run_facts
from movierec.ui.components.runs import live, outcome
from movierec.ui.components.runs.watching import why
from movierec.ui.components.text import ago, literal, percent
from movierec.workflows.command import train_command
from movierec.workflows.requests import MODELS, TrainRequest

__all__ = ["queue", "view"]

PAGE = 50
_STATES = tuple(run_facts.SIGNS)
_MOVES: Mapping[str, tuple[str, Where]] = {
    "first": (":material/vertical_align_top:", "first"),
    "up": (":material/arrow_upward:", "up"),
    "down": (":material/arrow_downward:", "down"),
}
Again = Callable[[RunRecord], None]


def view(again: Again) -> None:
    """Draw the queue, the history with its filters and the run the address names.

    `again` is called with a run whose settings somebody wants in the form.
    """
    queue()
    widgets.section("History")
    filters = _filters()
    count = cache.store().runs.count(**filters)
    if not count:
        widgets.mute("No run fits. Take a filter out, or start one in the view New run.")
        return
    runs = _page(count, filters)
    _table(runs)
    chosen = _choose(runs)
    if chosen is not None:
        _detail(chosen, again)


def queue() -> None:
    """Draw the queued runs in order, with buttons that move or cancel them."""
    waiting = cache.store().queue.waiting()
    if not waiting:
        return
    widgets.section(f"Waiting: {len(waiting)}")
    for place, run in enumerate(waiting):
        _waiting(place, run, last=len(waiting) - 1)


def _waiting(place: int, run: RunRecord, *, last: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"waiting-{run.id}"):
        priority = f", priority {run.priority}" if run.priority else ""
        st.html(
            f'<p class="mr-queue"><b>{place + 1}</b> {_plain(run)}{priority}</p>', width="stretch"
        )
        for name, (icon, where) in _MOVES.items():
            off = place == last if name == "down" else place == 0
            label = f"Move run {run.id} {name if name != 'first' else 'to the front'}"
            if st.button(label, key=f"{name}-{run.id}", icon=icon, disabled=off):
                jobs.move(cache.settings(), run.id, where)
                st.rerun()
        live.cancel_button(run)


def _plain(run: RunRecord) -> str:
    return escape(f"Run {run.id}: {run_facts.what(run)}")


def _filters() -> dict[str, Any]:
    presets, datasets = cache.store().runs.names()
    state, model, data = st.columns(3)
    kept: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}
    states = state.multiselect("State", _STATES, key="state", placeholder="Any state", **kept)
    models = model.multiselect("Model", presets, key="model", placeholder="Any model", **kept)
    names = data.multiselect(
        "Data set", datasets, key="runs-data", placeholder="Any data set", **kept
    )
    return {"states": states or None, "presets": models or None, "datasets": names or None}


def _page(count: int, filters: Mapping[str, Any]) -> list[RunRecord]:
    pages = -(-count // PAGE)
    number = st.pagination(pages, **bound("page")) if pages > 1 else 1
    return cache.store().runs.list(PAGE, offset=(number - 1) * PAGE, **filters)


def _table(runs: Sequence[RunRecord]) -> None:
    best = cache.store().runs.best_epochs([run.id for run in runs])
    frame = pd.DataFrame([_row(run, best.get(run.id)) for run in runs])
    number = st.column_config.NumberColumn(format="%.4f", help="At the best epoch")
    widgets.selectable(
        frame, [run.id for run in runs], widgets.open_first("run"), "runs-table",
        height=min(420, 36 + 35 * len(frame)),
        column_config={"Val. RMSE": number, "Val. NDCG@10": number},
        alt="Runs, newest first, with state, duration, best validation metrics and version",
    )  # fmt: skip


def _row(run: RunRecord, best: EpochRecord | None) -> dict[str, object]:
    return {
        "Run": run.id,
        "State": run_facts.SIGNS[run.state],
        "What": run_facts.what(run),
        "Done": percent(run.progress, 0),
        "Created": ago(run.created_at),
        "Took": run_facts.took(run),
        "Best epoch": None if best is None else best.epoch,
        "Val. RMSE": None if best is None else best.val_rmse,
        "Val. NDCG@10": None if best is None else best.val_ndcg_10,
        "Version": run.version or "",
        "Why": run.error.partition("\n")[0],
    }


def _choose(runs: Sequence[RunRecord]) -> RunRecord | None:
    """Offer the runs of the page, and the one that the address names wherever it is."""
    asked = next(iter(address.asked("run")), "")
    if asked.isdecimal() and int(asked) < 2**31:
        st.session_state["run"] = int(asked)
    kept = st.session_state.get("run")
    known = {run.id: run for run in runs}
    if kept is not None and kept not in known:
        known = {run.id: run for run in cache.store().runs.list(1, before=kept + 1)} | known
        if kept not in known:
            st.session_state["run"] = None
    number = st.selectbox(
        "Run in detail", list(known), index=None, key="run",
        placeholder="Choose a run, or select a row above",
        format_func=lambda i: f"Run {i} · {run_facts.what(known[i])} · {known[i].state}",
    )  # fmt: skip
    address.write("run", *[] if number is None else [str(number)])
    return None if number is None else known[number]


def _detail(run: RunRecord, again: Again) -> None:
    widgets.section(f"Run {run.id}: {run_facts.what(run)}")
    widgets.mute(f"{run_facts.SIGNS[run.state]}, queued {ago(run.created_at)}.")
    _why(run)
    _actions(run, again)
    if run.state == "running" or run.is_claimed:
        widgets.mute("How it goes is on top of the page.")
    else:
        _done(run)
    _settings(run)
    if run.traceback:
        with st.expander(f"Traceback of run {run.id}", key=f"traceback-{run.id}"):
            st.code(run.traceback, language=None, wrap_lines=True)


def _done(run: RunRecord) -> None:
    """Draw the progress of a run that is not running now."""
    epochs = cache.store().runs.epochs(run.id)
    widgets.chips(run_facts.facts(run, epochs))
    if run.kind == "train":
        live.learning(run, epochs)
        outcome.panel(run)
    if run.kind == "evaluate" and run.state == "succeeded":
        names = list(run.request["versions"])
        shell.link("Compare", literal(f"Compare {listed(names)}"), {"versions": names})
    live.log(run)


def _why(run: RunRecord) -> None:
    if run.state not in ("failed", "interrupted", "cancelled") or not run.error:
        return
    if run.state == "cancelled":
        widgets.mute(run.error)
        return
    draw = st.error if run.state == "failed" else st.warning
    draw(why(run), icon=":material/error:")


def _actions(run: RunRecord, again: Again) -> None:
    with st.container(horizontal=True):
        if run.state in ("failed", "interrupted", "cancelled") and st.button(
            run_facts.again(run), key=f"resume-{run.id}", icon=":material/replay:"
        ):
            jobs.resume(cache.settings(), run.id)
            st.rerun()
        if run.kind == "train" and run.preset in MODELS:
            st.button(
                f"Change run {run.id} and train again", key=f"clone-{run.id}",
                icon=":material/edit:", on_click=again, args=(run,),
            )  # fmt: skip


def _settings(run: RunRecord) -> None:
    if run.kind != "train":
        return
    changed = run.request.get("hyperparameters", {})
    with st.expander(f"Settings of run {run.id}", key=f"settings-{run.id}"):
        facts = {"Model": run.preset, **{name: str(value) for name, value in changed.items()}}
        widgets.facts(facts if changed else {**facts, "Changed": "nothing"})
        try:
            command = _command(run)
        except MovierecError as error:  # of another movierec, or a hyperparameter that is gone
            widgets.mute(f"It cannot be trained so any more: {error.message}")
            return
        widgets.command(command)


def _command(run: RunRecord) -> str:
    request = TrainRequest.of(**run.request)
    return train_command(request, request.hyperparameters, {})
