"""A run's row and epochs in words: what is left, what it took, what its log says last."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from movierec.store.records import EpochRecord, RunKind, RunRecord, RunState
from movierec.ui.components.runs import facts as run_facts
from movierec.ui.components.runs.facts import (
    facts,
    log_tail,
    patience_left,
    seconds_left,
    took,
    what,
)
from tests.support import states

BEGUN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOT_YET = datetime(2200, 1, 1, tzinfo=UTC)  # as after a clock was set back
ENDED = tuple(state for state in get_args(RunState) if state not in ("queued", "running"))


def run_of(facts: Mapping[str, Any] | None = None, **values: Any) -> RunRecord:
    """A training that has been running for ten minutes."""
    now = datetime.now(UTC)
    begun = now - timedelta(minutes=10)
    plain: dict[str, Any] = {
        "id": 7, "kind": "train", "state": "running", "preset": "default",
        "dataset_name": "ml", "request": {"preset": "default", "hyperparameters": {}},
        "created_at": begun, "started_at": begun, "finished_at": None, "heartbeat_at": now,
        "pid": 1, "pid_started_at": 0.0, "progress": 0.0, "stage": "", "error": "",
        "traceback": "", "version": None, "log_path": "/no/such/run.log",
    }  # fmt: skip
    return RunRecord(**{**plain, **values}, facts=facts or {})


def epochs(n: int, best: int | None = None, seconds: float = 2.0) -> list[EpochRecord]:
    return [replace(e, seconds=seconds) for e in states.epochs(n, n if best is None else best)]


def test_every_state_has_a_sign_of_its_own() -> None:
    assert set(run_facts.SIGNS) == set(get_args(RunState))
    assert len({sign[0] for sign in run_facts.SIGNS.values()}) == len(run_facts.SIGNS)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "default on ml"),
        ({"kind": "import"}, "import of ml"),
        (
            {"kind": "evaluate", "request": {"versions": ["v1.0.0", "v1.2.0", "v1.1.0"]}},
            "evaluate v1.0.0, v1.2.0 and v1.1.0 together",
        ),
        ({"kind": "sweep"}, "sweep of default on ml"),
        ({"kind": "sweep", "request": {"name": "x"}}, "sweep x of default on ml"),
    ],
)
def test_what_a_run_does(values: dict[str, Any], said: str) -> None:
    assert what(run_of(**values)) == said


@pytest.mark.parametrize("kind", get_args(RunKind))
def test_every_kind_can_be_taken_up_again_in_words(kind: RunKind) -> None:
    request = {"versions": ["v1.0.0", "v1.1.0"]}
    assert "run 7" in run_facts.again(run_of(kind=kind, request=request))
    assert what(run_of(kind=kind, request=request))


def test_a_measuring_says_on_what() -> None:
    done = {"measured_on": "common to v1.0.0 and v1.1.0", "ratings": 4039, "users": 804}
    run = run_of(done, kind="evaluate", request={"versions": ["v1.0.0", "v1.1.0"]})
    found = facts(run, [])
    assert found.pop("Took")
    assert found == {
        "Measured on": "common to v1.0.0 and v1.1.0", "Ratings": "4,039", "Users": "804",
    }  # fmt: skip


def test_time_left_is_the_epochs_that_may_come() -> None:
    assert seconds_left(run_of({"epochs": 20}), epochs(8)) == pytest.approx(12 * 2.0)
    assert seconds_left(run_of({"epochs": 20}), epochs(20)) == 0
    assert seconds_left(run_of({"epochs": 20}), epochs(23)) == 0


def test_only_the_last_epochs_tell_how_fast_it_goes() -> None:
    """Slow ones long ago, as another program makes them, and a single slow one do not count."""
    slow = epochs(12, seconds=600.0)
    recent = [replace(e, epoch=e.epoch + 12) for e in epochs(10)]
    recent[4] = replace(recent[4], seconds=600.0)
    assert seconds_left(run_of({"epochs": 40}), slow + recent) == pytest.approx(18 * 2.0)


@pytest.mark.parametrize(
    ("run", "done"),
    [
        (run_of(), epochs(8)),
        (run_of({"epochs": 20}), []),
        (run_of({"epochs": 20}), epochs(8, seconds=math.nan)),
        (run_of({"epochs": 20}, state="queued"), epochs(8)),
        *((run_of({"epochs": 20}, state=state), epochs(8)) for state in ENDED),
    ],
)
def test_time_left_is_not_told_where_nobody_knows(run: RunRecord, done: list[EpochRecord]) -> None:
    assert math.isnan(seconds_left(run, done))
    assert "Time left" not in facts(run, done)


def test_epochs_that_were_not_timed_are_left_out() -> None:
    some = [replace(e, seconds=math.nan) if e.epoch % 2 else e for e in epochs(8)]
    assert seconds_left(run_of({"epochs": 10}), some) == pytest.approx(2 * 2.0)


def test_of_several_fits_the_bar_tells() -> None:
    run = run_of({"epochs": 20, "fits": 4}, progress=0.25)
    assert seconds_left(run, epochs(20)) == pytest.approx(30 * 60, rel=0.2)
    assert math.isnan(seconds_left(replace(run, progress=0.01), epochs(1)))
    assert math.isnan(seconds_left(replace(run, started_at=None), epochs(1)))
    assert seconds_left(replace(run, started_at=NOT_YET), epochs(20)) == 0


def test_patience_is_that_of_the_request() -> None:
    assert patience_left(run_of(), epochs(20, best=14)) == (20 - 6, 20)
    changed = {"preset": "report", "hyperparameters": {"early_stopping_patience": 8}}
    asked = run_of(preset="report", request=changed)
    assert patience_left(asked, epochs(20, best=14)) == (2, 8)
    assert patience_left(run_of(preset="report"), epochs(20, best=14)) == (0, 5)


def test_patience_counts_from_the_last_best_epoch() -> None:
    none_best = [replace(e, is_best=False) for e in epochs(6)]
    assert patience_left(run_of(), none_best) == (14, 20)
    assert patience_left(run_of(), epochs(6)) == (20, 20)


@pytest.mark.parametrize(
    "run",
    [
        run_of(preset="svd"),
        run_of(kind="import", preset=""),
        run_of(preset="of_a_newer_movierec"),
        run_of(request={"hyperparameters": {"was_removed": 1}}),
        *(run_of(state=state) for state in ENDED),
    ],
)
def test_patience_is_not_told_where_there_is_none(run: RunRecord) -> None:
    assert patience_left(run, epochs(5)) is None
    assert "Patience left" not in facts(run, epochs(5))


def test_facts_of_a_run_under_way() -> None:
    told = {"epochs": 20, "device": "cpu", "n_parameters": 28_417}
    done = [replace(e, memory_mb=812.4) for e in epochs(8)]
    found = facts(run_of(told), done)
    assert found.pop("Took").startswith("10 min")
    assert found == {
        "Epoch": "8 of 20",
        "Time left": "at most 24.0 s",
        "Per epoch": "2.00 s",
        "Patience left": "20 of 20 epochs",
        "Device": "cpu",
        "Memory": "812 MB at most",
        "Parameters": "28,417",
    }


def test_what_is_not_known_is_not_among_the_facts() -> None:
    waiting = run_of(state="queued", started_at=None)
    assert facts(waiting, []) == {}
    assert set(facts(run_of(), [])) == {"Took"}
    assert set(facts(run_of(), epochs(3, seconds=math.nan))) == {"Epoch", "Patience left", "Took"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"started_at": None}, "–"),
        ({"started_at": BEGUN, "finished_at": BEGUN + timedelta(minutes=3)}, "3 min 00 s"),
        ({"started_at": BEGUN, "finished_at": BEGUN - timedelta(hours=2)}, "0.0 s"),
        ({"started_at": NOT_YET}, "0.0 s"),
    ],
    ids=["waits", "ended", "clock-set-back", "not-yet"],
)
def test_how_long_it_took_is_never_negative(values: dict[str, Any], said: str) -> None:
    assert took(run_of(**values)) == said


def test_a_run_under_way_has_been_taking_until_now() -> None:
    assert took(run_of()).startswith("10 min")


def log(folder: Path, content: bytes) -> RunRecord:
    path = folder / "run.log"
    path.write_bytes(content)
    return run_of(log_path=str(path))


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    run = log(tmp_path, b"".join(b"line %d\n" % n for n in range(100)))
    assert log_tail(run).splitlines() == [f"line {n}" for n in range(60, 100)]
    assert log_tail(run, 2) == "line 98\nline 99"


@pytest.mark.parametrize("path", ["/no/such/run.log", "", "/"])
def test_a_log_that_is_not_there_is_empty(path: str) -> None:
    assert log_tail(run_of(log_path=path)) == ""


def test_an_empty_log(tmp_path: Path) -> None:
    assert log_tail(log(tmp_path, b"")) == ""


def test_of_a_huge_log_only_the_end_is_read(tmp_path: Path) -> None:
    """Ten gigabytes of holes, which nobody could read in time, and one line."""
    run = log(tmp_path, b"")
    with Path(run.log_path).open("r+b") as file:
        os.truncate(file.fileno(), 10 * 10**9)
        file.seek(0, os.SEEK_END)
        file.write(b"\nthe end\n")
    tail = log_tail(run)
    assert tail.endswith("\nthe end")
    assert len(tail) < 20_000


def test_a_huge_line_is_cut(tmp_path: Path) -> None:
    assert len(log_tail(log(tmp_path, b"x" * 10**6))) < 20_000


def test_bytes_that_are_no_text_are_marked(tmp_path: Path) -> None:
    assert log_tail(log(tmp_path, b"fine\n\xff\xfe broken\nfine")) == "fine\n�� broken\nfine"


def test_a_letter_that_the_cut_halves_breaks_nothing(tmp_path: Path) -> None:
    tail = log_tail(log(tmp_path, "ü".encode() * 20_001))
    assert set(tail) <= {"ü", "�"}


def test_workers_on_ray_are_among_the_facts() -> None:
    engine = {"name": "ray", "workers": 4, "address": None}
    assert facts(run_of(request={"engine": engine}), [])["Engine"] == "Ray, 4 workers"
    # one of a cluster was lost for good
    assert (
        facts(run_of({"workers": 1}, request={"engine": engine}), [])["Engine"] == "Ray, 1 worker"
    )
    assert "Engine" not in facts(run_of({"workers": 1}, request={}), [])
