"""The worker: takes runs from the queue and does each in a process of its own.

`python -m movierec.jobs.worker` is the one that starts by itself: it ends when there has been
nothing to do for a while. `movierec worker` stays.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from movierec.errors import MovierecError, StoreError
from movierec.jobs.process import start_process, start_run
from movierec.jobs.retention import (
    drop_expired_versions,
    drop_old_checkpoints,
    push_waiting_versions,
)
from movierec.processes import is_alive, own_mark
from movierec.runtime import configure_logging
from movierec.settings import Settings, load_settings
from movierec.store import RunRecord, Store, WorkerRecord, open_store
from movierec.store.run_rows import CLAIMED

__all__ = ["Worker", "ensure_worker", "main"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
BEAT_SECONDS = 5.0
LOCK_SECONDS = 5.0  # a worker that is just ending gives its lock back within this
Happened = Callable[[str], None]


def ensure_worker(settings: Settings) -> None:
    """Start a worker on this host if there is something to do and none lives here.

    Cheap enough to be asked at every poll of a page. Of several that are started at once one
    stays.

    Raises:
        StoreError: the worker cannot be started.

    """
    with open_store(settings) as store:
        if not _is_needed(store) or _here(store):
            return
    try:
        process = start_process(settings, "movierec.jobs.worker", log=_log(settings))
    except OSError as error:
        raise StoreError(
            f"The worker cannot be started: {error}.",
            hint="Check free memory and disk space; the run waits in the queue.",
        ) from error
    # a child that nobody waits for stays as a zombie until this process ends
    threading.Thread(target=process.wait, name="worker", daemon=True).start()


class Worker:
    """Takes runs in the queue's order, `slots` at a time, until it is told to stop.

    A run whose process was left by a worker that died takes one of the slots until it ends.
    """

    def __init__(
        self, settings: Settings, *, slots: int | None = None, idle: float | None = None,
        happened: Happened = logger.info,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.slots = slots or settings.worker_slots
        self.idle = idle
        self.happened = happened
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._cancelled_at: dict[int, float] = {}
        self._trouble = ""
        self._stop = threading.Event()
        self._busy_at = self._beat_at = time.monotonic()

    def work(self) -> None:
        """Take runs until `stop` is called, or until there was nothing to do for `idle` seconds."""
        with open_store(self.settings) as store:
            me = store.queue.add_worker(self.slots)
            try:
                drop_old_checkpoints(self.settings, store)
                drop_expired_versions(self.settings, store)
                push_waiting_versions(self.settings)
                self._loop(store, me)
            finally:
                store.queue.remove_worker(me.id)

    def stop(self) -> None:
        """Take no more runs; those under way end as they would."""
        self._stop.set()

    def interrupt(self) -> None:
        """Ask the runs under way to end now; they can be resumed."""
        for child in self._children.values():
            child.send_signal(signal.SIGINT)

    def _loop(self, store: Store, me: WorkerRecord) -> None:
        while True:
            try:
                self._turn(store, me)
                self._trouble = ""
            except MovierecError as error:
                # a database that is busy or away for a moment: nothing is lost by waiting
                self._complain(me, str(error))
            if self._is_done():
                return
            self._stop.wait(POLL_SECONDS)
            if self._stop.is_set() and self._children:
                time.sleep(POLL_SECONDS)

    def _complain(self, me: WorkerRecord, trouble: str) -> None:
        """Say once what goes wrong at every turn: a database may be away for hours."""
        if trouble != self._trouble:
            logger.warning("worker=%d could not look at the queue: %s", me.id, trouble)
        self._trouble = trouble

    def _is_done(self) -> bool:
        if self._children:
            return False
        rested = time.monotonic() - self._busy_at
        return self._stop.is_set() or (self.idle is not None and rested > self.idle)

    def _turn(self, store: Store, me: WorkerRecord) -> None:
        if time.monotonic() - self._beat_at > BEAT_SECONDS:
            store.queue.beat(me)
            self._beat_at = time.monotonic()
        self._reap(store)
        active = store.runs.active()
        self._kill_unresponsive(store, active)
        taken = len(self._children) + self._orphans(store, active)
        while taken < self.slots and not self._stop.is_set() and self._take(store, me, active):
            taken += 1
        if taken:
            self._busy_at = time.monotonic()

    def _take(self, store: Store, me: WorkerRecord, active: list[RunRecord]) -> bool:
        run = self._unstarted(me, active)
        if run is None and not store.queue.is_empty():
            run = store.queue.claim(me.id)
        if run is None:
            return False
        try:
            child = start_run(self.settings, run)
        except OSError as error:
            message = f"Its process could not start: {error}. Check free memory and disk space."
            store.runs.finish(run.id, "failed", error=message)
            return False
        self._children[run.id] = child
        store.runs.assign(run.id, child.pid)
        self.happened(f"run {run.id} started")
        return True

    def _unstarted(self, me: WorkerRecord, active: list[RunRecord]) -> RunRecord | None:
        """Return a run that is claimed though the database went away before it said so."""
        claimed = (run for run in active if run.claimed_by == me.id and run.stage == CLAIMED)
        return next((run for run in claimed if run.id not in self._children), None)

    def _reap(self, store: Store) -> None:
        for run_id, child in [*self._children.items()]:
            if child.poll() is not None:
                del self._children[run_id]
                self.happened(f"run {run_id} ended")
        store.runs.mark_interrupted()

    def _orphans(self, store: Store, active: list[RunRecord]) -> int:
        """Return how many runs of this host go on that a worker began which is gone."""
        host, living = own_mark().host, {worker.id for worker in store.queue.workers()}
        mine = (run for run in active if run.host == host and run.claimed_by is not None)
        return sum(run.id not in self._children and run.claimed_by not in living for run in mine)

    def _kill_unresponsive(self, store: Store, active: list[RunRecord]) -> None:
        """Kill runs of this host that were asked to stop long ago, as code that cannot hear it.

        It is this process's own clock that counts: the other one may be set.
        """
        now, host = time.monotonic(), own_mark().host
        asked = [run for run in active if run.cancel_requested and run.host == host]
        self._cancelled_at = {run.id: self._cancelled_at.get(run.id, now) for run in asked}
        for run in asked:
            if now - self._cancelled_at[run.id] > self.settings.cancel_grace:
                self._kill(store, run)

    def _kill(self, store: Store, run: RunRecord) -> None:
        child = self._children.get(run.id)
        if run.pid is None or (child is None and run.claimed_by is None):
            return  # somebody's terminal: theirs to end
        # its row first: between the two nobody finds it dead, and a living process would notice
        message = f"Killed: it did not stop within {self.settings.cancel_grace:g} s."
        store.runs.finish(run.id, "cancelled", error=message)
        if run.pid_started_at is not None and is_alive(run.pid, run.pid_started_at):
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
        self.happened(f"run {run.id} killed")


def main() -> int:
    """Work as the one worker of this host that started by itself."""
    configure_logging()
    settings = load_settings()
    try:
        lock = FileLock(_lock_path(settings), timeout=LOCK_SECONDS)
        with lock:
            worker = Worker(settings, idle=settings.worker_idle)
            signal.signal(signal.SIGTERM, lambda *_: worker.stop())
            worker.work()
    except Timeout:
        return 0  # there is one
    except MovierecError as error:
        logger.error("%s", error)
        return error.exit_code
    # a run that was added while this one ended saw a worker that took no more
    ensure_worker(settings)
    return 0


def _is_needed(store: Store) -> bool:
    """Return whether a run waits, or one that lost its worker was asked to stop."""
    if not store.queue.is_empty():
        return True
    mine = (run for run in store.runs.active() if run.host == own_mark().host)
    return any(run.cancel_requested and run.claimed_by is not None for run in mine)


def _here(store: Store) -> bool:
    host = own_mark().host
    return any(worker.host == host for worker in store.queue.workers())


def _log(settings: Settings) -> Path:
    return settings.runs_path / f"worker-{own_mark().host}.log"


def _lock_path(settings: Settings) -> Path:
    return settings.runs_path / f".worker-{own_mark().host}.lock"


if __name__ == "__main__":
    sys.exit(main())
