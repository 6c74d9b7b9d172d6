"""Liveness of the processes of runs and workers, on this host and on others."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from movierec.processes import is_alive, own_mark
from movierec.store.records import RunRecord, WorkerRecord

__all__ = ["Liveness", "is_worker_alive"]

HEARTBEAT_SECONDS = 15.0  # silence after which a run on another host counts as dead
CLAIM_SECONDS = 120.0  # a process may take so long from its start to its first word


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
