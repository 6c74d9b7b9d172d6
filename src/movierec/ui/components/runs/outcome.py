"""The result of a training: its metrics beside the current version and the baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from movierec.comparison.metrics import Metric
from movierec.registry import Registry
from movierec.store.records import ACTIVE_STATES, RunRecord, VersionRecord
from movierec.ui.components import cache, shell, widgets
from movierec.ui.components.runs import facts
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import decimal, literal, signed
from movierec.ui.components.versions import actions, leaderboard
from movierec.ui.components.versions.leaderboard import METRICS, Row

__all__ = ["announce", "ended_here", "panel"]

_WATCHED, _ENDED, _DRAWN = "runs-watched", "runs-ended", "outcomes-drawn"
_SHOWN = ("rmse", "mae", "ndcg_full", "ndcg_rated")
_ICONS = {"succeeded": ":material/check_circle:", "failed": ":material/error:"}


def ended_here(active: Sequence[RunRecord]) -> None:
    """Notice which of the runs this session saw going on have ended since."""
    st.session_state[_DRAWN] = set()
    seen: set[int] = st.session_state.setdefault(_WATCHED, set())
    ended = seen - {run.id for run in active}
    st.session_state[_WATCHED] = {run.id for run in active}
    if ended:
        st.session_state[_ENDED] = sorted(ended)


def announce() -> RunRecord | None:
    """Show with a toast how runs ended, once; return the newest run that did."""
    fresh: list[int] = st.session_state.pop(_ENDED, [])
    found = [cache.store().runs.get(run_id) for run_id in fresh]
    ended = [run for run in found if run.state not in ACTIVE_STATES]
    for run in ended:
        st.toast(literal(_ending(run)), icon=_ICONS.get(run.state, ":material/info:"))
    if ended:
        st.session_state["run-just-ended"] = ended[-1].id
    kept = st.session_state.get("run-just-ended")
    return None if kept is None else cache.store().runs.get(kept)


def panel(run: RunRecord) -> None:
    """Draw the headline metrics of a run's version, and what can be done with it; once a page."""
    drawn: set[int] = st.session_state.setdefault(_DRAWN, set())
    if run.version is None or run.id in drawn:
        return
    drawn.add(run.id)
    store = cache.store()
    version, current = store.versions.get(run.version), store.versions.current()
    with st.container(border=True, key=f"outcome-{run.id}"):
        table = leaderboard.rows(version)
        widgets.step(_headline(version, table))
        _numbers(version, table, current)
        _next(version, current)


def _headline(version: VersionRecord, table: Sequence[Row]) -> str:
    shown = ", ".join(
        f"{metric.label} {decimal(table[0].value(metric.key), metric.digits)}"
        for metric in METRICS
        if metric.key in ("rmse", "ndcg_full") and not math.isnan(table[0].value(metric.key))
    )
    # both come from our own names and numbers
    return f"{version.name} is trained: {shown} on its test part"


def _numbers(version: VersionRecord, table: Sequence[Row], current: VersionRecord | None) -> None:
    rows = [_row(table[0], None)]
    other = current if current is not None and current.name != version.name else None
    if other is not None:
        comparable = leaderboard.same_test_part(version, other)
        row = Row(
            f"{other.name}, current", "version", leaderboard.rows(other)[0].values,
            "" if comparable else "another test part: not comparable",
        )  # fmt: skip
        rows.append(_row(row, table[0] if comparable else None))
    rows += [_row(row, table[0]) for row in table if row.kind == "baseline"]
    columns = [Column("System")]
    columns += [Column(m.label, numeric=True, hint=m.hint) for m in _metrics()]
    widgets.html(html_table(f"{version.name} beside others", columns, rows, highlight=[0]))
    widgets.mute("In brackets: how far the new version is from it; a minus is better for errors.")


def _row(row: Row, against: Row | None) -> list[Cell | str]:
    cells: list[Cell | str] = [Cell(row.system, note=row.note)]
    for metric in _metrics():
        value = row.value(metric.key)
        gap = math.nan if against is None else against.value(metric.key) - value
        note = "" if math.isnan(gap) else f"({signed(gap)})"
        cells.append(Cell(decimal(value, metric.digits), note=note))
    return cells


def _metrics() -> list[Metric]:
    return [metric for metric in METRICS if metric.key in _SHOWN]


def _next(version: VersionRecord, current: VersionRecord | None) -> None:
    registry = Registry(cache.settings(), cache.store())
    with st.container(horizontal=True, vertical_alignment="center"):
        actions.promote_button(registry, version)
        actions.compare_link(version)
        actions.recommend_link(version)
        if current is not None and current.name == version.name:
            shell.link("Home", "See it on Home")
        shell.link("Versions", f"All about {version.name}", {"version": version.name})
    actions.gate_panel(registry, version)


def _ending(run: RunRecord) -> str:
    words = {"succeeded": "is done", "interrupted": "was interrupted"}
    result = f": {run.version}" if run.version else ""
    said = words.get(run.state, run.state)
    return f"Run {run.id}, {facts.what(run)}, {said}{result}"
