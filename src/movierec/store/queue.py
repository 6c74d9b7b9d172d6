"""The queue: which run is next, who takes it, and which workers there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, delete, select, update

from movierec.errors import StoreError
from movierec.processes import own_mark
from movierec.store.engine import Database
from movierec.store.records import RunRecord, RunState, WorkerRecord, worker_record
from movierec.store.run_rows import CLAIMED, CLEARED, change_run, is_worker_alive, process_columns
from movierec.store.runs import RunStore
from movierec.store.tables import RunRow, WorkerRow

__all__ = ["QueueStore", "Where"]

Where: TypeAlias = Literal["first", "up", "down", "last"]

_WAITING = (RunRow.state == "queued") & RunRow.pid.is_(None)
_ORDER = (RunRow.priority.desc(), RunRow.place, RunRow.id)
AGAIN: tuple[RunState, ...] = ("interrupted", "cancelled", "failed")


class QueueStore:
    """Queued runs in order, and the workers that take them; raises as `RunStore` does."""

    def __init__(self, database: Database, runs: RunStore) -> None:
        self._database = database
        self._runs = runs

    def waiting(self) -> list[RunRecord]:
        """Return the runs that no worker has taken, the next one first."""
        with self._database.reading() as session:
            ids = [*session.scalars(select(RunRow.id).where(_WAITING).order_by(*_ORDER))]
        return [self._runs.get(run_id) for run_id in ids]

    def is_empty(self) -> bool:
        """Return whether no run waits for a worker of this host."""
        query = select(RunRow.id).where(_takeable(own_mark().host)).limit(1)
        with self._database.reading() as session:
            return session.scalar(query) is None

    def claim(self, worker_id: int) -> RunRecord | None:
        """Take the next run for a worker of this process, or None if there is none.

        One statement finds and marks it, so that of many workers that ask one gets it; where
        the database locks rows, the others go on to the next one.
        """
        mark = own_mark()
        takeable = _takeable(mark.host)
        following = select(RunRow.id).where(takeable).order_by(*_ORDER).limit(1)
        values = {
            **process_columns(mark),
            "claimed_by": worker_id,
            "heartbeat_at": _now(),
            "stage": CLAIMED,
        }
        found = following.with_for_update(skip_locked=True).scalar_subquery()
        query = update(RunRow).where(RunRow.id == found, takeable).values(**values)
        with self._database.writing() as session:
            run_id = session.scalar(query.returning(RunRow.id))
        return None if run_id is None else self._runs.get(run_id)

    def requeue(self, run_id: int) -> RunRecord:
        """Put a run that ended without a result back into the queue; it keeps its epochs.

        Raises:
            NotFoundError: there is no such run.
            StoreError: it is waiting, running or has succeeded.

        """
        run = self._runs.get(run_id)
        values = {
            **CLEARED, "state": "queued", "host": run.kept_for, "pid": None,
            "pid_started_at": None, "claimed_by": None, "heartbeat_at": None, "stage": "",
        }  # fmt: skip
        if not self._change(run_id, RunRow.state.in_(AGAIN), values):
            raise StoreError(
                f"Run {run_id} cannot be taken up: it is {run.state}.",
                hint="Only runs that failed, were interrupted or cancelled can go on.",
            )
        return self._runs.get(run_id)

    def prioritise(self, run_id: int, priority: int) -> RunRecord:
        """Set the priority of a waiting run; higher ones are taken first."""
        self._runs.get(run_id)
        return self._moved(run_id, {"priority": priority})

    def move(self, run_id: int, where: Where) -> RunRecord:
        """Move a waiting run within those of its priority.

        Raises:
            NotFoundError: there is no such run.
            StoreError: it does not wait any more.

        """
        run = self._runs.get(run_id)
        others = [other for other in self.waiting() if other.priority == run.priority]
        places = [other.place for other in others]
        at = next((i for i, other in enumerate(others) if other.id == run_id), None)
        if at is None:
            raise self._gone(run)
        return self._moved(run_id, {"place": _place(places, at, where)})

    def add_worker(self, slots: int) -> WorkerRecord:
        """Say that this process takes runs, so many at a time."""
        mark, now = own_mark(), _now()
        row = WorkerRow(
            host=mark.host, pid=mark.pid, pid_started_at=mark.started_at, slots=slots,
            started_at=now, heartbeat_at=now,
        )  # fmt: skip
        with self._database.writing() as session:
            session.add(row)
            session.flush()
            return worker_record(row)

    def beat(self, worker: WorkerRecord) -> None:
        """Say that a worker lives; its row is back if a host with another clock dropped it."""
        with self._database.writing() as session:
            session.merge(WorkerRow(**asdict(worker) | {"heartbeat_at": _now()}))

    def remove_worker(self, worker_id: int) -> None:
        """Say that a worker takes no more runs."""
        with self._database.writing() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))

    def workers(self) -> list[WorkerRecord]:
        """Return the workers that live; the rows of others are dropped."""
        with self._database.reading() as session:
            found = [worker_record(row) for row in session.scalars(select(WorkerRow))]
        alive = [worker for worker in found if is_worker_alive(worker)]
        for worker in found:
            if worker not in alive:
                self.remove_worker(worker.id)
        return alive

    def _moved(self, run_id: int, values: dict[str, Any]) -> RunRecord:
        if not self._change(run_id, _WAITING, values):
            raise self._gone(self._runs.get(run_id))
        return self._runs.get(run_id)

    def _gone(self, run: RunRecord) -> StoreError:
        return StoreError(
            f"Run {run.id} is not waiting any more: it is {run.state}.",
            hint="Only runs that wait can be moved.",
        )

    def _change(self, run_id: int, condition: ColumnElement[bool], values: dict[str, Any]) -> bool:
        with self._database.writing() as session:
            return change_run(session, run_id, condition, values)


def _takeable(host: str) -> ColumnElement[bool]:
    """Return the condition of runs that wait for any host, or for this one alone."""
    return _WAITING & RunRow.host.in_(["", host])


def _place(places: Sequence[float], at: int, where: Where) -> float:
    """Return a place between the neighbours of where it goes."""
    target = {"first": 0, "up": at - 1, "down": at + 1, "last": len(places) - 1}[where]
    target = min(max(target, 0), len(places) - 1)
    if target == at:
        return places[at]
    if target == 0:
        return places[0] - 1
    if target == len(places) - 1:
        return places[-1] + 1
    beyond = target - 1 if target < at else target + 1
    return (places[target] + places[beyond]) / 2


def _now() -> datetime:
    return datetime.now(UTC)
