"""Where a training is worked on: what can be asked for, and what Ray is needed for."""

from __future__ import annotations

import sys

import pytest

from movierec.cluster.connection import has_ray, require_ray, share_of_worker
from movierec.cluster.engine import device_of_workers
from movierec.errors import HyperparameterError, SettingsError
from movierec.workflows.requests import EngineOptions, TrainRequest


def test_nothing_asked_for_is_this_process():
    engine = TrainRequest.of().engine
    assert (engine.is_ray, engine.options, engine.facts) == (False, [], {})


def test_an_old_runs_request_has_no_engine():
    stored = TrainRequest.of().model_dump(mode="json")
    del stored["engine"]
    assert TrainRequest.of(**stored) == TrainRequest.of()


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ({"name": "ray", "workers": 0}, "engine.workers = 0"),
        ({"name": "ray", "workers": 1025}, "engine.workers = 1025"),
        ({"name": "dask"}, "engine.name = 'dask'"),
        ({"name": "ray", "address": " "}, "leave it out to start a cluster"),
        ({"name": "ray", "address": "ray://head:10001"}, "10.0.0.1:6379"),
        ({"workers": 2}, "need the engine ray"),
        ({"address": "auto"}, "need the engine ray"),
        ({"name": "ray", "cpus": 2}, "engine.cpus"),
    ],
)
def test_what_cannot_be_is_refused_in_words(engine, words):
    with pytest.raises(HyperparameterError) as caught:
        TrainRequest.of(engine=engine)
    assert words in str(caught.value)


def test_a_baseline_is_fitted_in_one_process():
    with pytest.raises(HyperparameterError, match="not the baseline ease"):
        TrainRequest.of(preset="ease", engine={"name": "ray"})


def test_where_ray_is_missing_the_hint_installs_it(monkeypatch):
    assert has_ray()
    monkeypatch.setitem(sys.modules, "ray", None)
    assert not has_ray()
    with pytest.raises(SettingsError) as caught:
        require_ray()
    assert "make ray" in caught.value.hint


def test_a_worker_has_a_core_or_the_threads_that_are_set():
    assert share_of_worker("cpu", 0) == {"CPU": 1}
    assert share_of_worker("cuda", 3) == {"CPU": 3, "GPU": 1}


@pytest.mark.parametrize("name", ["mps", "tpu", "cuda0"])
def test_workers_compute_on_cpu_or_cuda(name):
    with pytest.raises(SettingsError, match=name):
        device_of_workers(EngineOptions(name="ray"), name)


def test_a_cluster_elsewhere_computes_on_what_is_named():
    there = EngineOptions(name="ray", workers=8, address="head:6379")
    assert device_of_workers(there, "auto") == "cpu"
    assert device_of_workers(there, "cuda") == "cuda"


def test_a_device_for_each_worker_is_needed_here():
    with pytest.raises(SettingsError, match="CUDA devices for 1024 workers"):
        device_of_workers(EngineOptions(name="ray", workers=1024), "cuda")
    assert device_of_workers(EngineOptions(name="ray", workers=1024), "auto") == "cpu"
