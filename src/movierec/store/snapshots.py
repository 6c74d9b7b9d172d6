"""A columnar copy of each data set beside the database: opened in milliseconds.

The database is the truth. A snapshot that is missing, broken or of another import counts as
absent and is written again.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from movierec.columns import Columns
from movierec.data.dataset import (
    Dataset,
    IdMap,
    Interactions,
    RatingScale,
    fingerprint_of,
)
from movierec.store.folders import clear_abandoned, incoming_folder, remove_folder
from movierec.store.records import DatasetRecord

__all__ = ["Snapshots"]

log = logging.getLogger(__name__)

ARRAYS = ("user", "movie", "rating", "timestamp")


@dataclass(frozen=True)
class Snapshots:
    """The folder with one snapshot per fingerprint."""

    root: Path

    def read(self, record: DatasetRecord) -> Dataset | None:
        """Return the data set, its arrays mapped read-only; None when there is no good copy."""
        folder = self.root / record.fingerprint
        try:
            if json.loads((folder / "stamp.json").read_text()) != _stamp(record):
                return None
            dataset = _read(folder, record)
        except (OSError, ValueError, KeyError, EOFError, pa.ArrowException) as error:
            log.info("snapshot unusable", extra={"dataset": record.name, "cause": str(error)})
            return None
        return dataset if _is_whole(dataset) else None

    def write(self, record: DatasetRecord, dataset: Dataset) -> None:
        """Write a snapshot in one step; a full or read-only disk costs only the speed."""
        try:
            clear_abandoned(self.root)
            with incoming_folder(self.root) as incoming:
                _write(incoming, record, dataset)
                self.remove(record)
                incoming.rename(self.root / record.fingerprint)
        except OSError as error:
            log.warning("snapshot not written", extra={"dataset": record.name, "cause": str(error)})

    def remove(self, record: DatasetRecord) -> None:
        """Remove a data set's snapshot if there is one."""
        remove_folder(self.root / record.fingerprint)


def _stamp(record: DatasetRecord) -> dict[str, object]:
    """Return what ties a snapshot to one import: the same ratings can come with other users."""
    moment: datetime = record.imported_at
    return {"layout": 1, "dataset": record.id, "imported_at": moment.isoformat()}


def _write(folder: Path, record: DatasetRecord, dataset: Dataset) -> None:
    for name in ARRAYS:
        array = getattr(dataset.ratings, name)
        if array is not None:
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    for name, frame in (("users", dataset.user_frame), ("movies", dataset.movie_frame)):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        parquet.write_table(table, folder / f"{name}.parquet", write_page_checksum=True)
    (folder / "stamp.json").write_text(json.dumps(_stamp(record)))


def _read(folder: Path, record: DatasetRecord) -> Dataset:
    user_frame, movie_frame = _frame(folder, "users"), _frame(folder, "movies")
    timed = (folder / "timestamp.npy").exists()
    return Dataset(
        name=record.name,
        fingerprint=record.fingerprint,
        scale=RatingScale(record.rating_low, record.rating_high, record.rating_step),
        users=IdMap(user_frame[Columns.USER], kind="user"),
        movies=IdMap(movie_frame[Columns.MOVIE], kind="movie"),
        ratings=Interactions(
            _array(folder, "user"),
            _array(folder, "movie"),
            _array(folder, "rating"),
            _array(folder, "timestamp") if timed else None,
        ),
        user_frame=user_frame,
        movie_frame=movie_frame,
        source=record.source,
    )


def _array(folder: Path, name: str) -> npt.NDArray[Any]:
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def _frame(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    frame: pd.DataFrame = parquet.read_table(path, page_checksum_verification=True).to_pandas()
    return frame


def _is_whole(dataset: Dataset) -> bool:
    return dataset.fingerprint == fingerprint_of(dataset.users, dataset.movies, dataset.ratings)
