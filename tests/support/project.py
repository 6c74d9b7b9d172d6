"""A whole project in a temporary folder, and the command line called in this process."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from movierec.cli.main import app, run
from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.jobs.foreground import queue_train, train_run
from movierec.settings import Settings
from movierec.store import RunRecord, VersionRecord, open_store
from movierec.training.callbacks import Hook
from movierec.workflows.data import import_data
from movierec.workflows.requests import TrainRequest
from tests.conftest import refuse_user_paths
from tests.support.factories import make_dataset

# small enough that an epoch takes some hundredths of a second
SMALL = {"hidden_dim": 8, "num_layers": 1, "epochs": 3}
PLACES = ("HOME", "DATA_DIR", "MODELS_DIR", "RUNS_DIR", "DATABASE_URL", "ARTIFACTS_URL", "DEVICE")


def project_in(root: Path, *, with_data: bool = True) -> Settings:
    """Settings of a new project below a temporary folder; with a data set imported from CSV."""
    settings = refuse_user_paths(
        Settings(home=root, device="cpu", threads=1, worker_idle=2.0), root
    )
    if with_data:
        import_tiny(settings)
    return settings


def write_csvs(dataset: Dataset, folder: Path) -> Path:
    """Write ratings.csv, users.csv and movies.csv; return the path of the ratings."""
    folder.mkdir(parents=True, exist_ok=True)
    ratings = dataset.ratings
    table = {
        "user": dataset.users.ids[ratings.user],
        "movie": dataset.movies.ids[ratings.movie],
        "rating": ratings.rating,
    }
    if ratings.timestamp is not None:
        table["timestamp"] = ratings.timestamp
    pd.DataFrame(table).to_csv(folder / "ratings.csv", index=False)
    dataset.user_frame.to_csv(folder / "users.csv", index=False)
    dataset.movie_frame.to_csv(folder / "movies.csv", index=False)
    return folder / "ratings.csv"


def import_tiny(settings: Settings, name: str = "tiny", seed: int = 0) -> None:
    """Import 60 users and 40 movies through the product."""
    folder = settings.home / f"source-{name}"
    ratings = write_csvs(make_dataset(60, 40, 0.4, seed=seed), folder)
    users, movies = folder / "users.csv", folder / "movies.csv"
    import_data(ratings, settings, name=name, users=users, movies=movies)


def train_version(
    settings: Settings, preset: str = "report", hooks: Sequence[Hook] = (), **request: Any
) -> VersionRecord:
    """Train as the command line does; a GraphSAGE is a small one."""
    if preset in ("report", "default"):
        request["hyperparameters"] = {**SMALL, **request.get("hyperparameters", {})}
    queued = queue_train(settings, TrainRequest.of(preset=preset, **request))
    return train_run(settings, queued.id, hooks=hooks)


def end_processes(settings: Settings) -> None:
    """Kill the workers and runs that a test left behind, and no others."""
    with open_store(settings) as store:
        store.runs.mark_interrupted()
        left = [worker.pid for worker in store.queue.workers()]
        left += [run.pid for run in store.runs.active() if run.pid]
    for pid in {*left} - {os.getpid()}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def stand_still(settings: Settings, pid: int) -> None:
    """Stop a process, as deaf as code that never returns to Python, while it holds no lock."""
    with closing(sqlite3.connect(str(settings.database_path), timeout=60)) as database:
        database.isolation_level = None
        database.execute("BEGIN IMMEDIATE")
        os.kill(pid, signal.SIGSTOP)
        database.execute("ROLLBACK")


def runs_of(settings: Settings) -> list[RunRecord]:
    with open_store(settings) as store:
        return store.runs.list()


def get_run(settings: Settings, run_id: int) -> RunRecord:
    with open_store(settings) as store:
        store.runs.mark_interrupted()
        return store.runs.get(run_id)


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        """What it printed as JSON, and nothing else."""
        return json.loads(self.out)


def movierec(settings: Settings, *arguments: object, width: int = 100, program: Any = app) -> Said:
    """Call the command line on a project, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        environment(settings, COLUMNS=str(width)),
        redirect_stdout(out),
        redirect_stderr(err),
        nobody_answering(),
    ):
        code = run(program, [str(argument) for argument in arguments])
    return Said(code, out.getvalue(), err.getvalue())


@contextmanager
def environment(settings: Settings, **more: str) -> Iterator[None]:
    """Make these the settings that commands and processes read."""
    kept = dict(os.environ)
    os.environ |= process_environment(settings) | more
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= kept


@contextmanager
def nobody_answering() -> Iterator[None]:
    kept, sys.stdin = sys.stdin, io.StringIO()
    try:
        yield
    finally:
        sys.stdin = kept


def process_environment(settings: Settings) -> Mapping[str, str]:
    values = settings.model_dump(mode="json")
    places = {f"MOVIEREC_{name}": str(values[name.lower()]) for name in PLACES}
    return places | {"MOVIEREC_THREADS": "1", "OMP_NUM_THREADS": "1"}


def one_line(said: Said) -> str:
    """Return the one line of an error; fail when there is more, or a traceback."""
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("Error: ")
    assert "Traceback" not in lines[0]
    assert said.out == ""
    return lines[0].removeprefix("Error: ")


def titles(dataset: Dataset) -> list[str]:
    return list(dataset.movie_frame[Columns.TITLE])
