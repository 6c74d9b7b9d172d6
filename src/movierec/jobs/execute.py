"""Runs a queued job in this process and records its outcome, also after a crash."""

from __future__ import annotations

import _thread
import logging
import signal
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from movierec.errors import ArtifactError, MovierecError, StoreError
from movierec.jobs.imports import IMPORT
from movierec.jobs.kinds import Kind, Work
from movierec.jobs.measure import MEASURE
from movierec.jobs.sweep import SWEEP
from movierec.jobs.train import TRAIN, complete_epochs
from movierec.progress import Progress
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import RunRecord, RunState, Store, VersionRecord, open_store
from movierec.store.records import RunKind
from movierec.store.runs import STARTABLE

if TYPE_CHECKING:
    from movierec.training.callbacks import Hook

__all__ = ["KINDS", "Heartbeat", "execute"]

logger = logging.getLogger(__name__)

KINDS: Mapping[RunKind, Kind[Any]] = {kind.name: kind for kind in (TRAIN, IMPORT, SWEEP, MEASURE)}

BEAT_SECONDS = 1.0
LOST_SECONDS = 5.0  # work that was interrupted has let go long before
# Not SIGINT: a shell starts background jobs with it ignored, and they would never hear.
_STOP: signal.Signals = getattr(signal, "SIGUSR1", signal.SIGINT)
END_SECONDS = 60.0  # a database that is away or full for a moment must not hide how a run ended
RETRY_SECONDS = 1.0


def execute(
    settings: Settings,
    run_id: int,
    *,
    on_progress: Progress | None = None,
    hooks: Sequence[Hook] = (),
    states: Sequence[RunState] = STARTABLE,
    prepared: Any = None,
) -> RunRecord:
    """Start a run that is in one of `states`, do its work, and return its row as it ended.

    A run that was started before continues from its checkpoint, a sweep with the trials that are
    missing; any other starts anew. Ctrl-C leaves it interrupted and a cancellation cancelled;
    both keep the checkpoint, and so does a failure. `prepared` is what `Kind.prepare` loaded.

    Raises:
        StoreError: the run is in another state, or another process has taken it over.
        MovierecError: what made the run fail, once the row is written.
        KeyboardInterrupt: Ctrl-C, once the row is written.

    """
    with open_store(settings) as store:
        store.runs.mark_interrupted()
        resume = store.runs.get(run_id).started_at is not None
        run = store.runs.start(run_id, states)
        beat = Heartbeat(settings, run_id)
        tell = _both(beat.tell, on_progress)
        try:
            with beat:
                version = _do(Work(settings, store, run, tell, hooks, resume, prepared))
        except KeyboardInterrupt:
            if beat.displaced:
                raise _displaced(run_id) from None
            _stop(settings, store, run_id, "cancelled" if beat.cancelled else "interrupted")
            if store.runs.get(run_id).state == "interrupted":
                raise
        except Exception as error:
            raise _failure(store, run_id, error) from error
        else:
            _end(store, run_id, "succeeded", version=version)
        return store.runs.get(run_id)


def _both(first: Progress, second: Progress | None) -> Progress:
    def tell(stage: str, done: float) -> None:
        first(stage, done)
        if second is not None:
            second(stage, done)

    return tell


def _do(work: Work) -> str | None:
    kept = _kept_version(work.settings, work.store, work.run.id) if work.resume else None
    try:
        return kept or KINDS[work.run.kind].execute(work)
    except Exception as error:
        if _is_interruption(error):
            raise KeyboardInterrupt from error
        raise


def _is_interruption(error: BaseException) -> bool:
    """Return whether an error is what a library made of Ctrl-C on its way out, as torch does."""
    before = error.__context__
    return before is not None and (
        isinstance(before, KeyboardInterrupt) or _is_interruption(before)
    )


def _kept_version(settings: Settings, store: Store, run_id: int) -> str | None:
    """Return the version a run left if it was killed between keeping it and saying so."""
    registry = Registry(settings, store)
    registry.reconcile()
    kept = next((item.name for item in registry.summaries() if item.run_id == run_id), None)
    if kept is not None:
        _complete(store, run_id, registry.get(kept))
    return kept


def _complete(store: Store, run_id: int, version: VersionRecord) -> None:
    """See that every epoch of a version has its row, whatever the database did meanwhile."""
    complete_epochs(store, run_id, version.metadata.training_history)


def _stop(settings: Settings, store: Store, run_id: int, state: RunState) -> None:
    try:
        version = _kept_version(settings, store, run_id)
    except ArtifactError:  # the folder of versions is away: resuming looks again
        logger.warning("run=%d cannot look for its version", run_id, exc_info=True)
        version = None
    if version is None:
        _end(store, run_id, state, error="Stopped before it ended.")
    else:
        _end(store, run_id, "succeeded", version=version)


def _end(store: Store, run_id: int, state: RunState, **facts: Any) -> None:
    """Write down how a run ended, with patience; `facts` as `RunStore.finish` takes them."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        try:
            return store.runs.finish(run_id, state, **facts)
        except StoreError:
            if time.monotonic() > deadline:
                raise
            logger.warning("run=%d cannot say that it %s", run_id, state, exc_info=True)
            time.sleep(RETRY_SECONDS)


def _displaced(run_id: int) -> StoreError:
    return StoreError(
        f"Run {run_id} was taken over while this process gave no sign of life.",
        hint="It goes on elsewhere; `movierec runs watch` shows it.",
    )


def _failure(store: Store, run_id: int, error: Exception) -> MovierecError:
    """Write down why a run failed and return the error to raise."""
    logger.info("run=%d failed", run_id, exc_info=True)
    spoken = error if isinstance(error, MovierecError) else _unforeseen(run_id, error)
    lines = "".join(traceback.format_exception(error))
    _end(store, run_id, "failed", error=str(spoken), traceback=lines)
    return spoken


def _unforeseen(run_id: int, error: Exception) -> MovierecError:
    return MovierecError(
        f"Run {run_id} failed: {type(error).__name__}: {error}.",
        hint=f"`movierec runs logs {run_id}` shows where.",
    )


class Heartbeat:
    """Writes progress to the run's row every second while the work goes on.

    When somebody asks the run to stop it raises KeyboardInterrupt in the main thread, so that
    every kind of work ends the same way as with Ctrl-C; `cancelled` tells the two apart. So it
    does when the run is somebody else's by now, who took this process for dead: `displaced`.

    Python loses an interrupt that comes while it runs a destructor or a weak reference's
    callback. One that the work has not ended of a while later is raised again, Ctrl-C too.
    """

    def __init__(self, settings: Settings, run_id: int) -> None:
        self.settings = settings
        self.run_id = run_id
        self.cancelled = False
        self.displaced = False
        self._before: dict[int, Any] = {}
        self._interrupted_at: float | None = None
        self._now = ("starting", 0.0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def tell(self, stage: str, progress: float) -> None:
        """Say how far the work is, from 0 to 1."""
        self._now = (stage, progress)

    def __enter__(self) -> Self:
        with suppress(ValueError):  # elsewhere than in the main thread nothing can be interrupted
            self._before[_STOP] = signal.signal(_STOP, self._interrupt)
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupted_at = time.monotonic()
        raise KeyboardInterrupt

    def _interrupt_again(self) -> None:
        at = self._interrupted_at
        if at is not None and time.monotonic() - at > LOST_SECONDS:
            self._interrupted_at = None
            _thread.interrupt_main(_STOP)

    def _beat(self) -> None:
        while True:
            try:
                with open_store(self.settings) as store:
                    return self._write_until_the_end(store)
            except MovierecError:  # it could not be opened; the work has its own connection
                logger.info("run=%d has no heartbeat", self.run_id, exc_info=True)
                if self._ended.wait(BEAT_SECONDS):
                    return None

    def _write_until_the_end(self, store: Store) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(BEAT_SECONDS)
            if not ended:
                self._interrupt_again()
            try:
                self._write(store, listen=not ended)
            except MovierecError:
                # a busy database: the next beat is a second away
                logger.info("run=%d missed a beat", self.run_id, exc_info=True)

    def _write(self, store: Store, *, listen: bool) -> None:
        stage, progress = self._now
        ours = store.runs.beat(self.run_id, progress=progress, stage=stage)
        if not listen or self.cancelled or self.displaced:
            return
        self.displaced = not ours
        self.cancelled = ours and store.runs.cancel_requested(self.run_id)
        if self.displaced or self.cancelled:
            _thread.interrupt_main(_STOP)
