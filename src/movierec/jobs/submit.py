"""Queue runs for the worker, and change what waits. Imports no torch: the pages call this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from movierec.jobs.execute import KINDS
from movierec.jobs.imports import IMPORT, ImportRequest
from movierec.jobs.kinds import Kind
from movierec.jobs.measure import MEASURE, measurable, run_measuring
from movierec.jobs.sweep import SWEEP
from movierec.jobs.train import TRAIN
from movierec.jobs.worker import ensure_worker
from movierec.settings import Settings
from movierec.store import RunRecord, open_store
from movierec.store.queue import Where

__all__ = [
    "cancel",
    "clone",
    "move",
    "resume",
    "set_priority",
    "submit_import",
    "submit_measure",
    "submit_sweep",
    "submit_train",
]

RequestT = TypeVar("RequestT")


def submit_train(
    settings: Settings,
    preset: str = "default",
    dataset: str | None = None,
    *,
    priority: int = 0,
    parent_id: int | None = None,
    **request: Any,
) -> RunRecord:
    """Queue a training, and see that there is a worker.

    `request` holds further fields of `workflows.requests.TrainRequest`, as plain data.

    Raises:
        HyperparameterError: the request asks for what cannot be.
        NotFoundError: there is no such data set.
        StoreError: the database cannot be written or no worker can be started.

    """
    from movierec.workflows.requests import TrainRequest

    checked = TrainRequest.of(**request, preset=preset, dataset=dataset)
    return _submit(settings, TRAIN, checked, priority, parent_id)


def submit_sweep(settings: Settings, *, priority: int = 0, **request: Any) -> RunRecord:
    """Queue a sweep, and see that there is a worker.

    `request` holds fields of `sweeps.request.SweepRequest`, as plain data. A new sweep is there
    from now on, without trials; one that exists gets `trials` more.

    Raises:
        HyperparameterError: the request asks for what cannot be.
        NotFoundError: there is no such data set.
        StoreError: the name is of another sweep or of one that a run works on, the database
            cannot be written or no worker can be started.

    """
    from movierec.sweeps.request import SweepRequest

    return _submit(settings, SWEEP, SweepRequest.of(**request), priority)


def submit_measure(settings: Settings, names: Sequence[str], priority: int = 0) -> RunRecord:
    """Queue the measuring of versions on ratings none of them has seen; see that there is a worker.

    Of versions that a run measures together already, or waits to, that run is returned.

    Raises:
        HyperparameterError: there are fewer than two versions, or one twice.
        NotFoundError: there is no such version.
        EvaluationError: they were trained on different data, or on tasks that differ.
        StoreError: the database cannot be written or no worker can be started.

    """
    with open_store(settings) as store:
        request = measurable(settings, store, names)
        run = run_measuring(store, request)
    if run is None:
        return _submit(settings, MEASURE, request, priority)
    ensure_worker(settings)
    return run


def submit_import(
    settings: Settings,
    data_set: str = "ml-100k",
    path: str | Path | None = None,
    columns: Mapping[str, str | None] | None = None,
    name: str | None = None,
) -> RunRecord:
    """Queue an import, and see that there is a worker.

    Without a path the data set called `data_set` is fetched. `columns` names the columns of a
    ratings table: `user`, `movie`, `rating` and, optionally, `timestamp`. A file is imported on
    this machine, which has it, whoever else takes runs from the same queue.
    """
    request = ImportRequest(
        data_set=data_set,
        path=None if path is None else str(path),
        columns=None if columns is None else dict(columns),
        name=name,
    )
    return _submit(settings, IMPORT, request)


def _submit(
    settings: Settings, kind: Kind[RequestT], request: RequestT,
    priority: int = 0, parent_id: int | None = None,
) -> RunRecord:  # fmt: skip
    with open_store(settings) as store:
        run = kind.add(settings, store, request, priority=priority, parent_id=parent_id)
    ensure_worker(settings)
    return run


def cancel(settings: Settings, run_id: int) -> RunRecord:
    """Ask a run to stop; its process sees it within about a second, a waiting one ends at once.

    A worker kills a process that does not react.
    """
    with open_store(settings) as store:
        run = store.runs.request_cancel(run_id)
    ensure_worker(settings)
    return run


def resume(settings: Settings, run_id: int) -> RunRecord:
    """Put a failed, interrupted or cancelled run back into the queue.

    A training continues from its last checkpoint, a sweep with the trials that are missing, an
    import or the measuring of versions starts from the beginning.

    Raises:
        NotFoundError: there is no such run.
        StoreError: it is waiting, running or has succeeded.

    """
    with open_store(settings) as store:
        store.runs.mark_interrupted()
        run = store.queue.requeue(run_id)
    ensure_worker(settings)
    return run


def clone(settings: Settings, run_id: int, **changes: Any) -> RunRecord:
    """Queue a training like an earlier one, with some fields changed.

    `changes` are fields of `TrainRequest`; `hyperparameters` are merged name by name.

    Raises:
        HyperparameterError: the changes cannot be.
        NotFoundError: there is no such run, or its data set is gone.
        StoreError: the run is no training.

    """
    with open_store(settings) as store:
        run = store.runs.get(run_id)
    refusal = KINDS[run.kind].clone_refusal(run)
    if refusal is not None:
        raise refusal
    merged = {**run.request.get("hyperparameters", {}), **changes.pop("hyperparameters", {})}
    request = {**run.request, **changes, "hyperparameters": merged}
    return submit_train(settings, **request, priority=run.priority, parent_id=run_id)


def move(settings: Settings, run_id: int, where: Where) -> RunRecord:
    """Move a waiting run within those of its priority; StoreError when it does not wait."""
    with open_store(settings) as store:
        return store.queue.move(run_id, where)


def set_priority(settings: Settings, run_id: int, priority: int) -> RunRecord:
    """Set the priority of a waiting run, higher first; StoreError when it does not wait."""
    with open_store(settings) as store:
        return store.queue.prioritise(run_id, priority)
