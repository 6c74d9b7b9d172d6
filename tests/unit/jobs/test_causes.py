"""Why a run failed, in plain words: what real exceptions leave in a run's row, and what is said."""

from __future__ import annotations

import errno
import subprocess
import sys
import traceback
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from movierec.errors import MovierecError, NonFiniteError, NotFoundError, SettingsError, SplitError
from movierec.jobs.causes import advice
from movierec.runtime import pick_device
from movierec.store import RunRecord, RunState, open_store
from movierec.store.engine import store_error
from movierec.store.runs import LOST
from tests.conftest import PROJECT

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN = RunRecord(
    id=7, kind="train", state="failed", preset="default", dataset_name="{tiny}", request={},
    created_at=NOW, started_at=NOW, finished_at=NOW, heartbeat_at=NOW, pid=1, pid_started_at=1.0,
    progress=0.5, stage="epoch 3 of 4", error="", traceback="", version=None, log_path="run.log",
)  # fmt: skip


def ended(state: RunState, error: str, traceback: str = "") -> RunRecord:
    return replace(RUN, state=state, error=error, traceback=traceback)


def failed(error: BaseException) -> RunRecord:
    """A run as `execute` leaves it when it fails with this."""
    spoken = str(error) if isinstance(error, MovierecError) else f"{type(error).__name__}: {error}."
    return ended("failed", spoken, "".join(traceback.format_exception(error)))


def raised_by(work) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        work()
    return caught.value


def too_much_for_torch() -> None:
    torch.empty(2**50)


def too_much_for_numpy() -> None:
    np.zeros(2**50)


def database_says(words: str):
    return store_error(Exception(words), "sqlite:////data/recommender.db")


def on_the_card() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has …")


@pytest.mark.parametrize(
    ("error", "cause", "change"),
    [
        (on_the_card(), "graphics card's memory", "train on the CPU"),
        (raised_by(too_much_for_torch), "machine ran out of memory", "lower hidden_dim"),
        (raised_by(too_much_for_numpy), "machine ran out of memory", "lower hidden_dim"),
        (MemoryError(), "machine ran out of memory", "lower hidden_dim"),
        (
            NonFiniteError("The rating loss became NaN in epoch 2, step 1 of 3."),
            "numbers blew up", "Lower learning_rate",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full", "Make space"),
        (database_says("database or disk is full"), "disk is full", "Make space"),
        (OSError(errno.EROFS, "Read-only file system"), "may not be written", "writable"),
        (PermissionError(errno.EACCES, "Permission denied"), "may not be written", "writable"),
        (
            database_says("attempt to write a readonly database"),
            "may not be written", "writable",
        ),
        (database_says("database is locked"), "held the database", "End that program"),
        (database_says("connection refused"), "database could not be used", "doctor"),
        (database_says("database disk image is malformed"), "database could not", "doctor"),
        (NotFoundError("There is no data set 'x'.", hint="There is 'y'."), "{tiny} is gone", "Imp"),
        (raised_by(lambda: pick_device("cuda:99")), "device it was to train on", "auto or cpu"),
        (SettingsError("There is no device called 'tpu'."), "device it was", "auto or cpu"),
        (
            MovierecError("The checkpoint /r/7/checkpoint.pt cannot be read."),
            "checkpoint is damaged", "runs clone 7",
        ),
    ],
)  # fmt: skip
def test_known_failures(error, cause, change):
    found = advice(failed(error))
    assert found is not None
    assert cause in found.cause
    assert change in found.change


def test_a_sentence_of_our_own_is_passed_on():
    found = advice(failed(SplitError("The data set has no timestamps.", hint="Take `random`.")))
    assert found is not None
    assert found.cause == "The data set has no timestamps. Take `random`."
    assert "movierec runs logs 7" in found.change


def test_what_nobody_foresaw_points_at_the_log():
    found = advice(failed(ZeroDivisionError("division by zero")))
    assert found is not None
    assert "did not foresee" in found.cause
    assert "movierec runs logs 7" in found.change


def test_quoted_lines_of_code_are_no_cause():
    lines = '  File "x.py", line 3\n    raise OSError("No space left on device")\nKeyError: 1\n'
    found = advice(ended("failed", "Run 7 failed: KeyError: 1.", lines))
    assert found is not None
    assert "did not foresee" in found.cause


def test_an_import_of_an_unknown_name_is_no_deleted_data_set():
    error = NotFoundError("There is no data set 'ml-7' to fetch.", hint="There is 'ml-100k'.")
    found = advice(failed(error))
    assert found is not None
    assert found.cause == str(error)


def test_a_process_that_vanished_may_have_met_the_memory_killer():
    found = advice(ended("interrupted", LOST))
    assert found is not None
    assert "ran out of memory" in found.cause
    assert "Resume" in found.change


@pytest.mark.parametrize("kind", ["import", "evaluate"])
def test_what_has_no_checkpoint_starts_anew(kind):
    found = advice(replace(ended("interrupted", LOST), kind=kind))
    assert found is not None
    assert "ran out of memory" in found.cause
    assert found.change.startswith("Try it again: it starts from the beginning")


@pytest.mark.parametrize(
    ("state", "error"),
    [("succeeded", ""), ("running", ""), ("queued", ""), ("cancelled", "Stopped before it ended."),
     ("interrupted", "Stopped before it ended.")],
)  # fmt: skip
def test_nothing_to_say_of_what_did_not_fail(state, error):
    assert advice(ended(state, error)) is None


def test_a_run_of_the_store_found_dead_gets_the_advice(settings):
    with open_store(settings) as store:
        run = store.runs.add("train", request={})
        store.runs.assign(run.id, 2**22 + 1)  # no process can have this number
        (found,) = store.runs.mark_interrupted()
    assert advice(found) is not None


def test_pages_may_ask_without_loading_torch():
    code = "import movierec.jobs.causes, sys; print(sys.modules.keys() & {'torch', 'sklearn'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert (done.stdout, done.stderr) == ("set()\n", "")
