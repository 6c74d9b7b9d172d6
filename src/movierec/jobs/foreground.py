"""Trainings in the calling process: runs like any other, for the command line and the API."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from movierec.errors import HyperparameterError, StoreError, TrainingError
from movierec.jobs.watcher import Progress
from movierec.settings import Settings
from movierec.store import RunRecord, VersionRecord, open_store
from movierec.store.records import RunKind
from movierec.store.runs import STARTABLE

if TYPE_CHECKING:
    from movierec.training.callbacks import Hook
    from movierec.workflows.requests import TrainRequest

__all__ = ["queue_train", "take_up", "train_run"]

# what a run is, and how one goes on with it
_KINDS: Mapping[RunKind, tuple[str, str]] = {
    "train": ("a training", "`movierec train --resume {}`"),
    "sweep": ("a sweep", "`movierec sweep --resume {}`"),
    "import": (
        "an import, which starts from the beginning",
        "`movierec data fetch` or `movierec data import`",
    ),
    "evaluate": (
        "a measuring of versions, which starts from the beginning",
        "`movierec runs resume {}`",
    ),
}


def queue_train(settings: Settings, request: TrainRequest) -> RunRecord:
    """Queue a training that the calling process will do, once it is certain that it can start.

    Raises:
        NotFoundError, SplitError, SettingsError: data, split or device do not allow it; then no
            row is written.

    """
    from movierec.workflows.train import prepared

    ready = prepared(request, settings)
    with open_store(settings) as store:
        run = store.runs.add(
            "train",
            preset=ready.preset,
            dataset_name=ready.dataset or "",
            request=ready.model_dump(mode="json"),
        )
        store.runs.assign(run.id, os.getpid())
    return run


def take_up(settings: Settings, run_id: int, kind: RunKind = "train") -> RunRecord:
    """Return a training or a sweep that was started, did not end well and can go on.

    Raises:
        NotFoundError: there is no such run.
        HyperparameterError: it is of another kind.
        StoreError: it is running or has succeeded.

    """
    with open_store(settings) as store:
        store.runs.mark_interrupted()
        run = store.runs.get(run_id)
    if run.kind != kind:
        what, instead = _KINDS[run.kind]
        raise HyperparameterError(f"Run {run_id} is {what}.", hint=f"Use {instead.format(run_id)}.")
    if run.state not in STARTABLE:
        done = f"it became version {run.version}" if run.version else f"it is {run.state}"
        raise StoreError(
            f"Run {run_id} cannot be taken up: {done}.",
            hint="`movierec train` or `movierec sweep` without --resume starts a new one.",
        )
    return run


def train_run(
    settings: Settings,
    run_id: int,
    *,
    on_progress: Progress | None = None,
    hooks: Sequence[Hook] = (),
) -> VersionRecord:
    """Do a queued or taken up training here and return its version.

    Raises:
        MovierecError: what made it fail.
        TrainingError: somebody cancelled it.
        KeyboardInterrupt: Ctrl-C; the checkpoint of the last epoch stays.

    """
    from movierec.jobs.execute import execute

    run = execute(settings, run_id, on_progress=on_progress, hooks=hooks)
    if run.version is None:
        raise TrainingError(
            f"Run {run.id} was {run.state} before it ended.",
            hint=f"Go on with `movierec train --resume {run.id}`.",
        )
    with open_store(settings) as store:
        return store.versions.get(run.version)
