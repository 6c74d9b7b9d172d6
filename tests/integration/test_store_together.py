"""Several processes on one project at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from movierec.errors import StoreError
from movierec.registry import Registry, VersionDraft
from movierec.settings import Settings
from movierec.store import open_store
from tests.factories import make_dataset
from tests.integration.crash import together

PROCESSES = 4


def open_only(home: Path) -> None:
    with open_store(Settings(home=home)) as store:
        store.runs.list()


def save(home: Path) -> None:
    settings = Settings(home=home)
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.reconcile()
        for _ in range(3):
            arrays = {"factors": np.ones((20, 4))}
            registry.save(VersionDraft("ease", "ease", "d", "0" * 64, "u1", arrays=arrays))


def import_data(home: Path) -> None:
    with open_store(Settings(home=home)) as store:
        store.datasets.add(make_dataset(), {})
        store.datasets.load()


def take_run(home: Path) -> None:
    with open_store(Settings(home=home)) as store:
        try:
            store.runs.start(1)
        except StoreError:
            return
        (home / f"taken-{np.random.default_rng().integers(2**60)}").touch()


def count_up(home: Path) -> None:
    with open_store(Settings(home=home)) as store:
        for _ in range(25):
            store.runs.add("train", request={})


def test_the_first_start(tmp_path):
    assert together(PROCESSES, open_only, tmp_path) == [0] * PROCESSES


def test_saving_versions(tmp_path):
    assert together(PROCESSES, save, tmp_path) == [0] * PROCESSES
    settings = Settings(home=tmp_path)
    with open_store(settings) as store:
        registry = Registry(settings, store)
        assert registry.reconcile() == []
        names = {record.name for record in registry.list()}
        assert names == {f"v1.{minor}.0" for minor in range(3 * PROCESSES)}
        assert all(registry.verify(name) == [] for name in names)
        assert registry.get().name == "v1.0.0"


def test_importing_the_same_data(tmp_path):
    assert together(PROCESSES, import_data, tmp_path) == [0] * PROCESSES
    with open_store(Settings(home=tmp_path)) as store:
        (record,) = store.datasets.list()
        assert store.datasets.load().n_ratings == record.n_ratings


def test_one_process_gets_the_run(tmp_path):
    with open_store(Settings(home=tmp_path)) as store:
        store.runs.add("train", request={})
    assert together(PROCESSES, take_run, tmp_path) == [0] * PROCESSES
    assert len(list(tmp_path.glob("taken-*"))) == 1


def test_writing_to_the_same_table(tmp_path):
    assert together(PROCESSES, count_up, tmp_path) == [0] * PROCESSES
    with open_store(Settings(home=tmp_path)) as store:
        assert len(store.runs.list(1000)) == 25 * PROCESSES
