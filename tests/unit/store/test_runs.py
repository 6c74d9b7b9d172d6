"""Runs: states, one process each, honest about processes that died."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import update

from movierec.errors import NotFoundError, StoreError
from movierec.store import EpochRecord, open_store
from movierec.store.tables import RunRow

EPOCH = EpochRecord(1, 1.5, 1.25, 1.0, math.nan, 0.5, True)


@pytest.fixture
def settings(settings, database_url):
    return settings.model_copy(update={"database_url": database_url})


@pytest.fixture
def store(settings):
    with open_store(settings) as opened:
        yield opened


def tamper(store, run_id, **values):
    with store.engine.begin() as connection:
        connection.execute(update(RunRow).where(RunRow.id == run_id).values(**values))


def test_a_run_from_queue_to_success(store):
    run = store.runs.add("train", preset="report", dataset_name="ml", request={"lr": 0.001})
    assert (run.state, run.preset, run.request) == ("queued", "report", {"lr": 0.001})
    started = store.runs.start(run.id)
    assert (started.state, started.pid) == ("running", os.getpid())
    store.runs.beat(run.id, progress=0.5, stage="epoch 2 of 4")
    assert store.runs.active() == [store.runs.get(run.id)]
    store.runs.finish(run.id, "succeeded", version="v1.0.0")
    done = store.runs.get(run.id)
    assert (done.state, done.progress, done.stage) == ("succeeded", 1.0, "epoch 2 of 4")
    assert done.version == "v1.0.0"
    assert done.created_at <= done.started_at <= done.heartbeat_at <= done.finished_at
    assert done.finished_at.utcoffset() == timedelta(0)
    assert store.runs.active() == []


def test_a_failed_run_keeps_its_cause(store):
    run = store.runs.add("import", request={})
    store.runs.start(run.id)
    store.runs.finish(run.id, "failed", error="no", traceback="Traceback …")
    failed = store.runs.get(run.id)
    assert (failed.state, failed.error, failed.traceback) == ("failed", "no", "Traceback …")


def test_only_one_process_gets_a_run(store):
    run = store.runs.add("train", request={})
    store.runs.start(run.id)
    with pytest.raises(StoreError, match="is running: it cannot be started"):
        store.runs.start(run.id)


def test_a_finished_run_cannot_be_started(store):
    run = store.runs.add("train", request={})
    store.runs.start(run.id)
    store.runs.finish(run.id, "succeeded")
    with pytest.raises(StoreError, match="is succeeded"):
        store.runs.start(run.id)


def test_epochs_come_back_and_a_repeated_one_replaces(store):
    run = store.runs.add("train", request={})
    store.runs.add_epoch(run.id, EPOCH)
    store.runs.add_epoch(run.id, dataclasses.replace(EPOCH, epoch=2, is_best=False))
    store.runs.add_epoch(run.id, dataclasses.replace(EPOCH, train_loss=9.0))
    first, second = store.runs.epochs(run.id)
    assert (first.epoch, first.train_loss, first.is_best) == (1, 9.0, True)
    assert math.isnan(first.val_ndcg_10)
    assert (second.epoch, second.train_loss, second.is_best) == (2, 1.5, False)


def test_lists_and_the_latest(store):
    assert store.runs.latest() is None
    one = store.runs.add("train", request={})
    two = store.runs.add("import", request={})
    store.runs.finish(two.id, "failed")
    assert [run.id for run in store.runs.list()] == [two.id, one.id]
    assert [run.id for run in store.runs.list(limit=1)] == [two.id]
    assert [run.id for run in store.runs.list(states=("queued",))] == [one.id]
    assert store.runs.latest().id == two.id
    assert store.runs.latest("train").id == one.id


def test_cancelling(store):
    queued, running, done = (store.runs.add("train", request={}).id for _ in range(3))
    store.runs.start(running)
    store.runs.start(done)
    store.runs.finish(done, "succeeded")
    assert not store.runs.cancel_requested(running)
    for run_id in (queued, running, done):
        store.runs.request_cancel(run_id)
    assert [store.runs.get(i).state for i in (queued, running, done)] == [
        "cancelled",
        "running",
        "succeeded",
    ]
    assert store.runs.cancel_requested(running)
    assert not store.runs.cancel_requested(done)


def test_a_resumed_run_is_not_cancelled_again(store):
    run = store.runs.add("train", request={})
    store.runs.start(run.id)
    store.runs.add_epoch(run.id, EPOCH)
    store.runs.request_cancel(run.id)
    store.runs.finish(run.id, "cancelled")
    resumed = store.runs.start(run.id)
    assert (resumed.state, resumed.finished_at) == ("running", None)
    assert not resumed.cancel_requested
    assert len(store.runs.epochs(run.id)) == 1


@pytest.mark.parametrize("method", ["start", "get", "epochs", "request_cancel", "cancel_requested"])
def test_an_unknown_run(store, method):
    with pytest.raises(NotFoundError, match="no run 7"):
        getattr(store.runs, method)(7)


def test_an_unknown_run_is_not_written(store):
    with pytest.raises(NotFoundError):
        store.runs.beat(7, progress=0, stage="")
    with pytest.raises(NotFoundError):
        store.runs.add_epoch(7, EPOCH)
    with pytest.raises(NotFoundError):
        store.runs.finish(7, "failed")


def test_a_beat_does_not_revive_an_ended_run(store):
    run = store.runs.add("train", request={})
    store.runs.start(run.id)
    store.runs.finish(run.id, "cancelled")
    store.runs.beat(run.id, progress=0.9, stage="late")
    assert store.runs.get(run.id).stage == ""


def started_by_a_child(settings, store, *, reap: bool):
    """Return a run whose process was killed, and the process (a zombie unless reaped)."""
    run = store.runs.add("train", request={})
    code = (
        "import sys, time\n"
        "from movierec.settings import load_settings\n"
        "from movierec.store import open_store\n"
        f"open_store(load_settings()).runs.start({run.id})\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "started\n"
    assert store.runs.mark_interrupted() == []  # it lives
    child.kill()
    if reap:
        child.wait()
    else:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return run, child


@pytest.mark.parametrize("reap", [True, False], ids=["gone", "zombie"])
def test_a_killed_process_is_noticed(settings, store, reap):
    run, child = started_by_a_child(settings, store, reap=reap)
    (found,) = store.runs.mark_interrupted()
    assert (found.id, found.state) == (run.id, "interrupted")
    assert found.finished_at is not None
    assert store.runs.mark_interrupted() == []
    assert store.runs.start(run.id).state == "running"  # and can be taken up again
    child.communicate()


def test_a_process_id_that_was_given_again_counts_as_dead(store):
    run = store.runs.start(store.runs.add("train", request={}).id)
    tamper(store, run.id, pid_started_at=run.pid_started_at - 60)
    assert [found.id for found in store.runs.mark_interrupted()] == [run.id]


@pytest.mark.parametrize(("silence", "dead"), [(5, False), (16, True)])
def test_on_another_host_the_heartbeat_decides(store, silence, dead):
    run = store.runs.start(store.runs.add("train", request={}).id)
    then = run.heartbeat_at - timedelta(seconds=silence)
    tamper(store, run.id, host="elsewhere", heartbeat_at=then)
    assert bool(store.runs.mark_interrupted()) is dead


def test_each_run_has_its_own_log(settings, store):
    paths = {store.runs.add("train", request={}).log_path for _ in range(3)}
    assert len(paths) == 3
    assert all(path.startswith(str(settings.runs_path)) for path in paths)


def test_the_last_best_epoch_of_each_run_is_found(store):
    runs = [store.runs.add("train", request={}) for _ in range(3)]
    for run, bests in zip(runs, ([1, 2, 4], [1], []), strict=True):
        for number in range(1, 6):
            epoch = EpochRecord(number, 1.0, 1.0, 1.0, 0.3, 0.1, number in bests)
            store.runs.add_epoch(run.id, epoch)
    best = store.runs.best_epochs([run.id for run in runs])
    assert {run_id: epoch.epoch for run_id, epoch in best.items()} == {
        runs[0].id: 4,
        runs[1].id: 1,
    }
    assert list(store.runs.best_epochs([runs[1].id])) == [runs[1].id]
    assert store.runs.best_epochs([]) == {}
