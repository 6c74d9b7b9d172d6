"""A run as it goes: where it is, its curves, its log; alone or beside others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from movierec import jobs
from movierec.store.records import ACTIVE_STATES, EpochRecord, RunKind, RunRecord
from movierec.ui.components import cache, widgets
from movierec.ui.components.live_chart import drawing, live_chart
from movierec.ui.components.runs import charts as run_charts
from movierec.ui.components.runs import facts
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import decimal, literal, percent
from movierec.ui.components.versions import charts
from movierec.ui.components.versions.charts import CURVES, CurveName

__all__ = ["beside", "brief", "cancel_button", "learning", "log", "panel"]

_OVERLAID = 6  # more lines than these nobody tells apart
_DOING: Mapping[RunKind, str] = {
    "train": "Training", "import": "Importing", "sweep": "Searching", "evaluate": "Measuring",
}  # fmt: skip
_MEASURES = {
    "train_loss": "Train loss",
    "val_loss": "Val. loss",
    "val_rmse": "Val. RMSE (stars)",
    "val_ndcg_10": "Val. NDCG@10",
}


def panel(run: RunRecord) -> None:
    """Draw a run under way: bar, facts, numbers, curves, log."""
    with st.container(border=True, key=f"live-{run.id}"):
        _bar(run)
        if run.kind == "train":
            _training(run)
        log(run)


def brief(run: RunRecord) -> None:
    """Draw a run under way on a page that is about something else: bar and curve."""
    with st.container(border=True, key=f"live-{run.id}"):
        _bar(run)
        if run.kind == "train":
            curves(run)


def cancel_button(run: RunRecord) -> None:
    """Offer to stop a run that waits or goes on; what it says is read back from its row."""
    if run.state not in ACTIVE_STATES:
        return
    asked = run.cancel_requested
    label = f"Stopping run {run.id} …" if asked else f"Cancel run {run.id}"
    if st.button(label, key=f"cancel-{run.id}", disabled=asked, icon=":material/stop_circle:"):
        jobs.cancel(cache.settings(), run.id)
        st.rerun()


def numbers(epochs: Sequence[EpochRecord]) -> None:
    """Draw the last epoch beside the best one."""
    if not epochs:
        return
    best = next((epoch for epoch in reversed(epochs) if epoch.is_best), epochs[-1])
    last = epochs[-1]
    columns = [Column("Measure"), Column(f"last: {last.epoch}", True)]
    columns.append(Column(f"best: {best.epoch}", True))
    rows: list[list[Cell | str]] = [
        [Cell(label), *(Cell(decimal(getattr(each, name), 4)) for each in (last, best))]
        for name, label in _MEASURES.items()
    ]
    widgets.html(html_table("Last and best epoch", columns, rows))


def learning(run: RunRecord, epochs: Sequence[EpochRecord]) -> None:
    """Draw a training's curves, and beside them its last and best epoch."""
    left, right = st.columns([5, 3], gap="medium")
    with right:
        numbers(epochs)
        others = beside(run)
    with left:
        curves(run, others)


def curves(run: RunRecord, others: Sequence[RunRecord] = ()) -> None:
    """Draw the validation curve of a run, and of others over it; the measure can be chosen."""
    epochs = {_label(each): cache.epochs(each.id) for each in (run, *others)[:_OVERLAID]}
    histories = {label: charts.history_frame(rows) for label, rows in epochs.items()}
    history = histories[_label(run)]
    names = charts.measured(history)
    if len(history) < 2 or not names:
        if run.state in ACTIVE_STATES:
            widgets.mute("The curve appears after the second epoch.")
        return
    name = _chosen_curve(run, names)
    running = run.state in ACTIVE_STATES
    of = (name, running, *((label, hash(tuple(rows))) for label, rows in epochs.items()))
    drawn = cache.drawn(of, lambda: drawing(_figure(histories, name, running=running)))
    live_chart(drawn, f"curve-{run.id}", note=_NOTE)


def _figure(histories: Mapping[str, pd.DataFrame], name: CurveName, *, running: bool) -> go.Figure:
    """Draw one run, the first, or all that measured this."""
    known = {k: h for k, h in histories.items() if h[CURVES[name].column].notna().any()}
    if len(known) > 1:
        return run_charts.curves(known, name)
    return charts.learning_curve(next(iter(histories.values())), name, running=running)


_NOTE = (
    "Measured on the validation part, which picks the epoch. Drag to zoom, double-click to reset."
)


def log(run: RunRecord) -> None:
    """Offer the last lines of a run's log."""
    text = facts.log_tail(run)
    if text:
        with st.expander(f"Log of run {run.id}, last lines", key=f"log-{run.id}"):
            st.code(text, language=None, wrap_lines=True)


def _bar(run: RunRecord) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        title = escape(f"{_DOING[run.kind]}: run {run.id}, {facts.what(run)}")
        st.html(f'<p class="mr-step">{title}</p>', width="content")
        cancel_button(run)
    st.progress(min(1.0, max(0.0, run.progress)), text=literal(_stage(run)))


def _training(run: RunRecord) -> None:
    epochs = cache.epochs(run.id)
    widgets.chips(facts.facts(run, epochs))
    learning(run, epochs)


def beside(run: RunRecord) -> list[RunRecord]:
    """Offer other trainings to lay over this one's curve; return those chosen."""
    others = [each for each in cache.store().runs.list(40, kinds=["train"]) if each.id != run.id]
    by_id = {each.id: each for each in others if each.state != "queued"}
    if not by_id:
        return []
    chosen = st.multiselect(
        f"Lay other runs over run {run.id}", list(by_id), key=f"beside-{run.id}",
        format_func=lambda i: _label(by_id[i]), max_selections=_OVERLAID - 1,
        placeholder="Choose runs", persist_state="session",
    )  # fmt: skip
    return [by_id[i] for i in chosen]


def _chosen_curve(run: RunRecord, names: Sequence[CurveName]) -> CurveName:
    return st.segmented_control(
        f"Curve of run {run.id}", names, default=names[0], required=True, key=f"measure-{run.id}",
        label_visibility="collapsed", persist_state="session",
    )  # fmt: skip


def _label(run: RunRecord) -> str:
    return f"run {run.id} · {run.preset}"


def _stage(run: RunRecord) -> str:
    if run.state == "queued":
        return "its process is starting" if run.is_claimed else "waiting in the queue"
    return f"{percent(run.progress, 0)} · {run.stage or 'starting'} · {facts.took(run)}"
