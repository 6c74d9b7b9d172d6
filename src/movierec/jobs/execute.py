"""Doing a run in this process, and leaving its row true whatever happens."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from movierec.errors import ArtifactError, MovierecError, StoreError
from movierec.jobs.heartbeat import Heartbeat
from movierec.jobs.sweeps import trials_goal
from movierec.jobs.watcher import Progress, Watcher, complete_epochs
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import RunRecord, RunState, Store, VersionRecord, open_store
from movierec.store.runs import STARTABLE
from movierec.training.callbacks import Hook
from movierec.workflows.requests import TrainRequest

__all__ = ["execute"]

logger = logging.getLogger(__name__)

END_SECONDS = 60.0  # a database that is away or full for a moment must not hide how a run ended
RETRY_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class _Work:
    """What the doing of one run needs."""

    settings: Settings
    store: Store
    run: RunRecord
    tell: Progress
    hooks: Sequence[Hook]
    resume: bool


def execute(
    settings: Settings,
    run_id: int,
    *,
    on_progress: Progress | None = None,
    hooks: Sequence[Hook] = (),
    states: Sequence[RunState] = STARTABLE,
) -> RunRecord:
    """Take a run that is in one of `states`, do it, and return its row as it ended.

    A run that was started before goes on from its checkpoint, a sweep with the trials that are
    missing; any other starts anew. Ctrl-C leaves it interrupted and a cancellation cancelled;
    both keep the checkpoint, and so does a failure.

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
                version = _do(_Work(settings, store, run, tell, hooks, resume))
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


def _do(work: _Work) -> str | None:
    kept = _kept_version(work.settings, work.store, work.run.id) if work.resume else None
    try:
        return kept or _KINDS[work.run.kind](work)
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
    kept = next((item for item in registry.list() if item.run_id == run_id), None)
    if kept is None:
        return None
    _complete(store, run_id, kept)
    return kept.name


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


def _train(work: _Work) -> str:
    from movierec.workflows.train import train

    request = TrainRequest.of(**work.run.request)
    watcher = Watcher(work.store, work.run.id, work.tell)
    record = train(
        request, work.settings, hooks=(watcher, *work.hooks),
        on_progress=work.tell, run_id=work.run.id, resume=work.resume,
    )  # fmt: skip
    _complete(work.store, work.run.id, record)
    return record.name


def _import(work: _Work) -> None:
    from movierec.data.formats.detect import ColumnChoice
    from movierec.workflows.data import fetch_and_import, import_data

    request = work.run.request
    if request["path"] is None:
        fetch_and_import(work.settings, request["data_set"], on_progress=work.tell)
        return
    columns = ColumnChoice(**request["columns"]) if request["columns"] else None
    import_data(
        Path(request["path"]), work.settings,
        name=request["name"], columns=columns, on_progress=work.tell,
    )  # fmt: skip


def _sweep(work: _Work) -> None:
    from movierec.sweeps.request import SweepRequest
    from movierec.sweeps.run import sweep

    request = SweepRequest.of(**work.run.request)
    goal = trials_goal(work.settings, work.store, work.run)
    sweep(request, work.settings, hooks=work.hooks, on_progress=work.tell, goal=goal)


def _evaluate(work: _Work) -> None:
    from movierec.workflows.measure import measure_together

    found = measure_together(
        work.settings, work.run.request["versions"], on_progress=work.tell
    ).ground
    facts = {"measured_on": found.split_label, "ratings": found.n_ratings, "users": found.n_users}
    work.store.runs.tell(work.run.id, facts)


_KINDS: Mapping[str, Callable[[_Work], str | None]] = {
    "train": _train, "import": _import, "sweep": _sweep, "evaluate": _evaluate,
}  # fmt: skip
