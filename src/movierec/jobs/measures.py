"""Measuring versions together as a run: for the worker or the calling process. No torch here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from movierec.errors import EvaluationError, StoreError
from movierec.jobs.launch import only_host
from movierec.jobs.worker import ensure_worker
from movierec.progress import Progress
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import RunRecord, Store, open_store

if TYPE_CHECKING:
    from movierec.registry.measurements import Measurement

__all__ = ["measure_run", "queue_measure", "submit_measure"]


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
        asked = _asked(settings, store, names)
        run = _at_work(store, asked) or _added(settings, store, asked, priority)
    ensure_worker(settings)
    return run


def queue_measure(settings: Settings, names: Sequence[str]) -> RunRecord:
    """Queue a measuring that the calling process will do.

    Raises:
        MovierecError: as for `submit_measure`; StoreError also when a run measures them already.

    """
    with open_store(settings) as store:
        asked = _asked(settings, store, names)
        other = _at_work(store, asked)
        if other is not None:
            raise StoreError(
                f"Run {other.id} measures these versions or waits to.",
                hint=f"Follow it: `movierec runs watch {other.id}`.",
            )
        run = _added(settings, store, asked)
        store.runs.assign(run.id, os.getpid())
    return run


def measure_run(
    settings: Settings, run_id: int, *, on_progress: Progress | None = None
) -> Measurement:
    """Do a queued measuring here and return what was found.

    Raises:
        MovierecError: what made it fail.
        EvaluationError: somebody cancelled it.
        KeyboardInterrupt: Ctrl-C; nothing is kept.

    """
    from movierec.jobs.execute import execute
    from movierec.workflows.measure import measure_together

    run = execute(settings, run_id, on_progress=on_progress)
    if run.state != "succeeded":
        raise EvaluationError(
            f"Run {run.id} was {run.state} before it ended.",
            hint=f"Try it again: `movierec runs resume {run.id}`.",
        )
    # kept by the run: it is read, not measured again
    return measure_together(settings, run.request["versions"])


def _asked(settings: Settings, store: Store, names: Sequence[str]) -> list[str]:
    from movierec.workflows.measure_request import MeasureRequest, require_one_task

    registry = Registry(settings, store)
    records = [registry.get(name) for name in names]
    request = MeasureRequest.of([record.name for record in records])
    require_one_task(store, records)
    return [*request.versions]


def _at_work(store: Store, names: Sequence[str]) -> RunRecord | None:
    store.runs.mark_interrupted()
    measuring = (run for run in store.runs.active() if run.kind == "evaluate")
    return next((run for run in measuring if {*run.request["versions"]} == {*names}), None)


def _added(settings: Settings, store: Store, names: Sequence[str], priority: int = 0) -> RunRecord:
    return store.runs.add(
        "evaluate", dataset_name=store.versions.get(names[0]).dataset_name,
        request={"versions": [*names]}, priority=priority, kept_for=only_host(settings),
    )  # fmt: skip
