"""Rows of runs: finding and changing one, their filters, and whether their processes live."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from movierec.errors import NotFoundError
from movierec.processes import ProcessMark, is_alive, own_mark
from movierec.store.records import RunKind, RunRecord, RunState, WorkerRecord
from movierec.store.tables import RunRow

__all__ = [
    "CLAIMED",
    "CLEARED",
    "LAST_ID",
    "Liveness",
    "change_run",
    "chosen_runs",
    "is_worker_alive",
    "process_columns",
    "require_run",
]

LAST_ID = 2**31 - 1  # what the column holds; PostgreSQL refuses to look for more
CLAIMED = "claimed"  # the stage of a run that a worker has taken and not yet begun
HEARTBEAT_SECONDS = 15.0  # silence after which a run on another host counts as dead
CLAIM_SECONDS = 120.0  # a process may take so long from its start to its first word
# what a run that is started or queued again no longer has
CLEARED: Mapping[str, Any] = MappingProxyType(
    {
        "finished_at": None,
        "error": "",
        "traceback": "",
        "cancel_requested": False,
        "cancel_requested_at": None,
    }
)


def process_columns(mark: ProcessMark) -> dict[str, Any]:
    """Return the columns that name a run's process."""
    return {"host": mark.host, "pid": mark.pid, "pid_started_at": mark.started_at}


def require_run(session: Session, run_id: int, *, lock: bool = False) -> RunRow:
    """Return a run's row, where the database locks rows `lock`ed until the transaction ends."""
    known = 0 < run_id <= LAST_ID
    row = session.get(RunRow, run_id, with_for_update=lock) if known else None
    if row is None:
        raise NotFoundError(f"There is no run {run_id}.", hint="`movierec runs` lists them.")
    return row


def change_run(
    session: Session, run_id: int, condition: ColumnElement[bool], values: Mapping[str, Any]
) -> bool:
    """Update a run if the condition still holds; return whether it did."""
    query = update(RunRow).where(RunRow.id == run_id, condition).values(**values)
    changed = session.execute(query.returning(RunRow.id)).first() is not None
    session.expire_all()
    return changed


def chosen_runs(
    states: Sequence[RunState] | None,
    kinds: Sequence[RunKind] | None,
    presets: Sequence[str] | None,
    datasets: Sequence[str] | None,
) -> list[ColumnElement[bool]]:
    """Return the conditions of the filters that are given."""
    filters = (
        (RunRow.state, states),
        (RunRow.kind, kinds),
        (RunRow.preset, presets),
        (RunRow.dataset_name, datasets),
    )
    return [column.in_(values) for column, values in filters if values]


class Liveness:
    """Judges whether the process of a run is gone; remembers the heartbeats it has seen."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[datetime | None, float]] = {}

    def is_dead(self, run: RunRecord) -> bool:
        """Return whether a run has a process that is gone.

        On this host the process is looked up; on another one the heartbeat decides.
        """
        if run.pid is None:
            return False
        if run.host == own_mark().host and run.pid_started_at is not None:
            return not is_alive(run.pid, run.pid_started_at)
        return self._is_silent(run)

    def _is_silent(self, run: RunRecord) -> bool:
        """Return whether a run of another host gives no more sign of life.

        At first sight its last one is too old. From then on it must change now and then, by
        this process's own clock: clocks of two hosts differ, and clocks are set.
        """
        last = run.heartbeat_at or run.created_at
        patience = CLAIM_SECONDS if run.is_claimed else HEARTBEAT_SECONDS
        seen, since = self._seen.get(run.id, (None, 0.0))
        if seen != last:
            self._seen[run.id] = (last, time.monotonic())
            return seen is None and _age(last) > patience
        return time.monotonic() - since > patience


def is_worker_alive(worker: WorkerRecord) -> bool:
    """Return whether a worker lives; one of another host when its heartbeat is recent."""
    if worker.host == own_mark().host:
        return is_alive(worker.pid, worker.pid_started_at)
    return abs(_age(worker.heartbeat_at)) < 4 * HEARTBEAT_SECONDS


def _age(moment: datetime) -> float:
    return (_now() - moment).total_seconds()


def _now() -> datetime:
    return datetime.now(UTC)
