"""The worker and its queue, with real processes that are really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from movierec.errors import StoreError
from movierec.jobs import cancel, clone, ensure_worker, resume, submit_train
from movierec.jobs.foreground import queue_train, train_run
from movierec.jobs.retention import drop_old_checkpoints
from movierec.jobs.worker import Worker
from movierec.processes import is_alive
from movierec.settings import Settings
from movierec.store import ACTIVE_STATES, RunRecord, open_store
from movierec.store.queue import QueueStore
from movierec.workflows.requests import TrainRequest
from tests.integration.jobs.test_process import assert_same_version, has_epochs, wait_for
from tests.support.project import (
    end_processes,
    get_run,
    movierec,
    one_line,
    process_environment,
    project_in,
    runs_of,
    stand_still,
)

PATIENCE = 120.0  # seconds; only a hanging process takes so long
LONG = {"hidden_dim": 8, "num_layers": 1, "epochs": 10_000, "early_stopping_patience": 10_000}
SHORT = LONG | {"epochs": 100}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Settings]:
    settings = project_in(tmp_path)
    yield settings
    end_processes(settings)


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def queue(settings: Settings, *presets: str, **request: object) -> list[int]:
    """Add runs to the queue without seeing to a worker."""
    with open_store(settings) as store:
        added = [
            store.runs.add("train", preset=p, dataset_name="tiny", request={"preset": p, **request})
            for p in presets
        ]
    return [run.id for run in added]


def worker(settings: Settings, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "movierec", "worker", *options]
    return subprocess.Popen(
        command, env=process_environment(settings), text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def workers(settings: Settings) -> list[int]:
    with open_store(settings) as store:
        return [found.pid for found in store.queue.workers()]


def ended(run: RunRecord) -> bool:
    return run.state not in ACTIVE_STATES


def test_runs_are_done_one_after_the_other_in_their_order(project):
    first, second, third = queue(project, "mean", "popular", "biases")
    with open_store(project) as store:
        store.queue.move(third, "first")
        store.queue.prioritise(second, 1)
    done = worker(project, "--once")
    out, err = done.communicate(timeout=PATIENCE)
    assert (done.returncode, err) == (0, "")
    runs = [get_run(project, run_id) for run_id in (second, third, first)]
    assert [run.state for run in runs] == ["succeeded"] * 3
    ends = [run.finished_at for run in runs]
    assert all(run.started_at >= end for run, end in zip(runs[1:], ends, strict=False))
    assert f"run {second} started" in out


def test_slots_are_how_many_run_at_once(project):
    ids = queue(project, "report", "report", "report", hyperparameters=LONG)
    process = worker(project, "--slots", "2")
    with open_store(project) as store:
        until(lambda: len(store.runs.list(states=["running"])) == 2, "two run")
        time.sleep(2)
        assert [run.id for run in store.queue.waiting()] == [ids[2]]
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None  # takes no more, and waits
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert [get_run(project, run_id).state for run_id in ids] == ["interrupted"] * 2 + ["queued"]


def test_the_first_run_brings_a_worker_and_two_at_once_bring_one(project):
    queue(project, "report", hyperparameters=LONG)
    askers = [threading.Thread(target=ensure_worker, args=(project,)) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    until(lambda: workers(project), "a worker")
    time.sleep(6)  # longer than the others wait for the lock
    assert len(workers(project)) == 1
    assert get_run(project, 1).state == "running"


def test_a_worker_that_started_by_itself_goes_when_there_is_nothing_to_do(project):
    run = submit_train(project, "popular", "tiny")
    wait_for(project, run.id, ended)
    until(lambda: not workers(project), "the worker to end")
    again = submit_train(project, "mean", "tiny")
    assert wait_for(project, again.id, ended).state == "succeeded"


def test_a_run_outlives_its_worker_and_the_queue_goes_on(project):
    run = submit_train(project, "report", "tiny", hyperparameters=LONG)
    wait_for(project, run.id, has_epochs(project, 2))
    (waiting,) = queue(project, "mean")
    (pid,) = workers(project)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not workers(project), "the worker to be missed")
    with open_store(project) as store:
        before = len(store.runs.epochs(run.id))
    wait_for(project, run.id, has_epochs(project, before + 5))
    ensure_worker(project)
    until(lambda: workers(project), "another worker")
    time.sleep(2)
    assert get_run(project, waiting).state == "queued"  # the slot is taken by the run that goes on
    cancel(project, run.id)
    assert wait_for(project, run.id, ended).state == "cancelled"
    assert wait_for(project, waiting, ended).state == "succeeded"


def test_cancelled_and_resumed_it_ends_as_if_nothing_had_been(project, tmp_path, calm_torch):
    run = submit_train(project, "report", "tiny", hyperparameters=SHORT, seed=3)
    wait_for(project, run.id, has_epochs(project, 3))
    cancel(project, run.id)
    assert wait_for(project, run.id, ended).state == "cancelled"
    assert resume(project, run.id).state == "queued"
    run = wait_for(project, run.id, ended)
    assert run.state == "succeeded"
    with open_store(project) as store:
        assert [e.epoch for e in store.runs.epochs(run.id)] == list(range(1, 101))
    elsewhere = project_in(tmp_path / "elsewhere")
    request = TrainRequest.of(preset="report", hyperparameters=SHORT, seed=3)
    straight = train_run(elsewhere, queue_train(elsewhere, request).id)
    assert_same_version(project, run.version, elsewhere, straight.name)


def test_a_run_that_does_not_hear_is_killed(project):
    deaf = project.model_copy(update={"cancel_grace": 1.0})
    run = submit_train(deaf, "report", "tiny", hyperparameters=LONG)
    pid = wait_for(deaf, run.id, has_epochs(deaf, 1)).pid
    stand_still(deaf, pid)
    cancel(deaf, run.id)
    run = wait_for(deaf, run.id, ended)
    assert run.state == "cancelled"
    assert "Killed: it did not stop within 1 s." in run.error
    until(lambda: not is_alive(pid, run.pid_started_at), "the process to be gone")
    assert not [*deaf.models_path.glob("v*")]


def test_a_clone_differs_in_what_was_changed(project):
    run = submit_train(project, "report", "tiny", hyperparameters=SHORT | {"epochs": 2}, seed=4)
    wait_for(project, run.id, ended)
    copy = clone(project, run.id, hyperparameters={"epochs": 3})
    assert copy.parent_id == run.id
    assert copy.request["seed"] == 4
    assert copy.request["hyperparameters"] == SHORT | {"epochs": 3}
    assert wait_for(project, copy.id, ended).facts["epochs"] == 3
    with pytest.raises(StoreError, match="cannot be taken up"):
        resume(project, run.id)


def claimed_by_many(project: Settings, count: int, n_workers: int) -> Counter[str]:
    """Let workers in processes of their own claim every run; return how often each was taken."""
    with open_store(project) as store:
        for _ in range(count):
            store.runs.add("train", request={})
    script = (
        "from movierec.settings import load_settings\n"
        "from movierec.store import open_store\n"
        "with open_store(load_settings()) as store:\n"
        "    me = store.queue.add_worker(1)\n"
        "    while run := store.queue.claim(me.id):\n"
        "        store.runs.start(run.id, states=('queued',))\n"
        "        print(run.id, flush=True)\n"
        "        store.runs.finish(run.id, 'succeeded')\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script], env=process_environment(project), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(n_workers)
    ]  # fmt: skip
    said = [process.communicate(timeout=PATIENCE) for process in started]
    assert [err for _, err in said] == [""] * n_workers
    assert sum(bool(out) for out, _ in said) > 1  # it was a race
    return Counter(line for out, _ in said for line in out.split())


def test_eight_workers_take_each_of_a_hundred_runs_once(project):
    taken = claimed_by_many(project, 100, 8)
    assert taken == Counter(str(number) for number in range(1, 101))
    assert {run.state for run in runs_of(project)} == {"succeeded"}


def test_a_claim_whose_answer_was_lost_is_not_forgotten(project, monkeypatch, caplog):
    (run_id,) = queue(project, "popular")
    real, lost = QueueStore.claim, []

    def claim(self, worker_id):
        run = real(self, worker_id)
        if not lost:
            lost.append(run.id)
            raise StoreError("The database went away.")
        return run

    monkeypatch.setattr(QueueStore, "claim", claim)
    Worker(project, idle=2.0).work()
    assert lost == [run_id]
    assert get_run(project, run_id).state == "succeeded"
    assert "could not look at the queue: The database went away." in caplog.text


def test_the_command_line_changes_the_queue(project):
    first, second = queue(project, "mean", "popular")
    assert movierec(project, "runs", "move", second, "first").code == 0
    with open_store(project) as store:
        assert [run.id for run in store.queue.waiting()] == [second, first]
    said = movierec(project, "runs", "list", "--state", "queued", "--preset", "mean", "--json")
    assert [run["id"] for run in said.facts] == [first]
    assert movierec(project, "runs", "cancel", first).code == 0
    assert get_run(project, first).state == "cancelled"
    said = movierec(project, "runs", "resume", first, "--json")
    assert said.facts["state"] == "queued"
    assert "is queued" in one_line(movierec(project, "runs", "resume", first))
    assert wait_for(project, first, ended).state == "succeeded"
    said = movierec(project, "runs", "clone", first, "--seed", "7", "--json")
    assert (said.facts["parent_id"], said.facts["request"]["seed"]) == (first, 7)
    wait_for(project, said.facts["id"], ended)


def test_train_queue_leaves_the_run_to_the_worker(project):
    said = movierec(project, "train", "--queue", "--preset", "popular", "--json")
    assert said.facts["state"] == "queued"
    assert wait_for(project, said.facts["id"], ended).state == "succeeded"


def test_checkpoints_go_after_their_time_and_only_those(project):
    run = submit_train(project, "report", "tiny", hyperparameters=LONG)
    wait_for(project, run.id, has_epochs(project, 2))
    checkpoint = Path(run.log_path).with_name("checkpoint.pt")
    said = movierec(project, "runs", "prune", "--days", "0")
    assert said.code == 0
    assert checkpoint.is_file()  # it is in use
    cancel(project, run.id)
    wait_for(project, run.id, ended)
    with open_store(project) as store:
        assert drop_old_checkpoints(project, store) == 0
    assert movierec(project, "runs", "prune", "--days", "0", "--json").facts["freed_bytes"] > 0
    assert not checkpoint.exists()
    assert Path(run.log_path).is_file()
