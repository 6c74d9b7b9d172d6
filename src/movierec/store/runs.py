"""Runs: one row each, written by the process that works, read by everyone."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias, cast

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from movierec.errors import NotFoundError, StoreError
from movierec.plain import plain_dict
from movierec.store.engine import Database
from movierec.store.processes import is_alive, mark_of, own_mark
from movierec.store.records import ACTIVE_STATES, EpochRecord, RunKind, RunRecord, RunState
from movierec.store.tables import EpochRow, RunRow

__all__ = ["RunStore"]

# `list` is a method below
Runs: TypeAlias = list[RunRecord]
Epochs: TypeAlias = list[EpochRecord]

LAST_ID = 2**31 - 1  # what the column holds; PostgreSQL refuses to look for more
HEARTBEAT_SECONDS = 15.0  # silence after which a run on another host counts as dead
CLAIM_SECONDS = 120.0  # a process may take so long from its start to its first word
# A run that ended without a result may be taken up again from its checkpoint.
STARTABLE: tuple[RunState, ...] = ("queued", "interrupted", "cancelled", "failed")
LOST = "Its process ended without a word."  # the error of a run that was found dead
CLAIMED = "claimed"  # the stage of a run that a worker has taken and not yet begun
_MEASURES = ("train_loss", "val_loss", "val_rmse", "val_ndcg_10", "seconds", "memory_mb")


class RunStore:
    """The runs.

    Methods that take a run's id raise NotFoundError when there is no such run; all raise
    StoreError when the database cannot be read or written.
    """

    def __init__(self, database: Database, runs_path: Path) -> None:
        self._database = database
        self._runs_path = runs_path
        self._seen: dict[int, tuple[datetime | None, float]] = {}

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
            error="",
            traceback="",
            cancel_requested=False,
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
        mark = mark_of(pid)
        values: dict[str, Any] = {"host": mark.host, "pid": mark.pid, "stage": "starting"}
        values["pid_started_at"] = mark.started_at
        with self._database.writing() as session:
            _change(session, run_id, RunRow.state == "queued", values)

    def start(self, run_id: int, states: Sequence[RunState] = STARTABLE) -> RunRecord:
        """Take a run in one of these states for this process; one of several that try gets it.

        A run that was interrupted, cancelled or failed may be started again: it keeps its
        epochs.

        Raises:
            StoreError: the run is in another state, for one it is running or has succeeded.

        """
        mark, now = own_mark(), _now()
        taken = RunRow.state.in_(states)
        with self._database.writing() as session:
            row = _require(session, run_id, lock=True)
            values = {
                "state": "running",
                "host": mark.host,
                "pid": mark.pid,
                "pid_started_at": mark.started_at,
                "started_at": now,
                "heartbeat_at": now,
                "finished_at": None,
                "error": "",
                "traceback": "",
                "cancel_requested": False,
                "cancel_requested_at": None,
            }
            if not _change(session, run_id, taken, values):
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
            _require(session, run_id)
            return _change(session, run_id, ours & ((RunRow.state == "running") | missed), values)

    def tell(self, run_id: int, facts: Mapping[str, Any]) -> None:
        """Add to what the run's process says of itself: device, epochs, parameters."""
        with self._database.writing() as session:
            row = _require(session, run_id, lock=True)
            row.facts = {**row.facts, **plain_dict(facts)}

    def add_epoch(self, run_id: int, epoch: EpochRecord) -> None:
        """Keep a finished epoch; one that a resumed run repeats replaces the first."""
        with self._database.writing() as session:
            _require(session, run_id)
            session.merge(_epoch_row(run_id, epoch))

    def epochs(self, run_id: int) -> Epochs:
        """Return the finished epochs, first to last."""
        query = select(EpochRow).where(EpochRow.run_id == run_id).order_by(EpochRow.epoch)
        with self._database.reading() as session:
            _require(session, run_id)
            return [_epoch_record(row) for row in session.scalars(query)]

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
            row = _require(session, run_id, lock=True)
            row.state, row.finished_at = state, _now()
            row.error, row.traceback = _without_nul(error), _without_nul(traceback)
            row.version = version
            row.progress = 1.0 if state == "succeeded" else row.progress

    def get(self, run_id: int) -> RunRecord:
        """Return a run."""
        with self._database.reading() as session:
            return self._record(_require(session, run_id))

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
        chosen = _chosen(states, kinds, presets, datasets)
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
        """Return how many runs the filters of `list` admit."""
        chosen = _chosen(states, kinds, presets, datasets)
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
            return {row.run_id: _epoch_record(row) for row in session.scalars(query)}

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
            row = _require(session, run_id, lock=True)
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
        run counts once it has a process.
        """
        dead = [run for run in self.active() if self._is_dead(run)]
        lost = [run for run in dead if not self._release(run) and self._interrupt(run)]
        return [self.get(run.id) for run in lost]

    def _is_dead(self, run: RunRecord) -> bool:
        mark = own_mark()
        if run.host == mark.host and run.pid is not None and run.pid_started_at is not None:
            return not is_alive(run.pid, run.pid_started_at)
        if run.pid is None:
            return False
        return self._is_silent(run)

    def _is_silent(self, run: RunRecord) -> bool:
        """Return whether a run of another host gives no more sign of life.

        At first sight its last one is too old. From then on it must change now and then, by
        this process's own clock: clocks of two hosts differ, and clocks are set.
        """
        last, patience = run.heartbeat_at or run.created_at, HEARTBEAT_SECONDS
        if run.is_claimed:
            patience = CLAIM_SECONDS
        seen, since = self._seen.get(run.id, (None, 0.0))
        if seen != last:
            self._seen[run.id] = (last, time.monotonic())
            return seen is None and (_now() - last).total_seconds() > patience
        return time.monotonic() - since > patience

    def _release(self, run: RunRecord) -> bool:
        """Give a run back to the queue whose worker died before its process began."""
        if run.state != "queued" or run.stage != CLAIMED:
            return False
        unchanged = (RunRow.state == "queued") & (RunRow.pid == run.pid)
        values: dict[str, Any] = {"pid": None, "claimed_by": None, "stage": ""}
        values["host"] = run.kept_for
        with self._database.writing() as session:
            return _change(session, run.id, unchanged, values)

    def _interrupt(self, run: RunRecord) -> bool:
        unchanged = (RunRow.state == run.state) & RunRow.heartbeat_at.is_not_distinct_from(
            run.heartbeat_at
        )
        values = {
            "state": "interrupted",
            "finished_at": _now(),
            "error": LOST,
        }
        with self._database.writing() as session:
            return _change(session, run.id, unchanged, values)

    def _records(self, query: Any) -> Runs:
        with self._database.reading() as session:
            return [self._record(row) for row in session.scalars(query)]

    def _record(self, row: RunRow) -> RunRecord:
        return RunRecord(
            id=row.id,
            kind=cast("RunKind", row.kind),
            state=cast("RunState", row.state),
            preset=row.preset,
            dataset_name=row.dataset_name,
            request=row.request,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            heartbeat_at=row.heartbeat_at,
            pid=row.pid,
            pid_started_at=row.pid_started_at,
            progress=row.progress,
            stage=row.stage,
            error=row.error,
            traceback=row.traceback,
            version=row.version,
            log_path=str(self._runs_path / str(row.id) / "run.log"),
            host=row.host,
            cancel_requested=row.cancel_requested,
            cancel_requested_at=row.cancel_requested_at,
            priority=row.priority,
            place=row.place,
            parent_id=row.parent_id,
            claimed_by=row.claimed_by,
            facts=row.facts,
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _require(session: Session, run_id: int, *, lock: bool = False) -> RunRow:
    """Return a run's row, where the database locks rows `lock`ed until the transaction ends."""
    known = 0 < run_id <= LAST_ID
    row = session.get(RunRow, run_id, with_for_update=lock) if known else None
    if row is None:
        raise NotFoundError(f"There is no run {run_id}.", hint="`movierec runs` lists them.")
    return row


def _change(
    session: Session, run_id: int, condition: ColumnElement[bool], values: Mapping[str, Any]
) -> bool:
    """Update a run if the condition still holds; return whether it did."""
    query = update(RunRow).where(RunRow.id == run_id, condition).values(**values)
    changed = session.execute(query.returning(RunRow.id)).first() is not None
    session.expire_all()
    return changed


def _chosen(
    states: Sequence[RunState] | None,
    kinds: Sequence[RunKind] | None,
    presets: Sequence[str] | None,
    datasets: Sequence[str] | None,
) -> list[ColumnElement[bool]]:
    filters = (
        (RunRow.state, states),
        (RunRow.kind, kinds),
        (RunRow.preset, presets),
        (RunRow.dataset_name, datasets),
    )
    return [column.in_(values) for column, values in filters if values]


def _epoch_row(run_id: int, epoch: EpochRecord) -> EpochRow:
    measures = {name: _none_if_nan(getattr(epoch, name)) for name in _MEASURES}
    return EpochRow(run_id=run_id, epoch=epoch.epoch, is_best=epoch.is_best, **measures)


def _epoch_record(row: EpochRow) -> EpochRecord:
    measures = {name: _nan_if_none(getattr(row, name)) for name in _MEASURES}
    return EpochRecord(epoch=row.epoch, is_best=row.is_best, **measures)


def _without_nul(text: str) -> str:
    """Return what every database can keep: PostgreSQL has no NUL in texts."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _nan_if_none(value: float | None) -> float:
    return math.nan if value is None else value
