"""The queue: order, claims, moves, what workers leave behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from movierec.errors import NotFoundError, StoreError
from movierec.processes import mark_of, own_mark
from movierec.settings import Settings
from movierec.store import open_store


@pytest.fixture
def store(tmp_path, database_url):
    with open_store(Settings(home=tmp_path, database_url=database_url)) as opened:
        yield opened


def add(store, *priorities: int) -> list[int]:
    return [store.runs.add("train", request={}, priority=p).id for p in priorities]


def order(store) -> list[int]:
    return [run.id for run in store.queue.waiting()]


def taken(store, worker: int = 1) -> list[int]:
    claims = iter(lambda: store.queue.claim(worker), None)
    return [run.id for run in claims]


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    return child.pid


def test_runs_are_taken_by_priority_then_in_the_order_they_came(store):
    first, second, urgent, later = add(store, 0, 0, 5, -1)
    assert order(store) == [urgent, first, second, later]
    assert taken(store) == [urgent, first, second, later]
    assert store.queue.claim(1) is None


@pytest.mark.parametrize(
    ("where", "expected"),
    [("first", [3, 1, 2, 4]), ("up", [1, 3, 2, 4]), ("down", [1, 2, 4, 3]), ("last", [1, 2, 4, 3])],
)
def test_moves(store, where, expected):
    add(store, 0, 0, 0, 0)
    store.queue.move(3, where)
    assert order(store) == expected


def test_moving_up_again_and_again_reaches_the_front_and_stays(store):
    add(store, 0, 0, 0, 0)
    seen = [store.queue.move(4, "up") and order(store) for _ in range(4)]
    assert seen == [[1, 2, 4, 3], [1, 4, 2, 3], [4, 1, 2, 3], [4, 1, 2, 3]]


def test_a_move_stays_within_its_priority(store):
    add(store, 1, 0, 0)
    store.queue.move(3, "first")
    assert order(store) == [1, 3, 2]
    store.queue.prioritise(3, 2)
    assert order(store) == [3, 1, 2]


def test_only_waiting_runs_move(store):
    add(store, 0)
    store.queue.claim(1)
    with pytest.raises(StoreError, match="not waiting any more"):
        store.queue.move(1, "first")
    with pytest.raises(StoreError, match="not waiting any more"):
        store.queue.prioritise(1, 3)
    with pytest.raises(NotFoundError):
        store.queue.move(9, "first")


@pytest.mark.parametrize("number", [9, 0, -1, 2**31, 2**70])
def test_a_number_that_no_run_has(store, number):
    add(store, 0)
    asked = (store.queue.requeue, lambda n: store.queue.prioritise(n, 1), store.runs.get)
    for ask in (*asked, store.runs.epochs, store.runs.request_cancel, store.runs.start):
        with pytest.raises(NotFoundError, match=f"no run {number}"):
            ask(number)
    assert len(store.runs.list(before=max(number, 9))) == 1


def test_a_cancelled_run_is_not_taken(store):
    add(store, 0, 0)
    store.runs.request_cancel(1)
    assert taken(store) == [2]


def test_a_run_is_put_back_with_its_epochs_and_goes_on(store):
    (run,) = add(store, 0)
    store.runs.start(run)
    with pytest.raises(StoreError, match="it is running"):
        store.queue.requeue(run)
    store.runs.finish(run, "failed", error="The disk is full.", traceback="Traceback …")
    again = store.queue.requeue(run)
    assert (again.state, again.error, again.traceback) == ("queued", "", "")
    assert again.started_at is not None  # so that its process resumes
    assert taken(store) == [run]


def test_a_claim_whose_worker_died_goes_back_to_the_queue(store):
    (run,) = add(store, 0)
    store.queue.claim(1)
    assert order(store) == []
    _belongs_to(store, run, dead_pid())
    assert store.runs.mark_interrupted() == []
    assert order(store) == [run]


def test_a_process_that_died_before_its_first_word_is_not_started_for_ever(store):
    (run,) = add(store, 0)
    store.queue.claim(1)
    store.runs.assign(run, dead_pid())
    assert [found.id for found in store.runs.mark_interrupted()] == [run]
    assert order(store) == []


def test_a_run_for_one_host_is_left_to_its_workers(store):
    here = own_mark().host
    theirs = store.runs.add("import", request={}, kept_for="elsewhere").id
    assert store.queue.is_empty()
    assert store.queue.claim(1) is None
    assert order(store) == [theirs]
    mine = store.runs.add("import", request={}, kept_for=here).id
    assert not store.queue.is_empty()
    assert taken(store) == [mine]
    _belongs_to(store, mine, dead_pid())
    store.runs.mark_interrupted()
    assert store.runs.get(mine).host == here
    assert taken(store) == [mine]
    store.runs.finish(theirs, "failed", error="x")
    assert store.queue.requeue(theirs).host == "elsewhere"


def _belongs_to(store, run: int, pid: int) -> None:
    from sqlalchemy import text

    with store.engine.begin() as connection:
        values = {"pid": pid, "at": mark_of(pid).started_at, "id": run}
        connection.execute(
            text("UPDATE runs SET pid = :pid, pid_started_at = :at WHERE id = :id"), values
        )


def test_workers_that_are_gone_are_forgotten(store):
    worker = store.queue.add_worker(2)
    assert [w.pid for w in store.queue.workers()] == [os.getpid()]
    from sqlalchemy import text

    with store.engine.begin() as connection:
        connection.execute(text("UPDATE workers SET pid = :pid"), {"pid": dead_pid()})
    assert store.queue.workers() == []
    store.queue.beat(worker)  # it lived after all
    assert [w.id for w in store.queue.workers()] == [worker.id]


def test_lists_are_filtered_and_paged(store):
    for number in range(6):
        preset = "default" if number % 2 else "ease"
        store.runs.add("train", preset=preset, dataset_name=f"set-{number % 3}", request={})
    store.runs.finish(2, "failed", error="x")
    ids = [run.id for run in store.runs.list(presets=["default"])]
    assert ids == [6, 4, 2]
    assert [run.id for run in store.runs.list(2, before=5)] == [4, 3]
    assert [run.id for run in store.runs.list(states=["failed"], datasets=["set-1"])] == [2]
    assert store.runs.count(presets=["ease"]) == 3
    assert store.runs.count() == 6
    assert store.runs.names() == (["default", "ease"], ["set-0", "set-1", "set-2"])


def test_what_a_process_tells_is_kept_together(store):
    (run,) = add(store, 0)
    store.runs.add_facts(run, {"device": "cpu", "epochs": 3})
    store.runs.add_facts(run, {"epochs": 4})
    assert store.runs.get(run).facts == {"device": "cpu", "epochs": 4}
