"""Runs in the calling process, for the command line and the API: rows like any other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from movierec.errors import EvaluationError, HyperparameterError, StoreError, TrainingError
from movierec.jobs.execute import KINDS, execute
from movierec.jobs.kinds import Kind
from movierec.jobs.measure import MEASURE, measurable, run_measuring
from movierec.jobs.sweep import SWEEP
from movierec.jobs.train import TRAIN
from movierec.progress import Progress
from movierec.settings import Settings
from movierec.store import RunRecord, VersionRecord, open_store
from movierec.store.records import RunKind
from movierec.store.runs import STARTABLE

if TYPE_CHECKING:
    from movierec.registry.measurements import Measurement
    from movierec.sweeps.records import SweepRecord
    from movierec.sweeps.request import SweepRequest
    from movierec.training.callbacks import Hook
    from movierec.workflows.requests import TrainRequest

__all__ = [
    "QueuedHere",
    "measure_run",
    "queue_measure",
    "queue_sweep",
    "queue_train",
    "sweep_run",
    "take_up",
    "train_run",
]

RequestT = TypeVar("RequestT")


@dataclass(frozen=True, eq=False)
class QueuedHere:
    """A run that the calling process will do, with what was loaded to be certain that it can."""

    record: RunRecord
    prepared: Any = None

    @property
    def id(self) -> int:
        """The run's number."""
        return self.record.id


def queue_train(settings: Settings, request: TrainRequest) -> QueuedHere:
    """Queue a training that the calling process will do, once it is certain that it can start.

    Raises:
        NotFoundError, SplitError, SettingsError: data, split or device do not allow it; then no
            row is written.

    """
    return _queue_here(settings, TRAIN, request)


def queue_sweep(settings: Settings, request: SweepRequest) -> QueuedHere:
    """Queue a sweep that the calling process will do, once it is certain that it can start.

    Raises:
        NotFoundError, SplitError, SettingsError: data, split or device do not allow it; then
            nothing is written.
        StoreError: the name is of another sweep or of one that a run works on.

    """
    return _queue_here(settings, SWEEP, request)


def queue_measure(settings: Settings, names: Sequence[str]) -> QueuedHere:
    """Queue a measuring that the calling process will do.

    Raises:
        MovierecError: as for `submit_measure`; StoreError also when a run measures them already.

    """
    with open_store(settings) as store:
        request = measurable(settings, store, names)
        other = run_measuring(store, request)
    if other is not None:
        raise StoreError(
            f"Run {other.id} measures these versions or waits to.",
            hint=f"Follow it: `movierec runs watch {other.id}`.",
        )
    return _queue_here(settings, MEASURE, request)


def _queue_here(settings: Settings, kind: Kind[RequestT], request: RequestT) -> QueuedHere:
    request, prepared = kind.prepare(settings, request)
    with open_store(settings) as store:
        run = kind.add(settings, store, request)
        store.runs.assign(run.id, os.getpid())
    return QueuedHere(run, prepared)


def take_up(settings: Settings, run_id: int, kind: RunKind = "train") -> QueuedHere:
    """Return a training or a sweep that was started, did not end well and can be resumed.

    Raises:
        NotFoundError: there is no such run.
        HyperparameterError: it is of another kind.
        StoreError: it is running or has succeeded.

    """
    with open_store(settings) as store:
        store.runs.mark_interrupted()
        run = store.runs.get(run_id)
    if run.kind != kind:
        found = KINDS[run.kind]
        raise HyperparameterError(
            f"Run {run_id} is {found.title}.", hint=f"Use {found.instead.format(run_id)}."
        )
    if run.state not in STARTABLE:
        done = f"it became version {run.version}" if run.version else f"it is {run.state}"
        raise StoreError(
            f"Run {run_id} cannot be taken up: {done}.",
            hint="`movierec train` or `movierec sweep` without --resume starts a new one.",
        )
    return QueuedHere(run)


def train_run(
    settings: Settings,
    run_id: int,
    *,
    prepared: Any = None,
    on_progress: Progress | None = None,
    hooks: Sequence[Hook] = (),
) -> VersionRecord:
    """Do a training in this process and return its version.

    Raises:
        MovierecError: what made it fail.
        TrainingError: it was cancelled.
        KeyboardInterrupt: Ctrl-C; the checkpoint of the last epoch stays.

    """
    run = execute(settings, run_id, on_progress=on_progress, hooks=hooks, prepared=prepared)
    if run.version is None:
        raise TrainingError(_ended(run), hint=f"Go on with `movierec train --resume {run.id}`.")
    with open_store(settings) as store:
        return store.versions.get(run.version)


def sweep_run(
    settings: Settings,
    run_id: int,
    *,
    prepared: Any = None,
    on_progress: Progress | None = None,
    hooks: Sequence[Hook] = (),
) -> SweepRecord:
    """Do a sweep in this process and return it with its trials.

    Raises:
        MovierecError: what made it fail.
        TrainingError: it was cancelled.
        KeyboardInterrupt: Ctrl-C; the finished trials stay.

    """
    from movierec.sweeps.report import sweep_record

    run = execute(settings, run_id, on_progress=on_progress, hooks=hooks, prepared=prepared)
    if run.state != "succeeded":
        raise TrainingError(_ended(run), hint=f"Go on with `movierec sweep --resume {run.id}`.")
    return sweep_record(settings, run.request["name"])


def measure_run(
    settings: Settings, run_id: int, *, on_progress: Progress | None = None
) -> Measurement:
    """Measure versions in this process and return what was found.

    Raises:
        MovierecError: what made it fail.
        EvaluationError: it was cancelled.
        KeyboardInterrupt: Ctrl-C; nothing is kept.

    """
    from movierec.workflows.measure import measure_together

    run = execute(settings, run_id, on_progress=on_progress)
    if run.state != "succeeded":
        raise EvaluationError(_ended(run), hint=f"Try it again: `movierec runs resume {run.id}`.")
    # kept by the run: it is read, not measured again
    return measure_together(settings, run.request["versions"])


def _ended(run: RunRecord) -> str:
    return f"Run {run.id} was {run.state} before it ended."
