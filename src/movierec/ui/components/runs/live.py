"""A run in progress: bar, numbers, log, and a chart that is updated in place."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from movierec import jobs
from movierec.store.records import ACTIVE_STATES, EpochRecord, RunKind, RunRecord
from movierec.ui.components import cache, widgets
from movierec.ui.components.charts import bare
from movierec.ui.components.runs import facts
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import decimal, literal, percent
from movierec.ui.components.versions import curves
from movierec.ui.components.versions.curves import CURVES, CurveName

__all__ = [
    "Drawing",
    "beside",
    "brief",
    "cancel_button",
    "drawing",
    "learning",
    "live_chart",
    "load",
    "log",
    "panel",
]

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

_NOTE = (
    "Measured on the validation part, which picks the epoch. Drag to zoom, double-click to reset."
)
_HEIGHT = 320
_WANTED = "live-chart-drawn"
_SCRIPT = Path(__file__).with_name("live_chart.js")


def panel(run: RunRecord) -> None:
    """Draw a run under way: bar, facts, numbers, curves, log."""
    with st.container(border=True, key=f"live-{run.id}"):
        _bar(run)
        if run.kind == "train":
            _training(run)
        log(run)


def brief(run: RunRecord) -> None:
    """Draw a run in progress on a page about something else: bar and curve."""
    with st.container(border=True, key=f"live-{run.id}"):
        _bar(run)
        if run.kind == "train":
            learning_curves(run)


def cancel_button(run: RunRecord) -> None:
    """Draw the button that stops a queued or running run; its label is read from the run's row."""
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
        learning_curves(run, others)


def learning_curves(run: RunRecord, others: Sequence[RunRecord] = ()) -> None:
    """Draw the validation curve of a run, and of others over it; the measure can be chosen."""
    epochs = {_label(each): cache.epochs(each.id) for each in (run, *others)[:_OVERLAID]}
    histories = {label: curves.history_frame(rows) for label, rows in epochs.items()}
    history = histories[_label(run)]
    names = curves.measured(history)
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
        return curves.curves_of_runs(known, name)
    return curves.learning_curve(next(iter(histories.values())), name, running=running)


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
        doing = f"{_DOING[run.kind]}: run {run.id}, {facts.what(run)}"
        widgets.step(doing, width="content")
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
        return "Starting…" if run.is_claimed else "waiting in the queue"
    return f"{percent(run.progress, 0)} · {run.stage or 'starting'} · {facts.took(run)}"


@dataclass(frozen=True)
class Drawing:
    """A figure as the browser gets it: its title and alt text, and Plotly's JSON of the rest."""

    title: str
    alt: str
    figure: str
    height: int


def drawing(chart: go.Figure, height: int = _HEIGHT) -> Drawing:
    """Return a figure as `live_chart` takes it; worth caching, since Plotly is slow at it."""
    figure: str = bare(chart, height).to_json()
    return Drawing(chart.layout.title.text, chart.layout.meta["alt"], figure, height)


def live_chart(drawn: Drawing, key: str, *, note: str = "") -> None:
    """Draw a chart under its own title; zoom and pan outlive its updates.

    The page must call `load` once, outside of fragments.
    """
    st.session_state[_WANTED] = True
    widgets.chart_title(drawn.title, note)
    data = {"figure": drawn.figure, "alt": drawn.alt, "height": drawn.height}
    _live_chart_component()(key=key, data=data, height=drawn.height)


def load(*, coming: bool = True) -> None:
    """Bring Plotly into the page; last, so that everything else is painted before it.

    If no chart is `coming` with a poll, only where the page has drawn one: it is 5 MB.
    """
    if st.session_state.pop(_WANTED, False) or coming:
        _plotly_component()(key="plotly-library", height=1)


@functools.cache
def _live_chart_component() -> Any:
    return st.components.v2.component(
        "movierec_live_chart",
        html='<div class="mr-live" role="img"></div>',
        js=_SCRIPT.read_text(encoding="utf-8"),
        isolate_styles=False,
    )


@functools.cache
def _plotly_component() -> Any:
    code = files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")
    after = "window.dispatchEvent(new Event('movierec-plotly'));\nexport default () => {};\n"
    return st.components.v2.component(
        "movierec_plotly", js=f"{code}\n{after}", isolate_styles=False
    )
