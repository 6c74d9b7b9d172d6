"""Who is alive: clocks that are set, ids that are given again, hosts whose clocks differ."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from sqlalchemy import update

from movierec.folders import clear_abandoned, incoming_folder
from movierec.processes import is_alive, mark_of, own_mark
from movierec.store import queue, run_rows, runs
from movierec.store.runs import LOST
from movierec.store.store import open_store
from movierec.store.tables import RunRow
from tests.conftest import PROJECT

HOUR = 3600.0
linux = pytest.mark.skipif(not psutil.LINUX, reason="only Linux tells starts since its boot")


@pytest.fixture
def store(settings, database_url):
    with open_store(settings.model_copy(update={"database_url": database_url})) as opened:
        yield opened


@pytest.fixture
def set_clock(tmp_path, monkeypatch) -> Callable[[float], None]:
    """Set this process's clock by some seconds: the time of day, and what Linux tells of its boot.

    Setting the real one would change it for every program of the machine.
    """

    def set_by(seconds: float) -> None:
        proc = tmp_path / "proc"
        proc.mkdir()
        told = Path("/proc/stat").read_text()
        moved = re.sub(r"(?m)^btime (\d+)$", lambda m: f"btime {int(m[1]) + seconds:.0f}", told)
        assert moved != told
        (proc / "stat").write_text(moved)
        for process in Path("/proc").glob("[0-9]*"):
            (proc / process.name).symlink_to(process)
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(proc))
        for module in (runs, queue, run_rows):
            monkeypatch.setattr(
                module, "_now", lambda: datetime.now(UTC) + timedelta(seconds=seconds)
            )

    return set_by


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield child
    child.kill()
    child.wait()


@linux
@pytest.mark.parametrize("seconds", [-HOUR, HOUR])
def test_the_living_live_when_the_clock_is_set(store, tmp_path, set_clock, seconds):
    run = store.runs.start(store.runs.add("train", request={}).id)
    worker = store.queue.add_worker(1)
    before = psutil.Process().create_time()
    with incoming_folder(tmp_path / "models") as folder:
        set_clock(seconds)
        assert psutil.Process().create_time() == pytest.approx(before + seconds, abs=2)  # it moved
        assert store.runs.mark_interrupted() == []
        assert [found.id for found in store.queue.workers()] == [worker.id]
        assert clear_abandoned(folder.parent) == []
        assert folder.is_dir()
    assert store.runs.get(run.id).state == "running"


@linux
@pytest.mark.parametrize("seconds", [-HOUR, HOUR])
def test_the_dead_are_found_when_the_clock_is_set(store, sleeper, set_clock, seconds):
    run = store.runs.add("train", request={})
    store.runs.assign(run.id, sleeper.pid)
    set_clock(seconds)
    assert store.runs.mark_interrupted() == []
    sleeper.kill()
    sleeper.wait()
    (found,) = store.runs.mark_interrupted()
    assert (found.id, found.state, found.error) == (run.id, "interrupted", LOST)


def test_a_mark_is_of_one_process_alone(sleeper):
    mark = mark_of(sleeper.pid)
    assert is_alive(sleeper.pid, mark.started_at)
    assert not is_alive(sleeper.pid, mark.started_at - 60)
    sleeper.kill()
    sleeper.wait()
    assert not is_alive(sleeper.pid, mark.started_at)
    assert mark_of(sleeper.pid).started_at == 0.0


REUSED = """
import os, subprocess, sys, time
from pathlib import Path
from movierec.settings import load_settings
from movierec.store import open_store

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
with open_store(load_settings()) as store:
    run = store.runs.add("train", request={})
    first = subprocess.Popen(SLEEPER)
    store.runs.assign(run.id, first.pid)
    assert store.runs.mark_interrupted() == []
    time.sleep(3)  # no system gives an id again at once
    first.kill()
    first.wait()
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
    second = subprocess.Popen(SLEEPER)
    found = store.runs.mark_interrupted()
    second.kill()
    print(second.pid == first.pid, [(one.id, one.state) for one in found])
"""


def test_a_process_id_that_is_really_given_again(settings):
    alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("only root can choose the next process id, in a namespace of its own")
    done = subprocess.run(
        [*alone, sys.executable, "-c", REUSED], cwd=PROJECT, text=True, capture_output=True,
        check=False, env=os.environ | {"MOVIEREC_HOME": str(settings.home)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("True [(1, 'interrupted')]\n", "")


@pytest.fixture
def elapse(monkeypatch) -> Callable[[float], None]:
    """Let seconds pass by this process's own clock."""
    passed = [0.0]
    monkeypatch.setattr(run_rows, "time", SimpleNamespace(monotonic=lambda: passed[0]))

    def pass_by(seconds: float) -> None:
        passed[0] += seconds

    return pass_by


def elsewhere(store, *, beat_at: datetime) -> int:
    """A running run of another host with its last beat at this moment."""
    run = store.runs.start(store.runs.add("train", request={}).id)
    beats(store, run.id, beat_at)
    return run.id


def beats(store, run_id: int, moment: datetime) -> None:
    with store.engine.begin() as connection:
        values = {"host": "elsewhere", "heartbeat_at": moment}
        connection.execute(update(RunRow).where(RunRow.id == run_id).values(**values))


@pytest.mark.parametrize("ahead", [-60.0, 0.0, HOUR], ids=["behind", "equal", "ahead"])
def test_another_hosts_clock_may_differ(store, elapse, ahead):
    """Its beats go on, an hour ahead of our clock or a minute behind: it lives."""
    theirs = datetime.now(UTC) + timedelta(seconds=ahead)
    run_id = elsewhere(store, beat_at=theirs)
    store.runs._liveness.is_dead(store.runs.get(run_id))  # seen for the first time
    for second in range(1, 40):
        elapse(1)
        beats(store, run_id, theirs + timedelta(seconds=second))
        assert store.runs.mark_interrupted() == []


def test_a_beat_in_the_future_does_not_live_for_ever(store, elapse):
    run_id = elsewhere(store, beat_at=datetime.now(UTC) + timedelta(hours=1))
    assert store.runs.mark_interrupted() == []
    elapse(14)
    assert store.runs.mark_interrupted() == []
    elapse(2)
    assert [found.id for found in store.runs.mark_interrupted()] == [run_id]


def test_a_run_taken_for_dead_that_beats_again_is_running_again(store):
    run = store.runs.start(store.runs.add("train", request={}).id)
    beats(store, run.id, datetime.now(UTC) - timedelta(minutes=1))
    assert [found.id for found in store.runs.mark_interrupted()] == [run.id]
    with store.engine.begin() as connection:
        connection.execute(update(RunRow).values(host=own_mark().host))
    assert store.runs.beat(run.id, progress=0.5, stage="epoch 2 of 4")
    again = store.runs.get(run.id)
    assert (again.state, again.finished_at, again.error) == ("running", None, "")


def test_a_run_that_somebody_took_over_is_not_taken_back(store):
    run = store.runs.start(store.runs.add("train", request={}).id)
    beats(store, run.id, datetime.now(UTC) - timedelta(minutes=1))
    store.runs.mark_interrupted()
    store.queue.requeue(run.id)
    assert not store.runs.beat(run.id, progress=0.5, stage="")
    assert store.runs.get(run.id).state == "queued"
    assert store.queue.claim(1) is not None
