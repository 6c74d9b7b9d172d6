"""Models side by side: what a row holds, and what happens when one cannot be measured."""

from __future__ import annotations

import sys

import pytest

from movierec.benchmark.row import ROW_KEYS, label_of, measure_rows
from movierec.benchmark.run import _cause, _jobs, _run, benchmark
from movierec.errors import EvaluationError, HyperparameterError, SplitError
from movierec.store import open_store
from movierec.workflows.requests import TrainRequest
from tests.support.project import SMALL, project_in, runs_of


@pytest.fixture
def project(tmp_path):
    return project_in(tmp_path)


def new_users(preset: str, *given: int, **fields) -> list[TrainRequest]:
    splits = [{"name": "cold-users", "given": number} for number in given]
    return [TrainRequest.of(preset=preset, split=split, **fields) for split in splits]


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


def test_a_row_and_what_it_leaves_behind(project):
    files = sorted(project.home.rglob("*"))
    (row,) = measure_rows(new_users("knn", 3), project)
    assert tuple(row)[: len(ROW_KEYS)] == ROW_KEYS
    assert (row["model"], row["split"], row["seed"]) == ("knn", "cold-users", 0)
    assert row["split_label"] == "cold-users (3 given), seed 42"
    assert row["rmse"] > 0
    assert row["full"]["users"] == 6
    assert list(row["stages"]) == ["load", "split", "fit", "evaluate", "floors", "save"]
    assert row["whole_seconds"] == pytest.approx(sum(row["stages"].values()), abs=1e-6)
    assert row["fit_seconds"] == row["stages"]["fit"]
    assert None not in (row["peak_memory_mb"], row["predict_seconds"], row["parameters"])
    assert runs_of(project) == []
    with open_store(project) as store:
        assert store.versions.list() == []
    new = set(project.home.rglob("*")) - set(files)
    assert not [path for path in new if path.is_relative_to(project.models_path)]


@pytest.mark.parametrize("preset", ["biases", "default"])
def test_one_fit_serves_every_number_of_given_ratings(project, preset):
    changes = {"hyperparameters": SMALL} if preset == "default" else {}
    one, three = new_users(preset, 1, 3, **changes)
    together = measure_rows([one, three], project)
    (alone,) = measure_rows([three], project)
    for key in ("rmse", "mae", "full", "rated", "test_sha256", "split_label", "parameters"):
        assert together[1][key] == alone[key], key
    assert together[0]["fit_seconds"] == together[1]["fit_seconds"]
    assert together[0]["rmse"] != together[1]["rmse"]


def test_a_fit_is_not_used_on_a_split_with_another_train_part(project):
    requests = [TrainRequest.of(preset="mean", split={"seed": seed}) for seed in (1, 2)]
    with pytest.raises(SplitError, match="their train parts differ"):
        measure_rows(requests, project)


def test_which_requests_share_a_fit():
    seeds = [request for seed in (0, 1) for request in new_users("mean", 1, 3, seed=seed)]
    other = TrainRequest.of(preset="mean", split={"name": "cold-users", "seed": 1})
    random = [TrainRequest.of(preset="mean", split={"given": given}) for given in (1, 2)]
    assert _jobs([*seeds, other, *random], range(7)) == [[0, 1], [2, 3], [4], [5], [6]]
    assert _jobs(seeds, [1, 3]) == [[1], [3]]


def test_labels_tell_trainings_apart():
    assert label_of(TrainRequest.of(preset="ease")) == "ease"
    request = TrainRequest.of(preset="default", members=5, hyperparameters={"epochs": 60})
    assert label_of(request) == "default, 5 members, epochs=60"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL, perhaps for want"),
        ("raise SystemExit(3)", "exit code 3"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_how_a_process_ended_is_told(program, said):
    code, out, err = _run([sys.executable, "-c", program], "x" * 1_000_000)
    assert said in _cause(code, err)
    assert out == ""


def test_a_measuring_process_ends_when_the_one_that_started_it_is_gone():
    alone = "from movierec.benchmark.row import _leave_with_parent as leave; leave()"
    starter = (
        "import os, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {alone!r}], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True); os._exit(0)"
    )
    # the child holds the same stdout, which ends only when both are gone
    code, out, _ = _run([sys.executable, "-c", starter], "")
    assert (code, out.strip().isdecimal()) == (0, True)
