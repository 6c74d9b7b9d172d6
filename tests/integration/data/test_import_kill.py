"""Imports killed with SIGKILL: the database holds all of a data set or nothing of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from movierec.data.dataset import Dataset
from movierec.settings import Settings
from movierec.store import open_store
from movierec.workflows.data import import_data, load_dataset
from tests.support import data_files
from tests.support.forking import Victims
from tests.support.killing import Order, victims

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def forked() -> Iterator[Victims]:
    with victims() as process:
        yield process


def is_sound(settings: Settings) -> bool:
    """Return whether SQLite itself finds the file whole, or there is none yet."""
    path = settings.database_path
    if path is None or not path.exists():
        return True
    with closing(sqlite3.connect(path)) as connection:
        broken_references = connection.execute("PRAGMA foreign_key_check").fetchall()
        verdict = connection.execute("PRAGMA integrity_check").fetchone()
    return verdict == ("ok",) and not broken_references


def rows_in(settings: Settings) -> int:
    """Return the number of ratings in the database, whatever data set they belong to."""
    with closing(sqlite3.connect(settings.database_path or "")) as connection:
        return int(connection.execute("SELECT count(*) FROM ratings").fetchone()[0])


@pytest.mark.parametrize(
    ("stage", "delay"),
    [
        ("reading", 0.0),
        ("checking", 0.0),
        ("storing", 0.0),
        ("storing", 0.2),
        ("storing", 0.5),
        ("storing", 0.8),
        ("storing", 1.2),
    ],
)
def test_a_killed_import_leaves_all_or_nothing(
    stage: str,
    delay: float,
    ml_100k_source: Path,
    ml_100k: Dataset,
    settings: Settings,
    forked: Victims,
    tmp_path: Path,
) -> None:
    import_data(data_files.write_ml_1m(tmp_path), settings, name="before")
    order = Order(str(settings.home), stage, delay, path=str(ml_100k_source))
    assert forked.run(order) in ((-9,) if not delay else (-9, 0))
    assert is_sound(settings)
    assert rows_in(settings) in (5, 100_005)
    with open_store(settings) as store:
        found = {record.name: record.n_ratings for record in store.datasets.list()}
    assert found.pop("before") == 5
    assert set(found.values()) <= {100_000}
    import_data(ml_100k_source, settings)
    assert load_dataset("ml-100k", settings).fingerprint == ml_100k.fingerprint
    assert load_dataset("before", settings).n_ratings == 5
    assert rows_in(settings) == 100_005
