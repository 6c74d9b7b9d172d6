"""Doing a run in this process, and leaving its row true whatever happens."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from movierec.errors import MovierecError
from movierec.jobs.heartbeat import Heartbeat
from movierec.settings import Settings
from movierec.store import EpochRecord, RunRecord, RunState, Store, open_store
from movierec.training.hooks import EpochResult, Hook, Plan
from movierec.workflows.requests import TrainRequest

__all__ = ["Watcher", "execute"]

logger = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
TRAIN_SHARE = (0.02, 0.90)  # where training starts and how much of the bar it takes


class Watcher:
    """A training hook that keeps the run's row, its epochs and a progress bar up to date."""

    def __init__(self, store: Store, run_id: int, tell: Progress) -> None:
        self.store = store
        self.run_id = run_id
        self.tell = tell
        self.plan: Plan | None = None

    def on_start(self, plan: Plan) -> None:
        """Remember how much there is to do."""
        self.plan = plan

    def on_step(self, epoch: int, step: int) -> None:
        """Move the bar."""
        if self.plan is None:
            return
        done = (epoch - 1 + step / self.plan.steps_per_epoch) / self.plan.epochs
        start, share = TRAIN_SHARE
        self.tell(f"epoch {epoch} of {self.plan.epochs}", start + share * done)

    def on_epoch(self, result: EpochResult) -> None:
        """Keep the epoch as a row."""
        self.store.runs.add_epoch(self.run_id, EpochRecord(**result.as_dict()))


def execute(
    settings: Settings,
    run_id: int,
    *,
    on_progress: Progress | None = None,
    hooks: Sequence[Hook] = (),
    resume: bool = False,
) -> RunRecord:
    """Take a queued or interrupted run and do it; return its row as it ended.

    Ctrl-C leaves it interrupted and a cancellation cancelled; both keep the checkpoint.

    Raises:
        StoreError: the run is already running or has succeeded.
        KeyboardInterrupt: Ctrl-C, once the row is written.

    """
    with open_store(settings) as store:
        run = store.runs.start(run_id)
        beat = Heartbeat(settings, run_id)

        def tell(stage: str, done: float) -> None:
            beat.tell(stage, done)
            if on_progress is not None:
                on_progress(stage, done)

        try:
            with beat:
                version = _WORK[run.kind](settings, store, run, tell, hooks, resume)
        except KeyboardInterrupt:
            state: RunState = "cancelled" if beat.cancelled else "interrupted"
            store.runs.finish(run_id, state, error="Stopped before it ended.")
            if not beat.cancelled:
                raise
        except Exception as error:
            _fail(store, run_id, error)
        else:
            store.runs.finish(run_id, "succeeded", version=version)
        return store.runs.get(run_id)


def _fail(store: Store, run_id: int, error: Exception) -> None:
    logger.exception("run=%d failed", run_id)
    expected = isinstance(error, MovierecError)
    message = str(error) if expected else f"{type(error).__name__}: {error}"
    store.runs.finish(
        run_id, "failed", error=message, traceback="".join(traceback.format_exception(error))
    )


def _train(
    settings: Settings,
    store: Store,
    run: RunRecord,
    tell: Progress,
    hooks: Sequence[Hook],
    resume: bool,
) -> str:
    from movierec.workflows.train import train

    request = TrainRequest.of(**run.request)
    watcher = Watcher(store, run.id, tell)
    record = train(
        request, settings,
        hooks=(watcher, *hooks), on_progress=tell, run_id=run.id, resume=resume,
    )  # fmt: skip
    return record.name


def _import(
    settings: Settings,
    store: Store,  # noqa: ARG001 - imports open their own
    run: RunRecord,
    tell: Progress,
    hooks: Sequence[Hook],  # noqa: ARG001
    resume: bool,  # noqa: ARG001
) -> None:
    from movierec.data.formats import ColumnChoice
    from movierec.workflows.data import fetch_and_import, import_data

    request: Mapping[str, Any] = run.request
    if request["path"] is None:
        fetch_and_import(settings, request["data_set"], on_progress=tell)
        return
    columns = ColumnChoice(**request["columns"]) if request["columns"] else None
    path = Path(request["path"])
    import_data(path, settings, name=request["name"], columns=columns, on_progress=tell)


_WORK: Mapping[str, Callable[..., str | None]] = {"train": _train, "import": _import}
