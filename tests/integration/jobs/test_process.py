"""Runs in real processes of their own: seen, cancelled, killed, taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from movierec.errors import HyperparameterError, NotFoundError
from movierec.jobs import cancel, submit_import, submit_train
from movierec.jobs.foreground import queue_train, take_up, train_run
from movierec.jobs.process import start_run
from movierec.settings import Settings
from movierec.store import ACTIVE_STATES, RunRecord, open_store
from movierec.workflows.requests import TrainRequest
from tests.support.factories import make_dataset
from tests.support.project import (
    end_processes,
    get_run,
    movierec,
    one_line,
    process_environment,
    project_in,
    runs_of,
    write_csvs,
)

PATIENCE = 120.0  # seconds; only a hanging process takes so long
LONG = {"hidden_dim": 8, "num_layers": 1, "epochs": 10_000, "early_stopping_patience": 10_000}
EPOCHS = 120  # two seconds or more: time enough to stop it before it ends
SHORT = LONG | {"epochs": EPOCHS}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Settings]:
    """A project; a run that a failed test left behind is ended."""
    settings = project_in(tmp_path)
    yield settings
    end_processes(settings)


def wait_for(settings: Settings, run_id: int, ready: Callable[[RunRecord], bool]) -> RunRecord:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        run = get_run(settings, run_id)
        if ready(run):
            return run
        time.sleep(0.05)
    log = Path(run.log_path)
    pytest.fail(f"{run}\n{log.read_text() if log.exists() else ''}")


def ended(run: RunRecord) -> bool:
    return run.state not in ACTIVE_STATES


def has_epochs(settings: Settings, count: int) -> Callable[[RunRecord], bool]:
    def ready(run: RunRecord) -> bool:
        with open_store(settings) as store:
            return len(store.runs.epochs(run.id)) >= count or ended(run)

    return ready


def versions(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.models_path.glob("v*"))


def weights(settings: Settings, name: str) -> dict:
    import torch

    path = settings.models_path / name / "graphsage_model.pth"
    return torch.load(path, weights_only=True)


def assert_same_version(first: Settings, one: str, second: Settings, other: str) -> None:
    import torch

    ours, theirs = weights(first, one), weights(second, other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    with open_store(first) as left, open_store(second) as right:
        facts = (left.versions.get(one).metadata, right.versions.get(other).metadata)
    assert facts[0].evaluation == facts[1].evaluation
    assert facts[0].metrics == facts[1].metrics


def test_a_run_shows_its_epochs_and_a_cancellation_ends_it(project):
    # as under `make run &` in a script: SIGINT is ignored, and children inherit that
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        queued = submit_train(project, "report", "tiny", hyperparameters=LONG)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert queued.state == "queued"
    run = wait_for(project, queued.id, has_epochs(project, 2))
    assert run.state == "running"
    assert run.pid != os.getpid()
    wait_for(project, queued.id, lambda run: run.stage.startswith("epoch "))
    assert cancel(project, run.id).cancel_requested
    watched = movierec(project, "runs", "watch", run.id)
    assert (watched.code, watched.err) == (6, "")
    run = get_run(project, run.id)
    assert (run.state, run.version, run.error) == ("cancelled", None, "Stopped before it ended.")
    assert 0 < run.progress < 1
    assert versions(project) == []
    assert Path(run.log_path).with_name("checkpoint.pt").is_file()
    said = movierec(project, "runs", "logs", run.id)
    assert said.code == 0
    assert "epoch=2 train_loss=" in said.out


def test_a_killed_training_goes_on_to_the_same_weights(project, tmp_path, calm_torch):
    run = submit_train(project, "report", "tiny", hyperparameters=SHORT, seed=2)
    wait_for(project, run.id, has_epochs(project, 3))
    os.kill(get_run(project, run.id).pid, signal.SIGKILL)
    run = wait_for(project, run.id, ended)
    assert (run.state, run.version) == ("interrupted", None)
    assert run.error == "Its process ended without a word."
    assert versions(project) == []
    with open_store(project) as store:
        done = store.runs.epochs(run.id)
    assert 3 <= len(done) < EPOCHS
    record = train_run(project, take_up(project, run.id).id)
    assert record.run_id == run.id
    with open_store(project) as store:
        epochs = store.runs.epochs(run.id)
    assert [epoch.epoch for epoch in epochs] == list(range(1, EPOCHS + 1))
    assert epochs[: len(done)] == done
    elsewhere = project_in(tmp_path / "elsewhere")
    request = TrainRequest.of(preset="report", hyperparameters=SHORT, seed=2)
    straight = train_run(elsewhere, queue_train(elsewhere, request).id)
    assert_same_version(project, record.name, elsewhere, straight.name)


KILLED_AT = """
import os, signal, sys
from movierec.jobs.execute import execute
from movierec.settings import load_settings

def on_progress(stage, done):
    if stage == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

execute(load_settings(), int(sys.argv[1]), on_progress=on_progress)
"""


@pytest.mark.parametrize(("stage", "kept"), [("saving", []), ("saved", ["v1.0.0"])])
def test_killed_while_saving_leaves_one_version_in_the_end(project, stage, kept):
    run = queue_train(project, TrainRequest.of(preset="ease"))
    command = [sys.executable, "-c", KILLED_AT, str(run.id), stage]
    done = subprocess.run(command, env=process_environment(project), check=False)
    assert done.returncode == -signal.SIGKILL
    assert get_run(project, run.id).state == "interrupted"
    assert versions(project) == kept
    record = train_run(project, take_up(project, run.id).id)
    assert versions(project) == [record.name] == ["v1.0.0"]
    assert get_run(project, run.id).version == "v1.0.0"
    assert movierec(project, "doctor", "--json").code == 0


def test_ctrl_c_says_how_to_go_on_and_resume_does(project, calm_torch):
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in SHORT.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "movierec", "train", "--preset=report", *arguments],
        env=process_environment(project), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        wait_for_run(project)
        wait_for(project, 1, has_epochs(project, 2))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out == ""
    assert err == "Stopped. Go on from the last epoch with `movierec train --resume 1`.\n"
    run = get_run(project, 1)
    assert (run.state, run.version) == ("interrupted", None)
    said = movierec(project, "train", "--resume", 1, "--json")
    assert said.code == 0
    assert said.facts["run_id"] == 1
    assert said.facts["metadata"]["epochs_trained"] == EPOCHS
    assert get_run(project, 1).state == "succeeded"
    assert len(runs_of(project)) == 1
    assert "became version v1.0.0" in one_line(movierec(project, "train", "--resume", 1))


def wait_for_run(settings: Settings) -> None:
    deadline = time.monotonic() + PATIENCE
    while not runs_of(settings) and time.monotonic() < deadline:
        time.sleep(0.05)


def test_an_import_in_a_process_of_its_own(project, tmp_path):
    path = write_csvs(make_dataset(20, 15, seed=5), tmp_path / "other")
    run = submit_import(project, path=path, name="other")
    run = wait_for(project, run.id, ended)
    assert (run.state, run.kind, run.version) == ("succeeded", "import", None)
    with open_store(project) as store:
        assert store.datasets.get("other").n_users == 20
    bad = submit_import(
        project, path=path, name="third", columns={"user": "who", "movie": "m", "rating": "r"}
    )
    run = wait_for(project, bad.id, ended)
    assert run.state == "failed"
    assert "has no column 'who'" in run.error
    assert "FormatError" in run.traceback
    said = movierec(project, "train", "--resume", run.id)
    assert "is an import" in one_line(said)
    assert said.code == 2


def test_a_request_that_cannot_be_is_not_queued(project):
    with pytest.raises(HyperparameterError, match="dropout"):
        submit_train(project, "report", "tiny", hyperparameters={"dropout": 2.0})
    with pytest.raises(NotFoundError):
        submit_train(project, "report", "nope")
    assert runs_of(project) == []


def test_a_run_cancelled_before_its_process_begins_is_not_started(project):
    with open_store(project) as store:
        run = store.runs.add("train", request={"preset": "ease"})
        store.runs.request_cancel(run.id)
    start_run(project, run).wait(PATIENCE)
    log = Path(run.log_path)
    assert f"Run {run.id} is cancelled: it cannot be started." in log.read_text()
    assert get_run(project, run.id).state == "cancelled"
    assert versions(project) == []
