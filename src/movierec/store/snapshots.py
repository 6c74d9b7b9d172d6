"""A columnar copy of each data set beside the database: opened in milliseconds.

The database is the truth. A snapshot that is missing, broken or of another import counts as
absent and is written again. A stamp in its folder says what it was made for and what its files
must be like.
"""

from __future__ import annotations

import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from movierec.columns import Columns
from movierec.data.arrays import Grouping, group
from movierec.data.dataset import Dataset, IdMap, Interactions, RatingScale
from movierec.folders import clear_abandoned, incoming_folder, remove_folder
from movierec.store.records import DatasetRecord

__all__ = ["GROUPED_FROM", "Array", "Snapshots", "is_sealed", "seal"]

log = logging.getLogger(__name__)

ARRAYS = ("user", "movie", "rating", "timestamp")
GROUPED_FROM = 1_000_000  # ratings; fewer are grouped in a moment
Array: TypeAlias = npt.NDArray[Any]
STAMP = "stamp.json"
PIECE = 4 << 20  # bytes read at once
# A file changed this shortly after the stamp may have the same time as before: clocks of
# file systems tick some 4 ms apart. It is read whole.
TICK = 50_000_000  # ns
_THREADS = 2
_UNUSABLE = (OSError, ValueError, KeyError, TypeError, EOFError, pa.ArrowException)


@dataclass(frozen=True)
class Snapshots:
    """The folder with one snapshot per fingerprint."""

    root: Path

    def read(self, record: DatasetRecord) -> Dataset | None:
        """Return the data set, its arrays mapped read-only; None when there is no good copy."""
        folder = self._folder(record)
        try:
            return _read(folder, record) if is_sealed(folder, _purpose(record)) else None
        except _UNUSABLE as error:
            log.info("snapshot unusable", extra={"dataset": record.name, "cause": str(error)})
            return None

    def write(self, record: DatasetRecord, dataset: Dataset) -> None:
        """Write a snapshot in one step; a full or read-only disk costs only the speed."""
        self._put(record, self._folder(record), lambda incoming: _write(incoming, dataset))

    def kept(self, record: DatasetRecord, name: str) -> dict[str, Array] | None:
        """Return arrays that `keep` wrote, mapped read-only; None when there are no good ones."""
        folder = self._beside(record, name)
        try:
            if is_sealed(folder, _purpose(record)):
                return {path.stem: _array(folder, path.stem) for path in folder.glob("*.npy")}
        except _UNUSABLE as error:
            log.info("arrays unusable", extra={"arrays": folder.name, "cause": str(error)})
        return None

    def keep(self, record: DatasetRecord, name: str, arrays: Mapping[str, Array]) -> None:
        """Keep arrays that were computed from a data set beside its snapshot, till it goes."""
        self._put(record, self._beside(record, name), lambda incoming: _save(incoming, arrays))

    def remove(self, record: DatasetRecord) -> None:
        """Remove a data set's snapshot if there is one, and what was kept beside it."""
        for folder in (self._folder(record), *self.root.glob(f"{record.fingerprint}.*")):
            remove_folder(folder)

    def _folder(self, record: DatasetRecord) -> Path:
        return self.root / record.fingerprint

    def _beside(self, record: DatasetRecord, name: str) -> Path:
        return self.root / f"{record.fingerprint}.{name}"

    def _put(self, record: DatasetRecord, folder: Path, write: Callable[[Path], None]) -> None:
        """Put a folder there in one step; trouble with the disk is only logged."""
        try:
            clear_abandoned(self.root)
            with incoming_folder(self.root) as incoming:
                write(incoming)
                seal(incoming, _purpose(record))
                remove_folder(folder)
                incoming.rename(folder)
        except OSError as error:
            log.warning("snapshot not written", extra={"dataset": record.name, "cause": str(error)})


def _purpose(record: DatasetRecord) -> dict[str, object]:
    """Return the identity of an import: the same ratings can come with other users."""
    moment: datetime = record.imported_at
    return {"layout": 2, "dataset": record.id, "imported_at": moment.isoformat()}


def _write(folder: Path, dataset: Dataset) -> None:
    arrays = {name: getattr(dataset.ratings, name) for name in ARRAYS}
    _save(folder, {name: array for name, array in arrays.items() if array is not None})
    if dataset.n_ratings >= GROUPED_FROM:
        _save(folder, _grouped(dataset, "user", dataset.n_users))
        _save(folder, _grouped(dataset, "movie", dataset.n_movies))
    for name, frame in (("users", dataset.user_frame), ("movies", dataset.movie_frame)):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        with _synced(folder / f"{name}.parquet") as file:
            parquet.write_table(table, file, write_page_checksum=True)


def _grouped(dataset: Dataset, name: str, size: int) -> dict[str, Array]:
    found = group(getattr(dataset.ratings, name), size)  # in memory no longer than it is written
    return {f"{name}_start": found.start, f"{name}_order": found.order}


def _read(folder: Path, record: DatasetRecord) -> Dataset:
    user_frame, movie_frame = _frame(folder, "users"), _frame(folder, "movies")
    timed = (folder / "timestamp.npy").exists()
    return Dataset(
        name=record.name,
        fingerprint=record.fingerprint,
        scale=RatingScale(record.rating_low, record.rating_high, record.rating_step),
        users=IdMap(user_frame[Columns.USER].tolist(), kind="user"),
        movies=IdMap(movie_frame[Columns.MOVIE].tolist(), kind="movie"),
        ratings=_ratings(folder, timed=timed),
        user_frame=user_frame,
        movie_frame=movie_frame,
        source=record.source,
    )


def _ratings(folder: Path, *, timed: bool) -> Interactions:
    names = ARRAYS if timed else ARRAYS[:-1]
    ratings = Interactions(*(_array(folder, name) for name in names))
    for name in ("user", "movie"):
        if (folder / f"{name}_order.npy").exists():
            start, order = _array(folder, f"{name}_start"), _array(folder, f"{name}_order")
            ratings.groupings[name] = Grouping(start, order)
    return ratings


def _save(folder: Path, arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        with _synced(folder / f"{name}.npy") as file:
            np.save(file, array, allow_pickle=False)


@contextmanager
def _synced(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file; after a power cut it has not only the stamp's size and time."""
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _array(folder: Path, name: str) -> Array:
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def _frame(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    frame: pd.DataFrame = parquet.read_table(path, page_checksum_verification=True).to_pandas()
    return frame


def seal(folder: Path, purpose: Mapping[str, object]) -> None:
    """Write the stamp of a folder whose files are all there."""
    files = {path.name: _facts(path) | {"crc32": _crc32(path)} for path in sorted(folder.iterdir())}
    stamp = {"purpose": dict(purpose), "sealed_at": time.time_ns(), "files": files}
    (folder / STAMP).write_text(json.dumps(stamp))


def is_sealed(folder: Path, purpose: Mapping[str, object]) -> bool:
    """Return whether a folder was made for this purpose and its files are as they were.

    A file of the same size and time is taken for the same; any other one's content is compared.

    Raises:
        OSError, ValueError, KeyError, TypeError: the stamp or a file is missing or unreadable.

    """
    stamp = json.loads((folder / STAMP).read_text())
    if stamp["purpose"] != dict(purpose):
        return False
    doubtful = [
        (folder / name, facts)
        for name, facts in stamp["files"].items()
        if not _is_untouched(folder / name, facts, stamp["sealed_at"])
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        return all(pool.map(lambda one: _is_same(*one), doubtful))


def _facts(path: Path) -> dict[str, int]:
    found = path.stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _is_untouched(path: Path, facts: Mapping[str, Any], sealed_at: int) -> bool:
    found = _facts(path)
    same = all(facts[name] == value for name, value in found.items())
    return same and found["mtime_ns"] < sealed_at - TICK


def _is_same(path: Path, facts: Mapping[str, Any]) -> bool:
    same: bool = path.stat().st_size == facts["size"] and _crc32(path) == facts["crc32"]
    return same


def _crc32(path: Path) -> int:
    checksum, piece = 0, bytearray(PIECE)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(piece):
            checksum = zlib.crc32(memoryview(piece)[:size], checksum)
    return checksum
