"""Adding runs and starting their processes. Imports no torch: the pages call this."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from movierec.errors import StoreError
from movierec.settings import Settings
from movierec.store import RunRecord, open_store

__all__ = ["cancel", "launch", "submit_import", "submit_train"]


def submit_train(
    settings: Settings,
    preset: str = "default",
    dataset: str | None = None,
    **request: Any,
) -> RunRecord:
    """Queue a training and start its process.

    `request` holds further fields of `workflows.requests.TrainRequest`, as plain data.

    Raises:
        HyperparameterError: the request asks for what cannot be.
        NotFoundError: there is no such data set.
        StoreError: the database cannot be written or the process cannot be started.

    """
    from movierec.workflows.requests import TrainRequest

    with open_store(settings) as store:
        name = store.datasets.get(dataset).name
        checked = TrainRequest.of(**request, preset=preset, dataset=name)
        fields = checked.model_dump(mode="json")
        run = store.runs.add("train", preset=preset, dataset_name=name, request=fields)
    return launch(settings, run)


def submit_import(
    settings: Settings,
    data_set: str = "ml-100k",
    path: str | Path | None = None,
    columns: Mapping[str, str | None] | None = None,
    name: str | None = None,
) -> RunRecord:
    """Queue an import and start its process.

    Without a path the data set called `data_set` is fetched. `columns` names the columns of a
    ratings table: `user`, `movie`, `rating` and, optionally, `timestamp`.
    """
    request = {
        "data_set": data_set,
        "path": None if path is None else str(path),
        "columns": None if columns is None else dict(columns),
        "name": name,
    }
    shown = name or (Path(path).stem if path else data_set)
    with open_store(settings) as store:
        run = store.runs.add("import", dataset_name=shown, request=request)
    return launch(settings, run)


def cancel(settings: Settings, run_id: int) -> RunRecord:
    """Ask a run to stop; its process sees it within about a second."""
    with open_store(settings) as store:
        return store.runs.request_cancel(run_id)


def launch(settings: Settings, run: RunRecord) -> RunRecord:
    """Start the run's process: detached, with a log file, outliving the one that called."""
    try:
        process = _start(settings, run)
    except OSError as error:
        with open_store(settings) as store:
            store.runs.finish(run.id, "failed", error=f"Its process could not start: {error}.")
        raise StoreError(
            f"The process of run {run.id} could not start: {error}.",
            hint="Check free memory and disk space, then try again.",
        ) from error
    # a child that nobody waits for stays as a zombie until this process ends
    threading.Thread(target=process.wait, name=f"run-{run.id}", daemon=True).start()
    with open_store(settings) as store:
        store.runs.assign(run.id, process.pid)
    return run


def _start(settings: Settings, run: RunRecord) -> subprocess.Popen[bytes]:
    log = Path(run.log_path)
    log.parent.mkdir(parents=True, exist_ok=True)
    # a log left by a run of the same number in an earlier database is not this run's
    with log.open("wb" if run.started_at is None else "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "movierec.jobs.worker", str(run.id)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, env=_environment(settings), cwd=settings.home,
        )  # fmt: skip


def _environment(settings: Settings) -> dict[str, str]:
    """Return this environment with the settings in force, whatever they were read from."""
    values = settings.model_dump(mode="json")
    return {**os.environ, **{f"MOVIEREC_{name.upper()}": str(v) for name, v in values.items()}}
