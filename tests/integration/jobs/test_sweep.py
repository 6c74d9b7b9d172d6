"""Sweeps as runs: done by the worker in a process of their own, cancelled, killed, gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from movierec.errors import HyperparameterError, NotFoundError, StoreError, TrainingError
from movierec.jobs import cancel, clone, resume, submit_sweep
from movierec.jobs.execute import execute
from movierec.jobs.foreground import queue_sweep, sweep_run, take_up
from movierec.settings import Settings
from movierec.store import RunRecord
from movierec.sweeps.records import SweepRecord
from movierec.sweeps.report import sweep_record, sweep_records
from movierec.sweeps.request import SweepRequest
from movierec.sweeps.storage import SweepStore
from tests.integration.jobs.test_process import PATIENCE, ended, wait_for
from tests.support.project import (
    end_processes,
    get_run,
    movierec,
    one_line,
    process_environment,
    project_in,
    runs_of,
)

TRIALS = 6
TRAINING = {
    "preset": "report",
    "hyperparameters": {"hidden_dim": 8, "num_layers": 1, "epochs": 60,
                        "early_stopping_patience": 99},
}  # fmt: skip
SAGE = {"training": TRAINING, "search": ["learning_rate"], "prune": False, "trials": TRIALS}
BIASES = {"training": {"preset": "biases"}, "trials": 3}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Settings]:
    settings = project_in(tmp_path)
    yield settings
    end_processes(settings)


def trials_done(settings: Settings, count: int) -> Callable[[RunRecord], bool]:
    """Until so many trials are done and one is under way."""

    def ready(run: RunRecord) -> bool:
        counts = sweep_record(settings, run.request["name"]).counts
        return (counts.get("done", 0) >= count and counts.get("running", 0) > 0) or ended(run)

    return ready


def stopped(settings: Settings, name: str) -> SweepRecord:
    """Return a sweep once its process, which may be dying thread by thread, has let go of it."""
    deadline = time.monotonic() + PATIENCE
    while "running" in (record := sweep_record(settings, name)).counts:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert record.counts.get("stopped") == 1
    return record


def assert_all_done(record: SweepRecord, stopped: int = 0) -> None:
    assert record.counts == {"done": TRIALS, **({"stopped": stopped} if stopped else {})}
    tried = [trial.params for trial in record.trials if trial.state == "done"]
    assert len({json.dumps(params) for params in tried}) == TRIALS


def test_the_worker_does_a_sweep(project):
    run = submit_sweep(project, **SAGE)
    assert (run.kind, run.state, run.preset, run.dataset_name) == (
        "sweep", "queued", "report", "tiny",
    )  # fmt: skip
    assert run.request["name"] == "report-1"
    assert sweep_record(project, "report-1").trials == ()  # it is there before its first trial
    wait_for(project, run.id, trials_done(project, 1))
    seen = get_run(project, run.id)
    assert seen.state == "running"
    wait_for(project, run.id, lambda run: "best val_rmse" in run.stage)
    done = wait_for(project, run.id, ended)
    assert (done.state, done.version, done.progress) == ("succeeded", None, 1.0)
    assert done.stage.startswith(f"trial {TRIALS} of {TRIALS}, epoch ")
    assert_all_done(sweep_record(project, "report-1"))


def test_a_killed_sweep_is_interrupted_and_ends_with_what_was_asked_for(project):
    run = submit_sweep(project, **SAGE, name="killed")
    wait_for(project, run.id, trials_done(project, 2))
    os.kill(get_run(project, run.id).pid, signal.SIGKILL)
    run = wait_for(project, run.id, ended)
    assert (run.state, run.error) == ("interrupted", "Its process ended without a word.")
    left = stopped(project, "killed")
    assert 2 <= left.counts["done"] < TRIALS
    assert resume(project, run.id).state == "queued"
    again = wait_for(project, run.id, ended)
    assert again.state == "succeeded"
    assert again.stage.startswith(f"trial {TRIALS} of {TRIALS}, ")
    both = sweep_record(project, "killed")
    assert_all_done(both, stopped=1)
    kept = {trial.number: trial for trial in both.trials}
    assert all(kept[trial.number] == trial for trial in left.trials if trial.state == "done")


def test_a_cancelled_sweep_stops_its_trial_and_can_go_on(project):
    run = submit_sweep(project, **SAGE, name="cancelled")
    wait_for(project, run.id, trials_done(project, 1))
    assert cancel(project, run.id).cancel_requested
    run = wait_for(project, run.id, ended)
    assert run.state == "cancelled"
    stopped(project, "cancelled")
    resume(project, run.id)
    assert wait_for(project, run.id, ended).state == "succeeded"
    assert_all_done(sweep_record(project, "cancelled"), stopped=1)


class Interrupting:
    """A hook that presses Ctrl-C in one of the trials."""

    def __init__(self, trial: int) -> None:
        self.trial, self.seen = trial, 0

    def on_start(self, plan) -> None:
        self.seen += 1

    def on_step(self, epoch: int, step: int) -> None: ...

    def on_epoch(self, result) -> None:
        if (self.seen, result.epoch) == (self.trial, 2):
            signal.raise_signal(signal.SIGINT)


def short(**fields) -> SweepRequest:
    training = {**TRAINING, "hyperparameters": {**TRAINING["hyperparameters"], "epochs": 3}}
    return SweepRequest.of(**{**SAGE, "training": training, **fields})


def test_trials_asked_for_twice_are_added_and_each_resume_ends_with_its_own(project, calm_torch):
    sweep_run(project, queue_sweep(project, short(name="both", trials=2)).id)
    second = queue_sweep(project, short(name="both", trials=4))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            sweep_run(project, second.id, hooks=[Interrupting(2)])
        assert get_run(project, second.id).state == "interrupted"
    told: list[tuple[str, float]] = []
    take_up(project, second.id, "sweep")
    record = sweep_run(project, second.id, on_progress=lambda *words: told.append(words))
    assert record.counts == {"done": 6, "stopped": 2}
    said = [stage for stage, _ in told if stage.startswith("trial")]
    assert said[0].startswith("trial 3 of 4")
    assert said[-1].startswith("trial 4 of 4")
    assert told[-1][1] == 1.0
    with pytest.raises(StoreError, match="it is succeeded"):
        take_up(project, second.id, "sweep")


def test_a_sweep_deleted_before_its_run_goes_on_begins_anew(project, calm_torch):
    run = queue_sweep(project, short(name="gone", trials=3))
    with pytest.raises(KeyboardInterrupt):
        sweep_run(project, run.id, hooks=[Interrupting(2)])
    SweepStore(project).delete("gone")
    assert sweep_run(project, run.id).counts == {"done": 3}


def test_one_run_at_a_time_works_on_a_sweep(project):
    run = queue_sweep(project, SweepRequest.of(**BIASES, name="mine"))
    with pytest.raises(StoreError, match=f"Run {run.id} works on the sweep mine"):
        submit_sweep(project, **BIASES, name="mine")
    assert queue_sweep(project, SweepRequest.of(**BIASES)).record.request["name"] == "biases-1"
    assert queue_sweep(project, SweepRequest.of(**BIASES)).record.request["name"] == "biases-2"


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        ({"search": ["dropout=0..7"]}, HyperparameterError, "dropout = 7.0 cannot be searched"),
        ({"trials": 0}, HyperparameterError, "trials = 0"),
        ({"name": "a/b"}, HyperparameterError, "name = 'a/b'"),
        ({"training": {"dataset": "none"}}, NotFoundError, "none"),
        ({**BIASES, "name": "kept", "metric": "val_ndcg_10"}, StoreError, "another metric"),
    ],
)
def test_what_cannot_be_is_not_queued(project, request_, error, said):
    sweep_run(project, queue_sweep(project, SweepRequest.of(**BIASES, name="kept")).id)
    with pytest.raises(error, match=said):
        submit_sweep(project, **request_)
    assert [run.request["name"] for run in runs_of(project)] == ["kept"]
    assert [record.name for record in sweep_records(project)] == ["kept"]


def test_what_a_sweep_is_not(project):
    run = queue_sweep(project, SweepRequest.of(**BIASES))
    with pytest.raises(StoreError, match="is a sweep; only trainings are cloned"):
        clone(project, run.id)
    with pytest.raises(HyperparameterError, match=f"is a sweep.*sweep --resume {run.id}"):
        take_up(project, run.id)
    cancel(project, run.id)
    with pytest.raises(StoreError, match="cannot be started"):
        execute(project, run.id, states=("queued",))
    assert sweep_run(project, run.id).counts == {"done": 3}


def test_a_sweep_cancelled_in_a_terminal_says_how_to_go_on(project, calm_torch):
    class Cancelling(Interrupting):
        def on_epoch(self, result) -> None:
            if (self.seen, result.epoch) == (1, 1):
                cancel(project, run.id)
                for _ in range(600):  # the heartbeat hears it within a second
                    time.sleep(0.1)  # one long sleep would not be interrupted

    run = queue_sweep(project, short())
    with pytest.raises(TrainingError, match=f"cancelled before.*sweep --resume {run.id}"):
        sweep_run(project, run.id, hooks=[Cancelling(0)])
    assert get_run(project, run.id).state == "cancelled"


def test_a_sweep_in_the_background_of_a_shell_hears_that_it_is_cancelled(project):
    words = ["sweep", "--preset=svd", "--name=long", "--search=regularization", "--trials=10000"]
    # as under `movierec sweep &` in a script: SIGINT is ignored
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "movierec", *words],
            env={**process_environment(project)}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, handler)
    with process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not runs_of(project) and time.monotonic() < deadline:
                time.sleep(0.05)
            (run,) = runs_of(project)
            wait_for(project, run.id, lambda run: run.stage.startswith("trial"))
            cancel(project, run.id)
            run = wait_for(project, run.id, ended)
            _, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()  # it would go on for hours
    assert (run.state, run.error) == ("cancelled", "Stopped before it ended.")
    assert (process.returncode, "was cancelled before it ended" in err) == (6, True)


def test_the_command_line_queues_shows_and_resumes(project):
    words = ("sweep", "--preset", "biases", "--trials", 2)
    said = movierec(project, *words, "--queue", "--json").facts
    assert (said["kind"], said["state"]) == ("sweep", "queued")
    assert wait_for(project, said["id"], ended).state == "succeeded"
    assert len(movierec(project, "sweeps", "show", "biases-1", "--json").facts["trials"]) == 2
    assert "sweep biases-1" in movierec(project, "runs", "list", width=200).out
    assert "the sweep biases-2, waits" in movierec(project, *words, "--queue").out
    second = runs_of(project)[0]
    wait_for(project, second.id, ended)
    refused = movierec(project, "sweep", "--resume", second.id)
    assert (refused.code, "it is succeeded" in one_line(refused)) == (5, True)
    both = movierec(project, "sweep", "--resume", second.id, "--preset", "svd")
    assert (both.code, "other options" in one_line(both)) == (2, True)


def test_ctrl_c_in_a_terminal_and_resume(project):
    fixed = [f"--{k.replace('_', '-')}={v}" for k, v in TRAINING["hyperparameters"].items()]
    words = ["sweep", "--preset=report", "--search=learning_rate", "--trials=3", *fixed]
    with subprocess.Popen(
        [sys.executable, "-m", "movierec", *words],
        env={**process_environment(project)}, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not runs_of(project) and time.monotonic() < deadline:
            time.sleep(0.05)
        (run,) = runs_of(project)
        assert get_run(project, run.id).pid == process.pid
        wait_for(project, run.id, trials_done(project, 1))
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err == f"Stopped. Do the missing trials with `movierec sweep --resume {run.id}`.\n"
    assert get_run(project, run.id).state == "interrupted"
    resumed = movierec(project, "sweep", "--resume", run.id, "--json").facts
    states = [trial["state"] for trial in resumed["trials"]]
    assert (states.count("done"), states.count("stopped")) == (3, 1)
