"""The Sweeps view: searches of hyperparameters, one in detail, and the form of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from movierec import jobs
from movierec.store.records import ACTIVE_STATES, RunRecord
from movierec.ui import cache, run_facts, shell, sweep_charts, sweep_form, widgets
from movierec.ui.sweep_charts import METRICS
from movierec.ui.tables import Cell, Column, html_table
from movierec.ui.text import NOT_MEASURED, decimal, duration, literal
from movierec.workflows.sweep_records import SweepRecord, TrialRecord

__all__ = ["view"]

_SIGNS = {
    "done": "✓ done", "pruned": "✂ pruned", "failed": "✕ failed", "stopped": "■ stopped",
    "running": "● running",
}  # fmt: skip
_NEXT, _DELETING, _SAID = "sweep-next", "sweep-deleting", "sweep-said"
_ROWS, _ROW_HEIGHT = 16, 41  # of the table of trials: how many are seen at once, pixels of one
_SWEEP_RUNS = 500  # of runs, how many of the newest sweeps are looked through


def view() -> None:
    """Draw the sweeps there are, the one that the address names, and the form of a new one."""
    records = _records()
    _said()
    name = _sweeps(records) if records else None
    if name is None:
        _empty()
    # another key once there are sweeps: the browser would keep it open above what was found
    key = "sweep-new" if records else "sweep-first"
    with st.expander("New sweep", expanded=not records, icon=":material/tune:", key=key):
        sweep_form.form_of(cache.store().datasets.list(), _submit)
    if name is not None:
        (_live if _is_active(_run_of(_record(name))) else _detail)(name)


def _sweeps(records: Sequence[SweepRecord]) -> str:
    """Draw the sweeps in a table; return the name of the one to show."""
    widgets.section("Sweeps")
    name = _choose(records)
    widgets.html(_list(records, _runs(), name))
    return name


def _empty() -> None:
    """Say what a sweep is, and lead on to a small one."""
    with st.container(key="empty", border=True):
        widgets.html(
            '<p class="mr-step">No sweep yet. Let the machine try hyperparameters for you</p>'
        )
        widgets.mute(
            "A sweep trains the same model many times, each time with other hyperparameters from "
            "ranges that you choose, and learns from each trial where to look next. Trials are "
            "compared on the validation part; the test part stays closed until you train the best."
        )
        st.button(
            "Fill in a small sweep", icon=":material/edit_note:", key="sweep-fill",
            on_click=sweep_form.fill_in,
        )  # fmt: skip
        if st.session_state.pop("sweep-filled", False):
            widgets.mute("It is filled in below: change what you like, then start it.")


@st.fragment(run_every=2)
def _live(name: str) -> None:
    with shell.errors_in_words():
        cache.store().runs.mark_interrupted()
        if not _is_active(_run_of(_record(name))):
            st.rerun()
        _detail(name)


def _detail(name: str) -> None:
    """Draw one sweep as it is now."""
    record = _record(name)
    run = _run_of(record)
    widgets.section(_headline(record))
    widgets.mute(_sentence(record))
    _state(record, run)
    _actions(record, run)
    _charts(record)
    if record.command is not None:
        widgets.mute("Train the best from a terminal:")
        st.code(record.command, language="bash", wrap_lines=True)
    if record.trials:
        _table(record)


def _state(record: SweepRecord, run: RunRecord | None) -> None:
    if run is None:
        return
    text = f"Run {run.id} {run_facts.SIGNS[run.state]}"
    if run.state == "running":
        text += f": {run.stage or 'starting'}"
    if run.state == "failed":
        st.error(f"**{literal(text)}.** {literal(run.error)}", icon=":material/error:")
    elif run.state in ("interrupted", "cancelled"):
        st.warning(
            f"**{literal(text)}** after {_done(record)} finished trials, which are kept. "
            "Resume does those that are missing.", icon=":material/pause_circle:",
        )  # fmt: skip
    elif run.state in ACTIVE_STATES:
        widgets.mute(text)


def _actions(record: SweepRecord, run: RunRecord | None) -> None:
    name, active = record.name, _is_active(run)
    with st.container(horizontal=True):
        if record.training is not None and _button(
            f"Train the best of {name}", "train", icon="model_training", type="primary"
        ):
            _train(record)
        if run is not None and active:
            asked = run.cancel_requested
            label = f"Stopping sweep {name} …" if asked else f"Stop sweep {name}"
            if _button(label, "stop", icon="stop_circle", disabled=asked):
                jobs.cancel(cache.settings(), run.id)
                st.rerun()
        if (
            run is not None
            and run.state in ("failed", "interrupted", "cancelled")
            and _button(f"Resume sweep {name}", "resume", icon="replay")
        ):
            jobs.resume(cache.settings(), run.id)
            st.rerun()
        if not active and _button(f"Delete sweep {name}", "delete", icon="delete"):
            st.session_state[_DELETING] = name
    if not active and st.session_state.get(_DELETING) == name:
        _confirm(record)


def _confirm(record: SweepRecord) -> None:
    name = record.name
    with st.container(border=True, key="sweep-confirm"):
        widgets.mute(
            f"{name} has {len(record.trials)} trials. They cannot be brought back; versions that "
            "were trained from it stay."
        )
        with st.container(horizontal=True):
            if _button(f"Yes, delete {name}", "really", icon="delete_forever"):
                from movierec.workflows.sweep_report import delete_sweep

                delete_sweep(cache.settings(), name)
                _leave(f"The sweep {name} is deleted.")
            if _button(f"Keep {name}", "keep", icon="undo"):
                del st.session_state[_DELETING]
                st.rerun()


def _train(record: SweepRecord) -> None:
    run = jobs.submit_train(cache.settings(), **dict(record.training or {}))
    best = record.best
    number = "" if best is None else f" trial {best.number} of"
    _leave(f"Run {run.id} waits in the queue: it trains{number} {record.name}.")


def _submit(request: Mapping[str, Any]) -> None:
    with shell.errors_in_words():
        run = jobs.submit_sweep(cache.settings(), **request)
        st.session_state[_NEXT] = run.request["name"]
        _leave(f"Run {run.id} waits in the queue: it does the sweep {run.request['name']}.")


def _leave(message: str) -> None:
    """Draw the page anew, with what has just been done on it."""
    st.session_state[_SAID] = message
    st.rerun()


def _said() -> None:
    message = st.session_state.pop(_SAID, None)
    if message:
        st.toast(literal(message), icon=":material/check_circle:")


def _button(label: str, key: str, *, icon: str, **options: Any) -> bool:
    return st.button(literal(label), key=f"sweep-{key}", icon=f":material/{icon}:", **options)


def _choose(records: Sequence[SweepRecord]) -> str:
    """Offer the sweeps; the one chosen is in the page's address, also where it is the newest."""
    names = [record.name for record in records]
    state: Any = st.session_state
    asked = state.pop(_NEXT, None) or state.get("sweep") or st.query_params.get("sweep")
    state["sweep"] = asked if asked in names else names[0]
    name = st.selectbox("Sweep in detail", names, key="sweep")
    st.query_params["sweep"] = name
    return name


def _list(records: Sequence[SweepRecord], runs: Sequence[RunRecord], chosen: str) -> str:
    columns = [Column("Sweep"), Column("Model"), Column("Data"), Column("Metric")]
    columns += [Column("Trials"), Column("Best", numeric=True), Column("State")]
    rows = [_listed(record, _newest(record, runs)) for record in records]
    on = [place for place, record in enumerate(records) if record.name == chosen]
    return html_table("Sweeps, newest first", columns, rows, highlight=on)


def _listed(record: SweepRecord, run: RunRecord | None) -> list[Cell | str]:
    best, state = record.best, NOT_MEASURED
    if run is not None:
        state = run_facts.SIGNS[run.state]
    elif "running" in record.counts:
        state = "● running"
    value = NOT_MEASURED if best is None else decimal(best.value, 4)
    where = "" if best is None else f"trial {best.number}"
    return [
        record.name, record.preset, f"{record.dataset}, {record.split}", METRICS[record.metric][0],
        _counted(record) or "none yet", Cell(value, note=where), state,
    ]  # fmt: skip


def _headline(record: SweepRecord) -> str:
    best = record.best
    if best is None:
        return f"{record.name}: no trial has come to its end yet"
    value = f"{METRICS[record.metric][0]} {decimal(best.value, 4)}"
    return f"{record.name}: {value} in trial {best.number}, the best of {_done(record)}"


def _sentence(record: SweepRecord) -> str:
    aim = "lowest" if record.direction == "minimize" else "highest"
    counted = _counted(record)
    return (
        f"{record.preset} on {record.dataset}, {record.split}, seed {record.seed}; sought is the "
        f"{aim} {METRICS[record.metric][1]}. The test part is never opened. "
        f"Trials: {counted or 'none yet'}."
    )


def _counted(record: SweepRecord) -> str:
    return ", ".join(f"{count} {state}" for state, count in record.counts.items())


def _done(record: SweepRecord) -> int:
    return sum(trial.state in ("done", "pruned", "failed") for trial in record.trials)


def _charts(record: SweepRecord) -> None:
    trials = sweep_charts.trials_frame(record)
    done = int((trials["state"] == "done").sum())
    if not done:
        widgets.mute("Charts appear with the first finished trial.")
        return
    lower = record.direction == "minimize"
    left, right = st.columns([3, 2], gap="large")
    with left:
        chart = sweep_charts.history(trials, record.metric, lower_is_better=lower)
        widgets.figure(chart, "sweep-history")
    with right:
        _importance(record, done)
    if done > 1:
        chart = sweep_charts.parallel(trials, record.search, record.metric, lower_is_better=lower)
        widgets.figure(
            chart, "sweep-parallel",
            note="One line per finished trial, the stronger the better, the best with marks.",
            height=340,
        )  # fmt: skip


def _importance(record: SweepRecord, done: int) -> None:
    from movierec.workflows.sweep_importance import IMPORTANT_FROM

    if not record.importance:
        widgets.html('<h3 class="mr-chart-title">What mattered</h3>')
        widgets.mute(
            f"Told from {IMPORTANT_FROM} finished trials on that differ; there are {done}."
        )
        return
    chart = sweep_charts.importance(record.importance, record.metric, record.importance_of)
    note = f"fANOVA over {record.importance_of} finished trials, within the ranges searched."
    widgets.figure(chart, "sweep-importance", note=note)


def _table(record: SweepRecord) -> None:
    many = len(record.trials) > _ROWS
    with st.container(height=_ROWS * _ROW_HEIGHT if many else "content", key="sweep-trials-of"):
        widgets.html(_trials(record))


def _trials(record: SweepRecord) -> str:
    columns = [Column("Trial"), Column("State"), Column("Val. RMSE (stars)", numeric=True)]
    columns += [Column("Val. NDCG@10 (0–1)", numeric=True), Column("Best epoch", numeric=True)]
    columns += [Column("Took", numeric=True)]
    columns += [Column(name, numeric=True) for name in record.search]
    rows = [_trial(record, trial) for trial in record.trials]
    best = [place for place, trial in enumerate(record.trials) if trial is record.best]
    return html_table(f"Trials of {record.name}, best first", columns, rows, highlight=best)


def _trial(record: SweepRecord, trial: TrialRecord) -> list[Cell | str]:
    is_best = trial is record.best
    values = {
        metric: Cell(
            decimal(trial.metrics.get(metric), 4), best=is_best and metric == record.metric
        )
        for metric in METRICS
    }
    epochs = f"of {trial.epochs}" if trial.epochs else ""
    best_epoch = NOT_MEASURED if trial.best_epoch is None else str(trial.best_epoch)
    return [
        str(trial.number), Cell(_SIGNS[trial.state], note=trial.reason), *values.values(),
        Cell(best_epoch, note=epochs), duration(trial.seconds),
        *(_value(trial.params.get(name)) for name in record.search),
    ]  # fmt: skip


def _value(value: Any) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _records() -> list[SweepRecord]:
    from movierec.workflows.sweep_report import sweep_records

    return sweep_records(cache.settings())


def _record(name: str) -> SweepRecord:
    from movierec.workflows.sweep_report import sweep_record

    return sweep_record(cache.settings(), name)


def _runs() -> list[RunRecord]:
    return cache.store().runs.list(_SWEEP_RUNS, kinds=["sweep"])


def _run_of(record: SweepRecord) -> RunRecord | None:
    return _newest(record, _runs())


def _newest(record: SweepRecord, runs: Sequence[RunRecord]) -> RunRecord | None:
    """Return the last run that worked on a sweep; not of one of its name that was deleted."""
    return next(
        (
            run
            for run in runs
            if run.request["name"] == record.name and run.created_at >= record.created_at
        ),
        None,
    )


def _is_active(run: RunRecord | None) -> bool:
    return run is not None and run.state in ACTIVE_STATES
