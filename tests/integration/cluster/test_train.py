"""Trainings shared by workers on a real Ray cluster: the same curve and version, workers lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from movierec.cluster.connection import PREFIX
from movierec.jobs.foreground import take_up, train_run
from movierec.settings import Settings
from movierec.store import RunRecord, VersionRecord, open_store
from movierec.training.callbacks import EpochResult, Plan
from tests.support.project import (
    SMALL,
    get_run,
    movierec,
    process_environment,
    project_in,
    train_version,
)

pytestmark = [
    pytest.mark.xdist_group("ray"),  # one cluster at a time
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's, of itself
    pytest.mark.slow,
]

PATIENCE = 120.0
EPOCHS = 40
HYPERPARAMETERS = {
    "epochs": EPOCHS, "early_stopping_patience": EPOCHS, "dropout": 0.0, "feature_dropout": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return project_in(tmp_path_factory.mktemp("ray"))


@pytest.fixture(scope="module")
def alone(project: Settings) -> VersionRecord:
    """What one process makes of it."""
    return train_version(project, "default", hyperparameters=HYPERPARAMETERS)


class Killer:
    """Kills one of the workers while an epoch goes on, and counts what it hears of."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.starts: list[int] = []
        self.killed: list[int] = []

    def on_start(self, plan: Plan) -> None:
        self.starts.append(plan.first_epoch)

    def on_step(self, epoch: int, step: int) -> None: ...

    def on_epoch(self, result: EpochResult) -> None:
        self.heard.append(result.epoch)
        if not self.killed:
            victim = max(training_workers(os.getpid()))
            os.kill(victim, signal.SIGKILL)
            self.killed.append(victim)


def training_workers(driver: int) -> list[int]:
    """The processes below a driver that do its steps."""
    below = psutil.Process(driver).children(recursive=True)
    return [process.pid for process in below if "RayTrainWorker" in " ".join(cmdline(process))]


def cmdline(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return process.cmdline()
    return []


def left_over(folders: set[Path]) -> list[str]:
    """What still runs of clusters in these folders, once it had time to go."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lines = (" ".join(cmdline(process)) for process in psutil.process_iter())
        found = [line for line in lines if any(str(folder) in line for folder in folders)]
        if not found:
            return []
        time.sleep(0.2)
    return found


def cluster_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


def curve(version: VersionRecord) -> list[float]:
    history = version.metadata.training_history
    return [value for epoch in history for value in (epoch.train_loss, epoch.val_rmse)]


def test_two_workers_of_which_one_is_killed_make_the_same_version(project, alone):
    before, killer = cluster_folders(), Killer()
    engine = {"name": "ray", "workers": 2}
    made = train_version(
        project, "default", hyperparameters=HYPERPARAMETERS, engine=engine, hooks=[killer]
    )
    assert killer.killed
    assert len(killer.starts) > 1
    assert killer.heard == [*range(1, EPOCHS + 1)]
    assert curve(made) == pytest.approx(curve(alone), abs=1e-4)
    measured = [version.metadata.evaluation.rmse for version in (made, alone)]
    assert measured[0] == pytest.approx(measured[1], abs=1e-3)
    assert (made.metadata.engine, made.metadata.workers) == ("ray", 2)
    run = get_run(project, made.run_id)
    assert (run.request["engine"]["name"], run.facts["workers"]) == ("ray", 2)
    with open_store(project) as store:
        assert [row.epoch for row in store.runs.epochs(run.id)] == killer.heard
    assert not (project.runs_path / str(run.id) / "checkpoint").exists()
    assert cluster_folders() <= before
    assert training_workers(os.getpid()) == []


def test_a_killed_run_leaves_nothing_running_and_goes_on_from_its_checkpoint(project, alone):
    before = cluster_folders()
    changes = [f"--{name.replace('_', '-')}={value}" for name, value in options().items()]
    with subprocess.Popen(
        [sys.executable, "-m", "movierec", "train", "--engine=ray", *changes],
        env={**process_environment(project)}, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            run = started_run(project, process)
            found = cluster_folders() - before
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert found
    assert left_over(found) == []
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    assert get_run(project, run.id).state == "interrupted"
    killer = Killer()
    killer.killed.append(0)  # it only listens
    made = train_run(project, take_up(project, run.id).id, hooks=[killer])
    assert killer.starts[0] > 1
    assert curve(made) == pytest.approx(curve(alone), abs=1e-4)
    assert training_workers(os.getpid()) == []


def options() -> dict[str, Any]:
    return {**SMALL, **HYPERPARAMETERS}


def started_run(project: Settings, process: subprocess.Popen[bytes]) -> RunRecord:
    """Wait until a training has a few epochs, and return its run."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with open_store(project) as store:
            mine = [run for run in store.runs.list() if run.pid == process.pid]
            if mine and len(store.runs.epochs(mine[0].id)) >= 3:
                return mine[0]
        time.sleep(0.05)
    raise AssertionError("the training did not come to its third epoch")


def test_the_trials_of_a_sweep_run_together_in_the_same_study(project):
    words = ["sweep", "--preset", "biases", "--trials", "4", "--seed", "3", "--json"]
    record = movierec(project, *words, "--engine", "ray", "--workers", "2").facts
    assert [trial["state"] for trial in record["trials"]] == ["done"] * 4
    assert {trial["number"] for trial in record["trials"]} == {0, 1, 2, 3}
    here = movierec(project, *words).facts
    first = [next(t for t in found["trials"] if t["number"] == 0) for found in (record, here)]
    assert first[0]["params"] == first[1]["params"]
    assert first[0]["metrics"] == pytest.approx(first[1]["metrics"])
    assert movierec(project, "runs", "list", "--json").facts[1]["state"] == "succeeded"
