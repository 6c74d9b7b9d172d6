"""Full and read-only disks, a locked database, runs that are deaf, undead or without a worker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from movierec.errors import ArtifactError, TrainingError
from movierec.jobs import cancel, resume, submit_train
from movierec.jobs.causes import advice
from movierec.jobs.execute import execute
from movierec.jobs.foreground import queue_train, take_up, train_run
from movierec.processes import is_alive
from movierec.registry import Registry, VersionDraft
from movierec.settings import Settings
from movierec.store import RunRecord, VersionRecord, engine, open_store
from movierec.store.tables import RunRow
from movierec.training.callbacks import EpochResult, Plan
from movierec.training.checkpoint import read_checkpoint, save_tensors
from movierec.workflows.requests import TrainRequest
from tests.conftest import PROJECT
from tests.integration.jobs.test_process import (
    LONG,
    SHORT,
    assert_same_version,
    ended,
    has_epochs,
    wait_for,
)
from tests.integration.jobs.test_worker import queue, until, workers
from tests.integration.store.test_kill import assert_consistent
from tests.support.disks import Disk, small_disk
from tests.support.project import (
    SMALL,
    end_processes,
    environment,
    get_run,
    process_environment,
    project_in,
    stand_still,
    train_version,
)

pytestmark = pytest.mark.usefixtures("calm_torch")

SEED = 5


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Settings]:
    settings = project_in(tmp_path)
    yield settings
    end_processes(settings)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, VersionRecord]:
    """The project and version of the same training, never disturbed."""
    settings = project_in(tmp_path_factory.mktemp("straight"))
    request = TrainRequest.of(preset="report", hyperparameters=SHORT, seed=SEED)
    return settings, train_run(settings, queue_train(settings, request).id)


class AfterEpoch:
    """A hook that does something after an epoch, and remembers where the training began."""

    def __init__(self, epoch: int = 0, act: Callable[[], object] = lambda: None) -> None:
        self.epoch, self.act = epoch, act
        self.first_epoch = 0

    def on_start(self, plan: Plan) -> None:
        self.first_epoch = plan.first_epoch

    def on_step(self, epoch: int, step: int) -> None: ...

    def on_epoch(self, result: EpochResult) -> None:
        if result.epoch == self.epoch:
            self.act()


def queued(settings: Settings) -> RunRecord:
    return queue_train(settings, TrainRequest.of(preset="report", hyperparameters=SMALL)).record


def epochs_of(settings: Settings, run_id: int) -> list[int]:
    with open_store(settings) as store:
        return [epoch.epoch for epoch in store.runs.epochs(run_id)]


def checkpoint(run: RunRecord) -> Path:
    return Path(run.log_path).with_name("checkpoint.pt")


def assert_told(run: RunRecord, said: str, cause: str) -> None:
    """The run failed, its row says why, and the advice says it in plain words."""
    told = advice(run)
    assert run.state == "failed"
    assert re.search(said, run.error), run.error
    assert told is not None
    assert cause in told.cause
    assert "resume" in told.change


# ---------------------------------------------------------------- a disk that is full


def test_a_disk_full_at_a_checkpoint(project):
    run = queued(project)
    with small_disk(project.runs_path, 4) as disk:
        with pytest.raises(TrainingError, match="No space left on device"):
            execute(project, run.id, hooks=[AfterEpoch(2, disk.fill)])
        said = rf"checkpoint {checkpoint(run)} cannot be written: No space left on device\."
        assert_told(get_run(project, run.id), said, "disk is full")
        assert epochs_of(project, run.id) == [1, 2]
        assert len(read_checkpoint(checkpoint(run))["history"]) == 2
        assert [path.name for path in checkpoint(run).parent.iterdir()] == ["checkpoint.pt"]
        disk.make_space()
        listener = AfterEpoch()
        record = train_run(project, take_up(project, run.id).id, hooks=[listener])
    assert listener.first_epoch == 3
    assert epochs_of(project, run.id) == [1, 2, 3]
    assert record.metadata.evaluation == train_version(project).metadata.evaluation


def test_a_disk_full_at_any_file_of_a_version(project):
    """However much is left, the version is kept whole or not at all, and the words are plain."""
    import torch

    weights = {"weight": torch.zeros(60_000)}
    draft = VersionDraft(
        model="sage", preset="report", dataset_name="tiny", fingerprint="0" * 64,
        split_label="u1", arrays={"a": np.ones(40_000), "b": np.ones(60_000)},
        files={"model.pth": lambda path: save_tensors(path, weights), "plain.bin": bytes(200_000)},
    )  # fmt: skip
    with small_disk(project.models_path, 2) as disk, open_store(project) as store:
        registry = Registry(project, store)
        registry.reconcile()  # leaves its lock there
        for left in range(0, 1_200_000, 75_000):
            disk.fill(left)
            with pytest.raises(ArtifactError, match="cannot be written: No space left on device"):
                registry.save(draft)
            disk.make_space()
            assert [path.name for path in project.models_path.iterdir()] == [".lock"]
        assert registry.save(draft).name == "v1.0.0"
        assert_consistent(project)


def test_a_disk_full_while_a_version_is_saved(project):
    run = queued(project)
    with small_disk(project.models_path, 2) as disk:
        with pytest.raises(ArtifactError):
            execute(project, run.id, on_progress=when("saving", disk.fill))
        said = rf"{project.models_path} cannot be written: No space left on device\."
        assert_told(get_run(project, run.id), said, "disk is full")
        disk.make_space()
        assert_resumed_without_training(project, run)


def when(stage: str, act: Callable[[], object]) -> Callable[[str, float], None]:
    def on_progress(now: str, done: float) -> None:
        if now == stage:
            act()

    return on_progress


def assert_resumed_without_training(settings: Settings, run: RunRecord) -> None:
    """The epochs and the checkpoint are whole; the run goes on where it failed."""
    n_epochs = SMALL["epochs"]
    assert epochs_of(settings, run.id) == [*range(1, n_epochs + 1)]
    listener = AfterEpoch()
    record = train_run(settings, take_up(settings, run.id).id, hooks=[listener])
    assert listener.first_epoch == n_epochs + 1
    assert get_run(settings, run.id).version == record.name == "v1.0.0"
    assert_consistent(settings)
    assert record.metadata.evaluation == train_version(settings).metadata.evaluation


@pytest.mark.slow
def test_a_database_on_a_full_disk_gets_its_epochs_when_there_is_space(tmp_path):
    with small_disk(tmp_path / "data", 24) as disk:
        settings = project_in(tmp_path).model_copy(update={"runs_dir": Path("runs")})
        try:
            assert_trained_on(settings, disk)
        finally:
            disk.make_space()
            end_processes(settings)


def assert_trained_on(settings: Settings, disk: Disk) -> None:
    """A training goes on while the database's disk is full, and its epochs are kept in the end."""
    run = submit_train(settings, "report", "tiny", hyperparameters=LONG)
    wait_for(settings, run.id, has_epochs(settings, 3))
    disk.fill()
    log = Path(run.log_path)
    until(lambda: "database or disk is full" in log.read_text(), "an epoch that waits")
    # the log, since a full disk may refuse to open the database once more
    waiting = epochs_in_log(log)
    until(lambda: epochs_in_log(log)[-1] > waiting[-1] + 3, "the training to go on")
    disk.make_space()
    wait_for(settings, run.id, has_epochs(settings, waiting[-1] + 4))
    cancel(settings, run.id)
    run = wait_for(settings, run.id, ended)
    assert (run.state, run.error) == ("cancelled", "Stopped before it ended.")
    assert_no_epoch_lost(settings, run)


def epochs_in_log(log: Path) -> list[int]:
    """The epochs that a run's process says it has done."""
    return [int(number) for number in re.findall(r" epoch=(\d+) ", log.read_text())]


def assert_no_epoch_lost(settings: Settings, run: RunRecord) -> None:
    """Rows are consecutive, and there is one for each epoch that the log speaks of."""
    said = epochs_in_log(Path(run.log_path))  # before the rows: the run may go on
    rows = epochs_of(settings, run.id)
    assert rows == [*range(1, len(rows) + 1)]
    assert {*said} <= {*rows}


# ---------------------------------------------------------------- a folder that is read-only


def test_models_that_become_read_only_cost_no_training(project):
    run = queued(project)
    with small_disk(project.models_path, 2) as disk:
        with pytest.raises(ArtifactError):
            execute(project, run.id, on_progress=when("saving", disk.make_read_only))
        said = rf"{project.models_path} cannot be written: Read-only file system\."
        assert_told(get_run(project, run.id), said, "may not be written")
        with pytest.raises(ArtifactError, match="Read-only"):  # and so it is when taken up
            train_run(project, take_up(project, run.id).id)
        disk.make_writable()
        assert_resumed_without_training(project, run)


@pytest.mark.slow
def test_models_that_are_read_only_are_told_before_the_training(project):
    with small_disk(project.models_path, 1) as disk:
        disk.make_read_only()
        run = submit_train(project, "report", "tiny", hyperparameters=SMALL)
        said = rf"{project.models_path} cannot be written: Read-only file system\."
        assert_told(wait_for(project, run.id, ended), said, "may not be written")
        assert epochs_of(project, run.id) == []
        disk.make_writable()
        resume(project, run.id)
        assert wait_for(project, run.id, ended).state == "succeeded"


# ---------------------------------------------------------------- a database that is locked

LOCKER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Let another process hold the database's lock until the block ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(settings.database_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            holder.kill()


@pytest.mark.slow
def test_ten_seconds_of_a_locked_database_cost_nothing(project):
    run = submit_train(project, "report", "tiny", hyperparameters=LONG)
    before = wait_for(project, run.id, has_epochs(project, 3))
    with locked(project):
        time.sleep(10)
        during = epochs_of(project, run.id)  # readers are not kept out
    assert epochs_in_log(Path(run.log_path))
    wait_for(project, run.id, has_epochs(project, len(during) + 20))
    after = get_run(project, run.id)
    assert (after.state, after.pid) == ("running", before.pid)
    cancel(project, run.id)
    assert wait_for(project, run.id, ended).state == "cancelled"
    assert_no_epoch_lost(project, run)


def test_a_page_says_that_the_database_is_locked(project, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.2)
    (run_id,) = queue(project, "report")
    with open_store(project) as store:
        store.runs.assign(run_id, 2**22 + 1)  # no process can have this number
    with environment(project):
        page = AppTest.from_file(str(PROJECT / "Home.py"), default_timeout=60)
        with locked(project):
            page.run()  # finds the dead run and cannot write so
            assert not page.exception
            (error,) = page.error
            assert "database is locked" in error.value.replace("\\", "")
            assert "end that program or try again" in error.value.replace("\\", "")
        page.run()
        assert not page.error
    assert get_run(project, run_id).state == "interrupted"


# ---------------------------------------------------------------- deaf, undead, abandoned


def deaf_run(settings: Settings, epochs: int = 2) -> RunRecord:
    """A training that hears nothing, like code that never returns to Python."""
    run = submit_train(settings, "report", "tiny", hyperparameters=SHORT, seed=SEED)
    run = wait_for(settings, run.id, has_epochs(settings, epochs))
    assert run.pid is not None
    stand_still(settings, run.pid)
    return run


def cancel_from_a_terminal(settings: Settings, run_id: int) -> None:
    command = [sys.executable, "-m", "movierec", "runs", "cancel", str(run_id)]
    values = settings.model_dump(mode="json")
    more = {"MOVIEREC_CANCEL_GRACE": str(values["cancel_grace"]), "MOVIEREC_WORKER_IDLE": "2"}
    subprocess.run(
        command, env=process_environment(settings) | more, check=True, capture_output=True
    )


@pytest.mark.slow
def test_killed_for_not_hearing_it_resumes_to_the_same_weights(project, straight):
    """Asked from a second process, with a clock that is set back an hour after that."""
    project = project.model_copy(update={"cancel_grace": 1.0})
    run = deaf_run(project)
    cancel_from_a_terminal(project, run.id)
    with open_store(project) as store, store.engine.begin() as connection:
        asked = {"cancel_requested_at": datetime.now(UTC) + timedelta(hours=1)}
        connection.execute(update(RunRow).where(RunRow.id == run.id).values(**asked))
    stopped = wait_for(project, run.id, ended)
    assert (stopped.state, stopped.error) == (
        "cancelled", "Killed: it did not stop within 1 s.",
    )  # fmt: skip
    until(lambda: not is_alive(run.pid, run.pid_started_at), "the process to be gone")
    assert_no_epoch_lost(project, run)
    resume(project, run.id)
    done = wait_for(project, run.id, ended)
    assert (done.state, epochs_of(project, run.id)) == ("succeeded", [*range(1, 121)])
    assert_same_version(project, done.version, straight[0], straight[1].name)


@pytest.mark.slow
def test_a_deaf_run_whose_worker_died_is_killed_all_the_same(project):
    project = project.model_copy(update={"cancel_grace": 1.0})
    run = deaf_run(project)
    (worker,) = workers(project)
    os.kill(worker, signal.SIGKILL)
    until(lambda: not workers(project), "the worker to be missed")
    cancel_from_a_terminal(project, run.id)
    assert wait_for(project, run.id, ended).state == "cancelled"
    until(lambda: not is_alive(run.pid, run.pid_started_at), "the process to be gone")


@pytest.mark.slow
def test_a_run_that_is_a_zombie_is_dead(project):
    """Its worker stands still and does not reap it, so the process id is still there."""
    run = submit_train(project, "report", "tiny", hyperparameters=LONG)
    run = wait_for(project, run.id, has_epochs(project, 2))
    (worker,) = workers(project)
    stand_still(project, worker)
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    found = wait_for(project, run.id, ended)
    assert psutil.Process(run.pid).status() == psutil.STATUS_ZOMBIE
    assert (found.state, found.error) == ("interrupted", "Its process ended without a word.")
    assert_no_epoch_lost(project, run)
    os.kill(worker, signal.SIGCONT)
    resume(project, run.id)
    wait_for(project, run.id, has_epochs(project, len(epochs_of(project, run.id)) + 3))
    assert get_run(project, run.id).state == "running"


@pytest.mark.slow
def test_a_run_that_was_taken_over_while_it_lived_is_done_by_one_process(project):
    """Another host took it for dead, as after a long sleep of this one, and queued it again."""
    run = submit_train(project, "report", "tiny", hyperparameters=LONG)
    run = wait_for(project, run.id, has_epochs(project, 2))
    with open_store(project) as store, store.engine.begin() as connection:
        again = {"state": "queued", "host": "", "pid": None, "claimed_by": None, "stage": ""}
        connection.execute(update(RunRow).where(RunRow.id == run.id).values(**again))
    taken = wait_for(project, run.id, lambda now: now.state == "running" or ended(now))
    assert (taken.state, taken.pid == run.pid) == ("running", False)
    assert not is_alive(run.pid, run.pid_started_at)  # the worker's one slot was free
    assert f"Run {run.id} was taken over" in Path(run.log_path).read_text()
    wait_for(project, run.id, has_epochs(project, len(epochs_of(project, run.id)) + 3))
    cancel(project, run.id)
    assert wait_for(project, run.id, ended).state == "cancelled"
    assert_no_epoch_lost(project, run)
