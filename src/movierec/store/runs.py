"""Runs: one row each, written by the process that works, read by everyone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import func, select

from movierec.errors import StoreError
from movierec.plain import plain_dict, without_nul
from movierec.processes import mark_of, own_mark
from movierec.store.engine import Database
from movierec.store.records import (
    ACTIVE_STATES,
    EpochRecord,
    RunKind,
    RunRecord,
    RunState,
    epoch_record,
    epoch_row,
    run_record,
)
from movierec.store.run_rows import (
    CLAIMED,
    CLEARED,
    LAST_ID,
    Liveness,
    change_run,
    chosen_runs,
    process_columns,
    require_run,
)
from movierec.store.tables import EpochRow, RunRow

__all__ = ["RunStore"]

# `list` is a method below
Runs: TypeAlias = list[RunRecord]
Epochs: TypeAlias = list[EpochRecord]

# A run that ended without a result may be taken up again from its checkpoint.
STARTABLE: tuple[RunState, ...] = ("queued", "interrupted", "cancelled", "failed")
LOST = "Its process ended without a word."  # the error of a run whose process was found dead


class RunStore:
    """The runs.

    Methods that take a run's id raise NotFoundError when there is no such run; all raise
    StoreError when the database cannot be read or written.
    """

    def __init__(self, database: Database, runs_path: Path) -> None:
        self._database = database
        self._runs_path = runs_path
        self._liveness = Liveness()

    def add(
        self,
        kind: RunKind,
        *,
        preset: str = "",
        dataset_name: str = "",
        request: Mapping[str, Any],
        priority: int = 0,
        parent_id: int | None = None,
        kept_for: str = "",
    ) -> RunRecord:
        """Queue a run; `request` is what its process needs to know, as JSON.

        One that is `kept_for` a host is left to that host's workers.
        """
        row = RunRow(
            kind=kind,
            state="queued",
            preset=preset,
            dataset_name=dataset_name,
            request=plain_dict(request),
            created_at=_now(),
            host=kept_for,
            progress=0.0,
            stage="",
            **CLEARED,
            priority=priority,
            parent_id=parent_id,
            facts={"kept_for": kept_for} if kept_for else {},
        )
        with self._database.writing() as session:
            session.add(row)
            session.flush()
            row.place = float(row.id)
            session.flush()
            return self._record(row)

    def assign(self, run_id: int, pid: int) -> None:
        """Note which process of this host will take a queued run, so that its end is noticed."""
        values = {**process_columns(mark_of(pid)), "stage": "starting"}
        with self._database.writing() as session:
            change_run(session, run_id, RunRow.state == "queued", values)

    def start(self, run_id: int, states: Sequence[RunState] = STARTABLE) -> RunRecord:
        """Take a run in one of these states for this process; one of several that try gets it.

        A run that was interrupted, cancelled or failed may be started again: it keeps its
        epochs.

        Raises:
            StoreError: the run is in another state, for one it is running or has succeeded.

        """
        now = _now()
        taken = RunRow.state.in_(states)
        with self._database.writing() as session:
            row = require_run(session, run_id, lock=True)
            values = {
                **process_columns(own_mark()),
                **CLEARED,
                "state": "running",
                "started_at": now,
                "heartbeat_at": now,
            }
            if not change_run(session, run_id, taken, values):
                raise StoreError(
                    f"Run {run_id} is {row.state}: it cannot be started.",
                    hint="Queue a new run instead.",
                )
            return self._record(row)

    def beat(self, run_id: int, *, progress: float, stage: str) -> bool:
        """Say that the run is alive and how far it is, from 0 to 1; return whether it is ours.

        One that another host took for dead, because its beats were late or the clocks differ,
        is running again, unless somebody has put it back into the queue meanwhile.
        """
        mark = own_mark()
        ours = (RunRow.host == mark.host) & (RunRow.pid == mark.pid)
        missed = (RunRow.state == "interrupted") & (RunRow.error == LOST)
        values: dict[str, Any] = {"heartbeat_at": _now(), "progress": progress, "stage": stage}
        values |= {"state": "running", "finished_at": None, "error": ""}
        with self._database.writing() as session:
            require_run(session, run_id)
            return change_run(
                session, run_id, ours & ((RunRow.state == "running") | missed), values
            )

    def add_facts(self, run_id: int, facts: Mapping[str, Any]) -> None:
        """Add to the facts of a run: device, epochs, parameters."""
        with self._database.writing() as session:
            row = require_run(session, run_id, lock=True)
            row.facts = {**row.facts, **plain_dict(facts)}

    def add_epoch(self, run_id: int, epoch: EpochRecord) -> None:
        """Keep a finished epoch; one that a resumed run repeats replaces the first."""
        with self._database.writing() as session:
            require_run(session, run_id)
            session.merge(epoch_row(run_id, epoch))

    def epochs(self, run_id: int) -> Epochs:
        """Return the finished epochs, first to last."""
        query = select(EpochRow).where(EpochRow.run_id == run_id).order_by(EpochRow.epoch)
        with self._database.reading() as session:
            require_run(session, run_id)
            return [epoch_record(row) for row in session.scalars(query)]

    def finish(
        self,
        run_id: int,
        state: RunState,
        *,
        error: str = "",
        traceback: str = "",
        version: str | None = None,
    ) -> None:
        """End a run in one of the final states."""
        with self._database.writing() as session:
            row = require_run(session, run_id, lock=True)
            row.state, row.finished_at = state, _now()
            row.error, row.traceback = without_nul(error), without_nul(traceback)
            row.version = version
            row.progress = 1.0 if state == "succeeded" else row.progress

    def get(self, run_id: int) -> RunRecord:
        """Return a run."""
        with self._database.reading() as session:
            return self._record(require_run(session, run_id))

    def list(
        self,
        limit: int = 50,
        states: Sequence[RunState] | None = None,
        *,
        kinds: Sequence[RunKind] | None = None,
        presets: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
        before: int | None = None,
        offset: int = 0,
    ) -> Runs:
        """Return the newest runs, newest first: those that every given filter admits.

        `before` is the id of the last run of the page before, `offset` how many are skipped.
        """
        chosen = chosen_runs(states, kinds, presets, datasets)
        if before is not None:
            chosen.append(RunRow.id <= min(before - 1, LAST_ID))
        query = select(RunRow).where(*chosen).order_by(RunRow.id.desc())
        return self._records(query.limit(limit).offset(offset))

    def count(
        self,
        states: Sequence[RunState] | None = None,
        *,
        kinds: Sequence[RunKind] | None = None,
        presets: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
    ) -> int:
        """Return the number of runs that the filters of `list` admit."""
        chosen = chosen_runs(states, kinds, presets, datasets)
        with self._database.reading() as session:
            return session.scalar(select(func.count()).select_from(RunRow).where(*chosen)) or 0

    def names(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return every preset and every data set that runs have had, each in order."""
        with self._database.reading() as session:
            presets, datasets = (
                session.scalars(select(column).where(column != "").distinct().order_by(column))
                for column in (RunRow.preset, RunRow.dataset_name)
            )
            return [*presets], [*datasets]

    def best_epochs(self, run_ids: Sequence[int]) -> dict[int, EpochRecord]:
        """Return the last best epoch of each of these runs that has one."""
        last = (
            select(EpochRow.run_id, func.max(EpochRow.epoch).label("epoch"))
            .where(EpochRow.run_id.in_(run_ids), EpochRow.is_best)
            .group_by(EpochRow.run_id)
            .subquery()
        )  # a row for each epoch that was the best so far would be a hundred for one
        same = (EpochRow.run_id == last.c.run_id) & (EpochRow.epoch == last.c.epoch)
        query = select(EpochRow).join(last, same)
        with self._database.reading() as session:
            return {row.run_id: epoch_record(row) for row in session.scalars(query)}

    def active(self) -> Runs:
        """Return the queued and running runs, oldest first."""
        query = select(RunRow).where(RunRow.state.in_(ACTIVE_STATES)).order_by(RunRow.id)
        return self._records(query)

    def latest(self, kind: RunKind | None = None) -> RunRecord | None:
        """Return the newest run, of this kind if one is given."""
        query = select(RunRow).order_by(RunRow.id.desc()).limit(1)
        found = self._records(query if kind is None else query.where(RunRow.kind == kind))
        return found[0] if found else None

    def request_cancel(self, run_id: int) -> RunRecord:
        """Ask a running run to stop; a queued one is cancelled at once, a finished one stays."""
        with self._database.writing() as session:
            row = require_run(session, run_id, lock=True)
            if row.state == "queued":
                row.state, row.finished_at = "cancelled", _now()
            row.cancel_requested = row.state in ("running", "cancelled")
            if row.state == "running" and row.cancel_requested_at is None:
                row.cancel_requested_at = _now()
            session.flush()
            return self._record(row)

    def cancel_requested(self, run_id: int) -> bool:
        """Return whether somebody asked the run to stop."""
        return self.get(run_id).cancel_requested

    def mark_interrupted(self) -> Runs:
        """Find runs whose process is gone, mark them and return them.

        On this host the process is looked up; on another one the heartbeat decides. A queued
        run counts once it has a process; one that its worker had not begun is queued again.
        """
        dead = [run for run in self.active() if self._liveness.is_dead(run)]
        lost = [run for run in dead if not self._release(run) and self._interrupt(run)]
        return [self.get(run.id) for run in lost]

    def _release(self, run: RunRecord) -> bool:
        """Give a run back to the queue whose worker died before its process began."""
        if run.state != "queued" or run.stage != CLAIMED:
            return False
        unchanged = (RunRow.state == "queued") & (RunRow.pid == run.pid)
        values = {"pid": None, "claimed_by": None, "stage": "", "host": run.kept_for}
        with self._database.writing() as session:
            return change_run(session, run.id, unchanged, values)

    def _interrupt(self, run: RunRecord) -> bool:
        unchanged = (RunRow.state == run.state) & RunRow.heartbeat_at.is_not_distinct_from(
            run.heartbeat_at
        )
        values = {"state": "interrupted", "finished_at": _now(), "error": LOST}
        with self._database.writing() as session:
            return change_run(session, run.id, unchanged, values)

    def _records(self, query: Any) -> Runs:
        with self._database.reading() as session:
            return [self._record(row) for row in session.scalars(query)]

    def _record(self, row: RunRow) -> RunRecord:
        return run_record(row, self._runs_path)


def _now() -> datetime:
    return datetime.now(UTC)
