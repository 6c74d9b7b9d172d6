"""The Sweeps view: searches of hyperparameters, one in detail, and the form of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from movierec import jobs
from movierec.store.records import ACTIVE_STATES, RunRecord
from movierec.sweeps.records import SweepRecord
from movierec.ui.components import address, cache, shell, widgets
from movierec.ui.components.flash import leave
from movierec.ui.components.runs import facts
from movierec.ui.components.text import literal
from movierec.ui.sweeps import form, results

__all__ = ["view"]

_NEXT, _DELETING = "sweep-next", "sweep-deleting"
_ROWS, _ROW_HEIGHT = 16, 41  # of the table of trials: how many are seen at once, pixels of one
_SWEEP_RUNS = 500  # of runs, how many of the newest sweeps are looked through


def view() -> None:
    """Draw the sweeps there are, the one that the address names, and the form of a new one."""
    records = _records()
    name = _sweeps(records) if records else None
    if name is None:
        _empty()
    # another key once there are sweeps: the browser would keep it open above what was found
    key = "sweep-new" if records else "sweep-first"
    with st.expander("New sweep", expanded=not records, icon=":material/tune:", key=key):
        form.form_of(cache.store().datasets.list(), _submit)
    if name is not None:
        (_live if _is_active(_run_of(_record(name))) else _detail)(name)


def _sweeps(records: Sequence[SweepRecord]) -> str:
    """Draw the sweeps in a table; return the name of the one to show."""
    widgets.section("Sweeps")
    name = _choose(records)
    widgets.html(results.sweeps_table(records, _runs(), name))
    return name


def _empty() -> None:
    """Explain sweeps, and offer to fill in a small one."""
    with st.container(key="empty", border=True):
        widgets.step(
            "No sweep yet. Let the machine try hyperparameters for you",
            "A sweep trains the same model many times, each time with other hyperparameters from "
            "ranges that you choose, and learns from each trial where to look next. Trials are "
            "compared on the validation part; the test part stays closed until you train the best.",
        )
        st.button(
            "Fill in a small sweep", icon=":material/edit_note:", key="sweep-fill",
            on_click=form.fill_in,
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
    widgets.section(results.headline(record))
    widgets.mute(results.sentence(record))
    _state(record, run)
    _actions(record, run)
    _charts(record)
    if record.command is not None:
        widgets.command(record.command, "Train the best from a terminal:")
    if record.trials:
        _table(record)


def _state(record: SweepRecord, run: RunRecord | None) -> None:
    if run is None:
        return
    text = f"Run {run.id} {facts.SIGNS[run.state]}"
    if run.state == "running":
        text += f": {run.stage or 'starting'}"
    if run.state == "failed":
        st.error(f"**{literal(text)}.** {literal(run.error)}", icon=":material/error:")
    elif run.state in ("interrupted", "cancelled"):
        st.warning(
            f"**{literal(text)}** after {results.done(record)} finished trials, which are "
            "kept. Resume does those that are missing.", icon=":material/pause_circle:",
        )  # fmt: skip
    elif run.state in ACTIVE_STATES:
        widgets.mute(text)


def _actions(record: SweepRecord, run: RunRecord | None) -> None:
    name, active = record.name, _is_active(run)
    with st.container(horizontal=True):
        if record.training is not None and _button(
            f"Train the best of {name}", "train", icon="model_training", type="primary"
        ):
            _train(record, run)
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
                from movierec.sweeps.storage import SweepStore

                SweepStore(cache.settings()).delete(name)
                leave(f"The sweep {name} is deleted.")
            if _button(f"Keep {name}", "keep", icon="undo"):
                del st.session_state[_DELETING]
                st.rerun()


def _train(record: SweepRecord, sweep: RunRecord | None) -> None:
    training, best = dict(record.training or {}), record.best
    parent = None if sweep is None else sweep.id
    run = jobs.submit_train(cache.settings(), **training, parent_id=parent)
    if best is not None:
        cache.store().runs.add_facts(run.id, {"trial": best.number})
    number = "" if best is None else f" trial {best.number} of"
    leave(f"Run {run.id} waits in the queue: it trains{number} {record.name}.")


def _submit(request: Mapping[str, Any]) -> None:
    with shell.errors_in_words():
        run = jobs.submit_sweep(cache.settings(), **request)
        st.session_state[_NEXT] = run.request["name"]
        leave(f"Run {run.id} waits in the queue: it does the sweep {run.request['name']}.")


def _button(label: str, key: str, *, icon: str, **options: Any) -> bool:
    return st.button(literal(label), key=f"sweep-{key}", icon=f":material/{icon}:", **options)


def _choose(records: Sequence[SweepRecord]) -> str:
    """Offer the sweeps; the one chosen is in the page's address, also where it is the newest."""
    names = [record.name for record in records]
    if _NEXT in st.session_state:
        st.session_state["sweep"] = st.session_state.pop(_NEXT)
    return address.select("Sweep in detail", "sweep", names, names[0])


def _charts(record: SweepRecord) -> None:
    trials = results.trials_frame(record)
    done = int((trials["state"] == "done").sum())
    if not done:
        widgets.mute("Charts appear with the first finished trial.")
        return
    lower = record.direction == "minimize"
    left, right = st.columns([3, 2], gap="large")
    with left:
        chart = results.history(trials, record.metric, lower_is_better=lower)
        widgets.figure(chart, "sweep-history")
    with right:
        _importance(record, done)
    if done > 1:
        chart = results.parallel(trials, record.search, record.metric, lower_is_better=lower)
        widgets.figure(
            chart, "sweep-parallel",
            note="One line per finished trial, the stronger the better, the best with marks.",
            height=340,
        )  # fmt: skip


def _importance(record: SweepRecord, done: int) -> None:
    from movierec.sweeps.report import IMPORTANT_FROM

    if not record.importance:
        widgets.chart_title("What mattered")
        widgets.mute(f"Needs at least {IMPORTANT_FROM} finished trials; you have {done}.")
        return
    chart = results.importance(record.importance, record.metric, record.importance_of)
    note = f"fANOVA over {record.importance_of} finished trials, within the ranges searched."
    widgets.figure(chart, "sweep-importance", note=note)


def _table(record: SweepRecord) -> None:
    many = len(record.trials) > _ROWS
    with st.container(height=_ROWS * _ROW_HEIGHT if many else "content", key="sweep-trials-of"):
        widgets.html(results.trials_table(record))


def _records() -> list[SweepRecord]:
    from movierec.sweeps.report import sweep_records

    return sweep_records(cache.settings())


def _record(name: str) -> SweepRecord:
    from movierec.sweeps.report import sweep_record

    return sweep_record(cache.settings(), name)


def _runs() -> list[RunRecord]:
    return cache.store().runs.list(_SWEEP_RUNS, kinds=["sweep"])


def _run_of(record: SweepRecord) -> RunRecord | None:
    return results.newest(record, _runs())


def _is_active(run: RunRecord | None) -> bool:
    return run is not None and run.state in ACTIVE_STATES
