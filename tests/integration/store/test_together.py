"""Several processes on one project at once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from movierec.errors import StoreError
from movierec.registry import Registry, VersionDraft
from movierec.settings import Settings
from movierec.store import open_store
from tests.support.crash import together
from tests.support.factories import make_dataset

PROCESSES = 4


@pytest.fixture
def settings(settings: Settings, database_url: str) -> Settings:
    return settings.model_copy(update={"database_url": database_url})


def apart(settings: Settings) -> Settings:
    """As a machine of its own has it: a data folder, with its locks, that nobody shares."""
    own = {"data_dir": Path(f"data-{os.getpid()}")}
    return settings.model_copy(update=own if settings.database_url else {})


def open_only(settings: Settings) -> None:
    with open_store(apart(settings)) as store:
        store.runs.list()


def save(settings: Settings) -> None:
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.reconcile()
        for _ in range(3):
            arrays = {"factors": np.ones((20, 4))}
            registry.save(VersionDraft("ease", "ease", "d", "0" * 64, "u1", arrays=arrays))


def import_data(settings: Settings) -> None:
    with open_store(apart(settings)) as store:
        store.datasets.add(make_dataset(), {})
        store.datasets.load()


def take_run(settings: Settings) -> None:
    with open_store(settings) as store:
        try:
            store.runs.start(1)
        except StoreError:
            return
        (settings.home / f"taken-{np.random.default_rng().integers(2**60)}").touch()


def count_up(settings: Settings) -> None:
    with open_store(settings) as store:
        for _ in range(25):
            store.runs.add("train", request={})


def tag(settings: Settings) -> None:
    with open_store(settings) as store:
        registry, mine = Registry(settings, store), str(os.getpid())
        for _ in range(10):
            registry.tag("v1.0.0", remove=[mine])
            assert mine in registry.tag("v1.0.0", [mine]).tags


def test_the_first_start(settings):
    assert together(PROCESSES, open_only, settings) == [0] * PROCESSES


def test_saving_versions(settings):
    assert together(PROCESSES, save, settings) == [0] * PROCESSES
    with open_store(settings) as store:
        registry = Registry(settings, store)
        assert registry.reconcile() == []
        names = {record.name for record in registry.list()}
        assert names == {f"v1.{minor}.0" for minor in range(3 * PROCESSES)}
        assert all(registry.verify(name) == [] for name in names)
        assert registry.get().name == "v1.0.0"


def test_tags_of_several_are_all_kept(settings):
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.save(VersionDraft("ease", "ease", "d", "0" * 64, "u1"))
        assert together(PROCESSES, tag, settings) == [0] * PROCESSES
        assert len(registry.get("v1.0.0").tags) == PROCESSES


def test_importing_the_same_data(settings):
    assert together(PROCESSES, import_data, settings) == [0] * PROCESSES
    with open_store(settings) as store:
        (record,) = store.datasets.list()
        assert store.datasets.load().n_ratings == record.n_ratings


def test_one_process_gets_the_run(settings):
    with open_store(settings) as store:
        store.runs.add("train", request={})
    assert together(PROCESSES, take_run, settings) == [0] * PROCESSES
    assert len(list(settings.home.glob("taken-*"))) == 1


def test_writing_to_the_same_table(settings):
    assert together(PROCESSES, count_up, settings) == [0] * PROCESSES
    with open_store(settings) as store:
        assert len(store.runs.list(1000)) == 25 * PROCESSES
