"""Sweeps as runs: queued for the worker or for the calling process. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from movierec.errors import StoreError, TrainingError
from movierec.jobs.launch import only_host
from movierec.jobs.worker import ensure_worker
from movierec.progress import Progress
from movierec.settings import Settings
from movierec.store import RunRecord, Store, open_store
from movierec.workflows.engines import require_ray

if TYPE_CHECKING:
    from movierec.sweeps.records import SweepRecord
    from movierec.sweeps.request import SweepRequest
    from movierec.training.callbacks import Hook

__all__ = ["queue_sweep", "submit_sweep", "sweep_run", "trials_goal"]


def submit_sweep(settings: Settings, *, priority: int = 0, **request: Any) -> RunRecord:
    """Queue a sweep, and see that there is a worker.

    `request` holds fields of `workflows.sweep_request.SweepRequest`, as plain data. A new sweep
    is there from now on, without trials; one that exists gets `trials` more.

    Raises:
        HyperparameterError: the request asks for what cannot be.
        NotFoundError: there is no such data set.
        StoreError: the name is of another sweep or of one that a run works on, the database
            cannot be written or no worker can be started.

    """
    from movierec.sweeps.request import SweepRequest

    asked = SweepRequest.of(**request)
    with open_store(settings) as store:
        run = _added(settings, store, asked, priority)
    ensure_worker(settings)
    return run


def queue_sweep(settings: Settings, request: SweepRequest) -> RunRecord:
    """Queue a sweep that the calling process will do, once it is certain that it can start.

    Raises:
        NotFoundError, SplitError, SettingsError: data, split or device do not allow it; then
            nothing is written.
        StoreError: the name is of another sweep or of one that a run works on.

    """
    from movierec.workflows.train import prepared

    if request.engine.is_ray:
        require_ray()
    ready = prepared(request.training, settings)
    with open_store(settings) as store:
        run = _added(settings, store, request.model_copy(update={"training": ready}))
        store.runs.assign(run.id, os.getpid())
    return run


def sweep_run(
    settings: Settings,
    run_id: int,
    *,
    on_progress: Progress | None = None,
    hooks: Sequence[Hook] = (),
) -> SweepRecord:
    """Do a queued or taken up sweep here and return it with its trials.

    Raises:
        MovierecError: what made it fail.
        TrainingError: somebody cancelled it.
        KeyboardInterrupt: Ctrl-C; the finished trials stay.

    """
    from movierec.jobs.execute import execute
    from movierec.sweeps.report import sweep_record

    run = execute(settings, run_id, on_progress=on_progress, hooks=hooks)
    if run.state != "succeeded":
        raise TrainingError(
            f"Run {run.id} was {run.state} before it ended.",
            hint=f"Go on with `movierec sweep --resume {run.id}`.",
        )
    return sweep_record(settings, run.request["name"])


def trials_goal(settings: Settings, store: Store, run: RunRecord) -> int:
    """Return at how many trials the sweep of a run is done; it is settled when the run begins."""
    from movierec.sweeps.storage import SweepStore

    if "goal" not in run.facts:
        done = SweepStore(settings).count_trials(run.request["name"])
        store.runs.add_facts(run.id, {"goal": done + run.request["trials"]})
    return int(store.runs.get(run.id).facts["goal"])


def _added(settings: Settings, store: Store, request: SweepRequest, priority: int = 0) -> RunRecord:
    from movierec.sweeps.identity import begin

    data = store.datasets.get(request.training.dataset)
    store.runs.mark_interrupted()
    _require_free(store, request.name)
    begun = begin(request, settings, data)
    return store.runs.add(
        "sweep", preset=begun.training.preset, dataset_name=data.name,
        request=begun.model_dump(mode="json"), priority=priority, kept_for=only_host(settings),
    )  # fmt: skip


def _require_free(store: Store, name: str | None) -> None:
    for run in store.runs.active():
        if name is not None and run.kind == "sweep" and run.request["name"] == name:
            raise StoreError(
                f"Run {run.id} works on the sweep {name} or waits to.",
                hint=f"Wait for it, or stop it: `movierec runs cancel {run.id}`.",
            )
