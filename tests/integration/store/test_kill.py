"""SIGKILL at every moment: the database stays intact, no half version shows, work goes on."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from movierec.data.dataset import fingerprint_of
from movierec.metadata import VersionMetadata
from movierec.registry import Registry, VersionDraft
from movierec.registry.files import problems_of
from movierec.registry.folder import read_alias
from movierec.registry.names import is_name
from movierec.settings import Settings
from movierec.store import open_store
from tests.support.crash import killed_after, killed_at
from tests.support.factories import make_dataset


def draft(make_current: bool | None = None) -> VersionDraft:
    return VersionDraft(
        model="sage",
        preset="report",
        dataset_name="planted",
        fingerprint="0" * 64,
        split_label="random 80/20, seed 42",
        metadata=VersionMetadata(metrics={"val_rmse": 0.9}),
        files={
            "graphsage_model.pth": bytes(20_000),
            "per_user.parquet": lambda path: path.write_bytes(b"rows") and None,
        },
        arrays={"user_factors": np.ones((40, 8))},
        make_current=make_current,
    )


def settings_in(home: Path) -> Settings:
    return Settings(home=home)


def save(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        Registry(settings_in(home), store).save(draft())


def save_as_current(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        Registry(settings_in(home), store).save(draft(make_current=True))


def promote(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        Registry(settings_in(home), store).promotion.promote("v1.1.0")


def delete(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        Registry(settings_in(home), store).delete("v1.1.0")


def delete_now(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        Registry(settings_in(home), store).delete("v1.1.0", now=True)


def restore(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        Registry(settings_in(home), store).restore("v1.1.0")


def empty_trash(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        Registry(settings_in(home), store).empty_trash()


def roll_back(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        Registry(settings_in(home), store).promotion.rollback(reason="it was better")


def reconcile(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        Registry(settings_in(home), store).reconcile()


def import_data(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        store.datasets.add(make_dataset(), {})


def delete_data(home: Path) -> None:
    with open_store(settings_in(home)) as store:
        store.datasets.delete("planted")


def open_only(home: Path) -> None:
    with open_store(settings_in(home)):
        pass


def save_for_ever(settings: Settings) -> None:
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.reconcile()
        while True:
            newest = registry.save(draft(make_current=True))
            old = [record for record in registry.list() if record.name != newest.name]
            for number, record in enumerate(old[3:]):
                registry.delete(record.name, now=number % 2 == 0)
            for record in registry.trash()[2:]:
                registry.restore(record.name)
            if old:
                registry.promotion.promote(old[0].name)


def import_for_ever(settings: Settings) -> None:
    with open_store(settings) as store:
        seed = 0
        while True:
            dataset = dataclasses.replace(make_dataset(60, 50, seed=seed % 7), name=f"d{seed % 7}")
            store.datasets.add(dataset, {})
            if seed >= 3:
                store.datasets.delete(f"d{(seed - 3) % 7}")
            seed += 1


def assert_intact(home: Path) -> None:
    with sqlite3.connect(home / "data" / "recommender.db") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


def assert_rows_intact(settings: Settings) -> None:
    if not settings.database_url:
        assert_intact(settings.home)


def assert_no_half_version(settings: Settings) -> None:
    """Before anything is repaired, a folder with a version's name is a whole version."""
    for folder in [*settings.models_path.glob("v*"), *settings.models_path.glob(".trash/v*")]:
        assert problems_of(folder) == []


def assert_listed_are_whole(settings: Settings) -> None:
    """Before anything is repaired, a listed version has its files, the current one among them."""
    with open_store(settings) as store:
        listed, current = store.versions.list(), store.versions.current()
    assert [r.name for r in listed if not (settings.models_path / r.name).is_dir()] == []
    assert current is not None
    assert read_alias(settings.models_path) is not None


def assert_consistent(settings: Settings) -> None:
    """What every start must bring about."""
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.reconcile()
        names = {record.name for record in registry.list()}
        assert names == {p.name for p in settings.models_path.iterdir() if is_name(p.name)}
        assert {name: registry.verify(name) for name in names} == {name: [] for name in names}
        current = store.versions.current()
        assert (current.name if current else None) == read_alias(settings.models_path)
        assert (current is not None) == bool(names)
        kept = {record.name for record in registry.trash()}
        assert kept == {p.name for p in settings.models_path.glob(".trash/*")}
        assert not names & kept
        assert (settings.models_path / ".trash").exists() == bool(kept)
        ours = {*names, "current", ".lock", ".trash"}
        assert {p.name for p in settings.models_path.iterdir()} - ours == set()
        assert registry.reconcile() == []
    assert_rows_intact(settings)


def two_versions(home: Path) -> None:
    save(home)
    save(home)


def two_with_words(home: Path) -> None:
    two_versions(home)
    with open_store(settings_in(home)) as store:
        registry = Registry(settings_in(home), store)
        registry.tag("v1.1.0", ["keep"])
        registry.annotate("v1.1.0", "Precious.")
    (home / "with-words").touch()


def one_in_the_trash(home: Path) -> None:
    two_with_words(home)
    delete(home)


def promoted(home: Path) -> None:
    two_with_words(home)
    promote(home)


def a_mess(home: Path) -> None:
    """A folder without its row, a row without its folder, a link to nowhere, leftovers.

    In the trash: a folder without its row, and a version whose time is over.
    """
    two_versions(home)
    two_versions(home)
    models = home / "models"
    with open_store(settings_in(home)) as store:
        registry = Registry(settings_in(home), store)
        registry.delete("v1.2.0")
        store.versions.delete("v1.2.0")
        registry.delete("v1.3.0")
        store.versions.trash("v1.3.0", datetime.now(UTC))
        store.versions.delete("v1.1.0")
    (models / "v1.0.0").rename(models / ".removed-v1.0.0-abc")
    (models / ".incoming-elsewhere").mkdir()
    (models / ".current-abc").symlink_to("v1.0.0")


@pytest.mark.parametrize(
    ("prepare", "work"),
    [
        (open_only, save),
        (two_versions, save_as_current),
        (two_versions, promote),
        (two_with_words, delete),
        (two_with_words, delete_now),
        (one_in_the_trash, restore),
        (one_in_the_trash, empty_trash),
        (promoted, roll_back),
        (a_mess, reconcile),
    ],
    ids=[
        "first save", "save", "promote", "delete", "delete now", "restore", "empty trash",
        "roll back", "reconcile",
    ],
)  # fmt: skip
def test_versions_survive_a_kill_at_every_file_operation(tmp_path, prepare, work):
    prepare(tmp_path / "start")
    step = 1
    while killed_at(step, work, copy(tmp_path, step)):
        settings = settings_in(tmp_path / str(step))
        assert_no_half_version(settings)
        if prepare not in (open_only, a_mess):
            assert_listed_are_whole(settings)
        assert_consistent(settings)
        assert_nothing_forgotten(settings)
        if work in (promote, roll_back):
            assert "repaired" not in hows(settings)
        if step % 5 == 0:  # and work goes on
            save(settings.home)
            assert_consistent(settings)
        step += 1
    assert step > 5
    assert_consistent(settings_in(tmp_path / str(step)))


def assert_nothing_forgotten(settings: Settings) -> None:
    """What was said of a version stays with it, and each move of `current` has its line."""
    with open_store(settings) as store:
        versions = [*store.versions.list(), *store.versions.trashed()]
        words = {record.name: (record.tags, record.notes) for record in versions}
        moves = store.promotions.list()
        current = store.versions.current()
    if prepared_with_words(settings) and "v1.1.0" in words:
        assert words["v1.1.0"] == (("keep",), "Precious.")
    if current is not None:
        assert moves[0].version == current.name
    for later, earlier in itertools.pairwise(moves):
        assert later.previous == earlier.version
    for move in moves:
        assert move.how != "rolled back" or move.reason == "it was better"


def hows(settings: Settings) -> set[str]:
    with open_store(settings) as store:
        return {move.how for move in store.promotions.list()}


def prepared_with_words(settings: Settings) -> bool:
    return (settings.home / "with-words").exists()


def copy(tmp_path: Path, step: int) -> Path:
    return Path(shutil.copytree(tmp_path / "start", tmp_path / str(step), symlinks=True))


@pytest.mark.parametrize(
    ("prepare", "work"), [(open_only, import_data), (import_data, delete_data)]
)
def test_data_survives_a_kill_at_every_file_operation(tmp_path, prepare, work):
    prepare(tmp_path / "start")
    step = 1
    while killed_at(step, work, copy(tmp_path, step)):
        assert_data_intact(tmp_path / str(step), work)
        step += 1
    assert step > 5


def assert_data_intact(home: Path, work: Callable[[Path], None]) -> None:
    """All of the data set is there or nothing of it, and the work can be done (again)."""
    assert_intact(home)
    with open_store(settings_in(home)) as store:
        for record in store.datasets.list():
            found = store.datasets.load(record.name)
            again = fingerprint_of(found.users, found.movies, found.ratings)
            assert again == record.fingerprint == make_dataset().fingerprint
        if work is import_data or store.datasets.list():
            work(home)
    with sqlite3.connect(home / "data" / "recommender.db") as raw:
        whole = make_dataset().n_ratings if work is import_data else 0
        assert raw.execute("SELECT count(*) FROM ratings").fetchone() == (whole,)


def test_the_first_start_survives_a_kill_at_every_file_operation(tmp_path):
    step = 1
    while killed_at(step, open_only, tmp_path / str(step)):
        open_only(tmp_path / str(step))
        assert_intact(tmp_path / str(step))
        step += 1
    assert step > 5


@pytest.fixture
def on_both(tmp_path, database_url) -> Settings:
    return Settings(home=tmp_path, database_url=database_url)


def moments(settings: Settings, seed: int, kills: int) -> list[float]:
    """Seconds after which to kill; PostgreSQL, whose own transactions are its own affair: fewer."""
    fewer = kills // 2 if settings.database_url else kills
    return [float(delay) for delay in np.random.default_rng(seed).uniform(0.02, 0.4, fewer)]


def test_versions_survive_kills_at_random_moments(on_both):
    settings, highest, patience = on_both, -1, 1.0
    for delay in moments(settings, 7, 20):
        killed_after(delay * patience, save_for_ever, settings)
        if settings.models_path.exists():
            assert_no_half_version(settings)
        assert_consistent(settings)
        with open_store(settings) as store:
            ever = [int(name.split(".")[1]) for name in store.versions.names_ever()]
        assert max(ever, default=-1) >= highest  # what was kept stays kept
        highest = max(ever, default=-1)
        patience *= 1.0 if highest > 0 else 1.5  # a busy machine needs longer
    assert highest > 0


def test_imports_survive_kills_at_random_moments(on_both):
    seen, patience = 0, 1.0
    for delay in moments(on_both, 8, 12):
        killed_after(delay * patience, import_for_ever, on_both)
        with open_store(on_both) as store:
            for record in store.datasets.list():
                found = store.datasets.load(record.name)
                again = fingerprint_of(found.users, found.movies, found.ratings)
                assert again == record.fingerprint
                store.datasets.delete(record.name)
                seen += 1
            with store.engine.connect() as connection:
                assert connection.scalar(text("SELECT count(*) FROM ratings")) == 0
        assert_rows_intact(on_both)
        patience *= 1.0 if seen else 1.5  # a busy machine needs longer
    assert seen > 0
