"""Data sets: into the database in one transaction, out as frozen records and `Dataset`s."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from movierec.columns import Columns
from movierec.data.dataset import Dataset, IdMap, Interactions, RatingScale, fingerprint_of
from movierec.errors import DataError, NotFoundError, StoreError
from movierec.plain import plain_dict
from movierec.progress import Progress, silent
from movierec.store.bulk import Rows, fetch_rows, insert_rows
from movierec.store.engine import Database
from movierec.store.records import DatasetRecord, dataset_record
from movierec.store.snapshots import GROUPED_FROM, Array, Snapshots
from movierec.store.tables import DatasetRow, MovieRow, RatingRow, UserRow

__all__ = ["DatasetStore"]

_NUMBERS = frozenset({Columns.AGE, Columns.YEAR})
_TIME = Columns.TIMESTAMP
_RATING_TYPE = np.dtype(
    [
        (Columns.USER_INDEX, np.int64),
        (Columns.MOVIE_INDEX, np.int64),
        (Columns.RATING, np.float32),
        (_TIME, np.int64),
    ]
)


class DatasetStore:
    """The imported data sets.

    Every method raises StoreError when the database cannot be read or written.
    """

    def __init__(self, database: Database, snapshots: Snapshots) -> None:
        self._database = database
        self._snapshots = snapshots

    def add(
        self, dataset: Dataset, report: Mapping[str, Any], on_progress: Progress = silent
    ) -> DatasetRecord:
        """Keep a data set in one transaction; the same data again returns the first record.

        Raises:
            DataError: the name is taken by other data.

        """
        with self._database.writing(alone_in="datasets") as session:
            known = session.scalar(_with_fingerprint(dataset.fingerprint))
            if known is not None:
                return dataset_record(known)
            _require_free(session, dataset.name)
            row = _row(dataset, report)
            session.add(row)
            session.flush()
            for rows in _contents(dataset, row.id):
                told = partial(_tell, on_progress, dataset) if rows.kind is RatingRow else None
                insert_rows(session.connection(), rows, told)
            record = dataset_record(row)
        with self._database.reading() as session:
            stored = _load(session, _require(session, record.name), dataset.ratings)
        self._snapshots.write(record, stored)  # so that the first page finds it
        return record

    def find(self, fingerprint: str) -> DatasetRecord | None:
        """Return the data set with this content."""
        with self._database.reading() as session:
            row = session.scalar(_with_fingerprint(fingerprint))
            return None if row is None else dataset_record(row)

    def get(self, name: str | None = None) -> DatasetRecord:
        """Return a data set by name, or the newest.

        Raises:
            NotFoundError: there is none; the hint says what there is.

        """
        with self._database.reading() as session:
            return dataset_record(_require(session, name))

    def list(self) -> list[DatasetRecord]:
        """Return every data set, newest first."""
        with self._database.reading() as session:
            return [dataset_record(row) for row in session.scalars(_newest_first())]

    def load(self, name: str | None = None) -> Dataset:
        """Return a data set in memory, arrays read-only; the newest when no name is given.

        Raises:
            NotFoundError: there is none.

        """
        record = self.get(name)
        found = self._snapshots.read(record)
        if found is not None:
            return found
        with self._database.reading() as session:
            dataset = _load(session, _require(session, record.name))
        if record.fingerprint == fingerprint_of(dataset.users, dataset.movies, dataset.ratings):
            self._snapshots.write(record, dataset)
        return dataset

    def derived(
        self, dataset: Dataset, name: str, compute: Callable[[], dict[str, Array]]
    ) -> dict[str, Array]:
        """Return arrays computed from a data set; of a large one, mapped, kept beside its snapshot.

        `name` says what they are, and everything that they depend on beside the data.
        """
        record = self.find(dataset.fingerprint)
        if record is None or record.n_ratings < GROUPED_FROM:
            return compute()
        kept = self._snapshots.kept(record, name)
        if kept is not None:
            return kept
        arrays = compute()
        self._snapshots.keep(record, name, arrays)
        return self._snapshots.kept(record, name) or arrays

    def delete(self, name: str) -> None:
        """Remove a data set with its users, movies, ratings and snapshot.

        Raises:
            NotFoundError: there is none of this name.

        """
        with self._database.writing() as session:
            record = dataset_record(_require(session, name))
            session.execute(delete(DatasetRow).where(DatasetRow.id == record.id))
        self._snapshots.remove(record)


def _tell(on_progress: Progress, dataset: Dataset, stored: int) -> None:
    if stored < dataset.n_ratings:
        on_progress("storing", stored / dataset.n_ratings)


def _newest_first() -> Any:
    return select(DatasetRow).order_by(DatasetRow.imported_at.desc(), DatasetRow.id.desc())


def _with_fingerprint(fingerprint: str) -> Any:
    return select(DatasetRow).where(DatasetRow.fingerprint == fingerprint)


def _require(session: Session, name: str | None) -> DatasetRow:
    query = _newest_first()
    row: DatasetRow | None = session.scalar(
        query.limit(1) if name is None else query.where(DatasetRow.name == name)
    )
    if row is not None:
        return row
    names = list(session.scalars(select(DatasetRow.name).order_by(DatasetRow.name)))
    if not names:
        raise NotFoundError(
            "There is no data set yet.", hint="Fetch one: `movierec data fetch ml-100k`."
        )
    raise NotFoundError(
        f"There is no data set {name!r}.", hint=f"There is {', '.join(map(repr, names))}."
    )


def _require_free(session: Session, name: str) -> None:
    if session.scalar(select(DatasetRow.id).where(DatasetRow.name == name)) is not None:
        raise DataError(
            f"There already is a data set {name!r} with other ratings.",
            hint="Import it under another name (--name), or delete the old one first.",
        )


def _row(dataset: Dataset, report: Mapping[str, Any]) -> DatasetRow:
    return DatasetRow(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        source=dataset.source,
        imported_at=datetime.now(UTC),
        n_users=dataset.n_users,
        n_movies=dataset.n_movies,
        n_ratings=dataset.n_ratings,
        rating_low=dataset.scale.low,
        rating_high=dataset.scale.high,
        rating_step=dataset.scale.step,
        has_timestamps=dataset.ratings.timestamp is not None,
        user_columns=[c for c in Columns.USERS if c in dataset.user_frame],
        movie_columns=[c for c in Columns.MOVIES if c in dataset.movie_frame],
        report=plain_dict(report),
    )


def _contents(dataset: Dataset, key: int) -> Iterator[Rows]:
    """Yield the rows of every table below a data set."""
    ratings = dataset.ratings
    users = _frame_columns(dataset.user_frame, Columns.USERS)
    movies = _frame_columns(dataset.movie_frame, Columns.MOVIES)
    table = {
        Columns.USER_INDEX: ratings.user,
        Columns.MOVIE_INDEX: ratings.movie,
        Columns.RATING: ratings.rating,
        Columns.TIMESTAMP: ratings.timestamp,
    }
    yield Rows(UserRow, key, Columns.USER_INDEX, users, dataset.n_users)
    yield Rows(MovieRow, key, Columns.MOVIE_INDEX, movies, dataset.n_movies)
    yield Rows(RatingRow, key, Columns.POSITION, table, dataset.n_ratings)


def _frame_columns(frame: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
    """Return columns as object arrays with None for what is missing or unknown."""
    return {
        name: frame[name].astype(object).where(frame[name].notna(), None).to_numpy()
        if name in frame
        else None
        for name in names
    }


def _load(session: Session, row: DatasetRow, ratings: Interactions | None = None) -> Dataset:
    """Read a data set, with these ratings where they are in memory already."""
    users = _frame(session, UserRow, UserRow.user_index, row.id, row.user_columns)
    movies = _frame(session, MovieRow, MovieRow.movie_index, row.id, row.movie_columns)
    return Dataset(
        name=row.name,
        fingerprint=row.fingerprint,
        scale=RatingScale(row.rating_low, row.rating_high, row.rating_step),
        users=IdMap(users[Columns.USER], kind="user"),
        movies=IdMap(movies[Columns.MOVIE], kind="movie"),
        ratings=_ratings(session, row) if ratings is None else ratings,
        user_frame=users,
        movie_frame=movies,
        source=row.source,
    )


def _frame(session: Session, kind: Any, index: Any, key: int, names: Sequence[str]) -> pd.DataFrame:
    query = select(*(getattr(kind, name) for name in names))
    rows = session.execute(query.where(kind.dataset_id == key).order_by(index)).all()
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return pd.DataFrame(
        {
            name: pd.Series(list(column), dtype="float64" if name in _NUMBERS else "str")
            for name, column in zip(names, columns, strict=True)
        }
    )


def _ratings(session: Session, row: DatasetRow) -> Interactions:
    """Read the ratings in source order, streamed in chunks into the columns."""
    names = [name for name in _RATING_TYPE.names or () if row.has_timestamps or name != _TIME]
    query = select(*(getattr(RatingRow, name) for name in names))
    query = query.where(RatingRow.dataset_id == row.id).order_by(RatingRow.position)
    columns = {name: np.empty(row.n_ratings, _RATING_TYPE[name]) for name in names}
    found = 0
    for part in fetch_rows(session.connection(), query):
        chunk = np.fromiter(part, _RATING_TYPE[names], len(part))
        if found + len(chunk) > row.n_ratings:
            raise _changed(row, "more")
        for name, column in columns.items():
            column[found : found + len(chunk)] = chunk[name]
        found += len(chunk)
    if found < row.n_ratings:
        raise _changed(row, "fewer")
    return Interactions(*columns.values())


def _changed(row: DatasetRow, how: str) -> StoreError:
    return StoreError(
        f"The data set {row.name!r} has {how} ratings than its {row.n_ratings:,}.",
        hint="The database was changed from outside: delete the data set and import it again.",
    )
