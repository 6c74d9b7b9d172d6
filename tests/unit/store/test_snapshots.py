"""Snapshots: what is trusted at a glance, what is read whole, and what is kept beside them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from movierec.data.arrays import group
from movierec.data.dataset import Dataset
from movierec.settings import Settings
from movierec.store import DatasetRecord, Store, open_store, snapshots
from movierec.store.snapshots import Snapshots
from tests.support.factories import make_dataset


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture
def record(store: Store, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> DatasetRecord:
    """A data set in the store whose snapshot has everything that a large one has."""
    monkeypatch.setattr(snapshots, "GROUPED_FROM", 0)
    return store.datasets.add(dataset, {})


@pytest.fixture
def kept(settings: Settings) -> Snapshots:
    return Snapshots(settings.data_path / "cache")


@pytest.fixture
def folder(kept: Snapshots, record: DatasetRecord) -> Path:
    return kept.root / record.fingerprint


def age(folder: Path) -> None:
    """Make files and stamp as old as those of yesterday."""
    stamp = folder / snapshots.STAMP
    purpose = json.loads(stamp.read_text())["purpose"]
    stamp.unlink()
    for path in folder.iterdir():
        os.utime(path, ns=(1, path.stat().st_mtime_ns - 10**9))
    snapshots.seal(folder, purpose)


def flip(path: Path) -> None:
    """Change one bit in place, and neither size nor time."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_groupings_are_mapped_from_the_snapshot(
    store: Store, record: DatasetRecord, dataset: Dataset
) -> None:
    found = store.datasets.load(record.name)
    for name, grouping, size in (
        ("user", found.by_user, dataset.n_users),
        ("movie", found.by_movie, dataset.n_movies),
    ):
        indices = getattr(dataset.ratings, name)
        expected = group(indices, size)
        np.testing.assert_array_equal(grouping.start, expected.start)
        np.testing.assert_array_equal(grouping.order, np.argsort(indices, kind="stable"))
        assert not grouping.order.flags.writeable
        assert isinstance(grouping.order.base, np.memmap)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_grouping_is_sorted_by_index_and_then_by_position(ordered: bool) -> None:
    rng = np.random.default_rng(2)
    indices = rng.integers(0, 40, 500)
    indices = np.sort(indices) if ordered else indices
    grouping = group(indices, 45)
    assert grouping.order.dtype == np.int32
    for index in range(45):
        assert grouping.positions(index).tolist() == np.flatnonzero(indices == index).tolist()
    assert grouping.counts.tolist() == np.bincount(indices, minlength=45).tolist()


def test_a_grouping_of_other_ratings_is_made_anew(dataset: Dataset) -> None:
    assert len(dataset.by_user.order) == dataset.n_ratings
    fewer = dataset.ratings.take(np.arange(7))
    assert len(fewer.grouped("user", dataset.n_users).order) == 7


def test_files_as_old_as_the_stamp_says_are_not_read(
    kept: Snapshots, record: DatasetRecord, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(folder)
    monkeypatch.setattr(snapshots, "_crc32", lambda path: pytest.fail(f"{path.name} was read"))
    assert kept.read(record) is not None


def test_young_files_are_read_since_their_time_says_little(
    kept: Snapshots, record: DatasetRecord, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "TICK", 10**18)
    assert kept.read(record) is not None
    flip(folder / "movie_order.npy")
    assert kept.read(record) is None


def test_a_copied_folder_is_read_and_used(
    kept: Snapshots, record: DatasetRecord, folder: Path, tmp_path: Path
) -> None:
    age(folder)
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(folder)
    (tmp_path / "copy").rename(folder)
    assert kept.read(record) is not None
    flip(folder / "rating.npy")
    assert kept.read(record) is None


def test_arrays_are_kept_beside_the_snapshot_and_go_with_it(
    store: Store, kept: Snapshots, record: DatasetRecord
) -> None:
    assert kept.kept(record, "facts") is None
    kept.keep(record, "facts", {"means": np.arange(5.0), "counts": np.arange(3)})
    found = kept.kept(record, "facts")
    assert found is not None
    assert found["means"].tolist() == [0, 1, 2, 3, 4]
    assert not found["counts"].flags.writeable
    kept.keep(record, "facts", {"means": np.arange(2.0)})
    again = kept.kept(record, "facts")
    assert again is not None
    assert list(again) == ["means"]
    store.datasets.delete(record.name)
    assert list(kept.root.iterdir()) == []


def test_damaged_arrays_count_as_absent(kept: Snapshots, record: DatasetRecord) -> None:
    kept.keep(record, "facts", {"means": np.arange(5.0)})
    path = kept.root / f"{record.fingerprint}.facts" / "means.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    assert kept.kept(record, "facts") is None


def test_arrays_of_an_earlier_import_are_not_used(
    store: Store, kept: Snapshots, record: DatasetRecord, dataset: Dataset
) -> None:
    kept.keep(record, "facts", {"means": np.arange(5.0)})
    folder = kept.root / f"{record.fingerprint}.facts"
    folder.rename(kept.root.parent / "aside")
    store.datasets.delete(record.name)
    again = store.datasets.add(dataset, {})
    (kept.root.parent / "aside").rename(folder)  # as if the process had died in between
    assert kept.kept(again, "facts") is None
