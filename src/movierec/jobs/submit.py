"""Adding runs to the queue and changing what waits there. Imports no torch: the pages call this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from movierec.errors import StoreError
from movierec.jobs.launch import only_host
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
    "submit_train",
]


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

    with open_store(settings) as store:
        name = store.datasets.get(dataset).name
        checked = TrainRequest.of(**request, preset=preset, dataset=name)
        fields = checked.model_dump(mode="json")
        run = store.runs.add(
            "train", preset=preset, dataset_name=name, request=fields,
            priority=priority, parent_id=parent_id,
        )  # fmt: skip
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
    request = {
        "data_set": data_set,
        "path": None if path is None else str(path),
        "columns": None if columns is None else dict(columns),
        "name": name,
    }
    shown = name or (Path(path).stem if path else data_set)
    with open_store(settings) as store:
        run = store.runs.add(
            "import", dataset_name=shown, request=request,
            kept_for=only_host(settings) if path else "",
        )  # fmt: skip
    ensure_worker(settings)
    return run


def cancel(settings: Settings, run_id: int) -> RunRecord:
    """Ask a run to stop; its process sees it within about a second, a waiting one ends at once.

    A worker kills one that does not hear.
    """
    with open_store(settings) as store:
        run = store.runs.request_cancel(run_id)
    ensure_worker(settings)
    return run


def resume(settings: Settings, run_id: int) -> RunRecord:
    """Put a failed, interrupted or cancelled run back into the queue.

    A training goes on from its last checkpoint, a sweep with the trials that are missing, an
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
    if run.kind != "train":
        raise _no_training(run)
    merged = {**run.request.get("hyperparameters", {}), **changes.pop("hyperparameters", {})}
    request = {**run.request, **changes, "hyperparameters": merged}
    return submit_train(settings, **request, priority=run.priority, parent_id=run_id)


def _no_training(run: RunRecord) -> StoreError:
    if run.kind == "sweep":
        name = run.request["name"]
        return StoreError(
            f"Run {run.id} is a sweep; only trainings are cloned.",
            hint=f"`movierec sweep --name {name}` does more trials of it.",
        )
    if run.kind == "evaluate":
        names = " ".join(run.request["versions"])
        return StoreError(
            f"Run {run.id} measures versions together; only trainings are cloned.",
            hint=f"`movierec versions measure {names}` measures them, where it is not done yet.",
        )
    return StoreError(
        f"Run {run.id} is an import; only trainings are cloned.",
        hint="Use `movierec data fetch` or `movierec data import`.",
    )


def move(settings: Settings, run_id: int, where: Where) -> RunRecord:
    """Move a waiting run within those of its priority; StoreError when it does not wait."""
    with open_store(settings) as store:
        return store.queue.move(run_id, where)


def set_priority(settings: Settings, run_id: int, priority: int) -> RunRecord:
    """Set the priority of a waiting run, higher first; StoreError when it does not wait."""
    with open_store(settings) as store:
        return store.queue.prioritise(run_id, priority)
