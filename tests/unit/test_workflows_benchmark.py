"""Models side by side: what happens when one of them cannot be measured."""

from __future__ import annotations

import subprocess
import sys

import pytest

from movierec.errors import EvaluationError, HyperparameterError, SplitError
from movierec.store import open_store
from movierec.workflows.benchmark import _cause, benchmark, measure_row
from movierec.workflows.requests import TrainRequest
from tests.integration.project import project_in, runs_of


@pytest.fixture
def project(tmp_path):
    return project_in(tmp_path)


def test_a_model_that_fails_is_named_with_its_cause(project):
    def on_progress(stage: str, done: float) -> None:
        told.append((stage, done))
        with open_store(project) as store:
            store.datasets.delete("tiny")

    told: list[tuple[str, float]] = []
    with pytest.raises(EvaluationError, match=r"^mean, seed 3, failed: There is no data set"):
        benchmark([TrainRequest.of(preset="mean", seed=3)], project, on_progress=on_progress)
    assert told == [("mean, seed 3, random 80/20, seed 42", 0.0)]


def test_nothing_starts_when_one_request_cannot_be(project):
    told: list[str] = []
    requests = [
        TrainRequest.of(preset="mean"),
        TrainRequest.of(preset="mean", split={"name": "u1"}),
    ]
    with pytest.raises(SplitError):
        benchmark(requests, project, on_progress=lambda stage, _: told.append(stage))
    with pytest.raises(HyperparameterError):
        benchmark([TrainRequest(preset="svd", hyperparameters={"x": 1})], project)
    assert told == []


def test_rows_of_new_users_are_measured_as_versions_are(project):
    row = measure_row(
        TrainRequest.of(preset="knn", split={"name": "cold-users", "given": 3}), project
    )
    assert (row["model"], row["split"]) == ("knn", "cold-users")
    assert row["rmse"] > 0
    assert row["full"]["users"] == 6
    assert runs_of(project) == []


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL, perhaps for want"),
        ("raise SystemExit(3)", "exit code 3"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_how_a_process_ended_is_told(program, said):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert said in _cause(done)
