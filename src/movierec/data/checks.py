"""Every row is kept, or dropped with a reason; what remains becomes a `Dataset`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.compute as pc

from movierec.columns import Columns
from movierec.data.catalogue import catalogue_ids, catalogue_rows, natural_order, usable_id
from movierec.data.convert import is_missing, numbers, seconds, trimmed
from movierec.data.dataset import (
    Dataset,
    IdMap,
    IntArray,
    Interactions,
    RatingScale,
    fingerprint_of,
)
from movierec.data.raw import RawData, RawTable
from movierec.data.report import DroppedRows, ImportReport, describe
from movierec.data.scales import WHOLE_STARS, infer_scale, on_scale
from movierec.errors import EmptyDataError

__all__ = ["FIRST_LINES", "checked"]

FIRST_LINES = 5  # lines shown per reason
MALFORMED = "malformed line (another number of fields)"
MISSING = "missing value"
BAD_ID = "bad id (line break, control character or over 255 characters)"
BAD_NUMBER = "bad number"
BAD_TIME = "bad timestamp (neither seconds from 1970 on nor ISO 8601)"
OFF_SCALE = "rating off the scale"
UNKNOWN_USER = "unknown user"
UNKNOWN_MOVIE = "unknown movie"
OLDER_TWIN = "duplicate pair (the newest is kept)"
EARLIER_TWIN = "duplicate pair (the last row is kept)"


class _Verdicts:
    """The first reason to drop each row, if any."""

    def __init__(self, table: RawTable) -> None:
        self._table = table
        self._reasons: list[str] = []
        self._reason = np.full(len(table), -1, np.int8)

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        return self._reason < 0

    def drop(self, rows: npt.NDArray[np.bool_], reason: str) -> None:
        """Drop the rows of the mask that have no reason yet."""
        self._reason[rows & self.kept] = len(self._reasons)
        self._reasons.append(reason)

    def dropped(self) -> tuple[DroppedRows, ...]:
        """Return the rows dropped by reason, malformed lines first."""
        lines = [(MALFORMED, self._table.malformed)]
        lines += [
            (reason, self._table.lines[self._reason == code])
            for code, reason in enumerate(self._reasons)
        ]
        return tuple(
            DroppedRows(reason, len(found), tuple(found[:FIRST_LINES].tolist()))
            for reason, found in lines
            if len(found)
        )


@dataclass(frozen=True, eq=False)
class _Coded:
    """A column of ids as codes into its distinct values."""

    codes: IntArray
    values: list[str]

    @classmethod
    def of(cls, column: Any) -> _Coded:
        encoded = pc.dictionary_encode(trimmed(column))
        codes = encoded.indices.to_numpy().astype(np.int64)
        return cls(codes, encoded.dictionary.to_pylist())

    def rows_where(self, accepted: Iterable[bool]) -> npt.NDArray[np.bool_]:
        """Return the rows whose value is among the accepted, one flag per distinct value."""
        return np.fromiter(accepted, bool, len(self.values))[self.codes]

    def used(self, kept: npt.NDArray[np.bool_]) -> list[str]:
        """Return the distinct values of the kept rows."""
        counts = np.bincount(self.codes[kept], minlength=len(self.values))
        return [value for value, count in zip(self.values, counts, strict=True) if count]

    def indices(self, ids: IdMap, kept: npt.NDArray[np.bool_]) -> IntArray:
        """Return the index of each kept row's id, (n_kept,)."""
        known = (ids.index(value) if value in ids else -1 for value in self.values)
        return np.fromiter(known, np.int64, len(self.values))[self.codes[kept]]


def checked(raw: RawData) -> tuple[Dataset, ImportReport]:
    """Convert a data set's rows; keep the good ones in source order and count the others.

    Of several ratings by one user of one movie the newest is kept, the last row without
    timestamps or between equal ones.

    Raises:
        EmptyDataError: too little is left to learn from; the message counts the reasons.
        FormatError: the users or movies file is not usable as a list of ids.

    """
    started = time.perf_counter()
    dataset, facts = _convert(raw)
    took = {"checking": time.perf_counter() - started}
    report = describe(dataset, format=raw.format, files=_files(raw), seconds=took, **facts)
    return dataset, report


def _convert(raw: RawData) -> tuple[Dataset, dict[str, Any]]:
    table, verdicts = raw.ratings, _Verdicts(raw.ratings)
    users = _coded_ids(table, Columns.USER, verdicts)
    movies = _coded_ids(table, Columns.MOVIE, verdicts)
    rating = _ratings(table, verdicts)
    times = _times(table, verdicts)
    scale = _scale(rating, raw.scale, verdicts)
    user_map = _id_map(raw.users, users, UNKNOWN_USER, "user", verdicts)
    movie_map = _id_map(raw.movies, movies, UNKNOWN_MOVIE, "movie", verdicts)
    _drop_twins(users, movies, times, verdicts)
    kept = verdicts.kept
    ratings = Interactions(
        users.indices(user_map, kept),
        movies.indices(movie_map, kept),
        rating[kept].astype(np.float32),
        None if times is None else times[kept].astype(np.int64),
    )
    facts = {
        "ratings_file": table.file,
        "rows_read": len(table) + len(table.malformed),
        "dropped": verdicts.dropped(),
        "scale_inferred": raw.scale is None,
    }
    _require_enough(ratings, facts)
    return _dataset(raw, scale, user_map, movie_map, ratings), facts


def _coded_ids(table: RawTable, column: str, verdicts: _Verdicts) -> _Coded:
    coded = _Coded.of(table.column(column))
    verdicts.drop(coded.rows_where(not value for value in coded.values), MISSING)
    verdicts.drop(coded.rows_where(not usable_id(value) for value in coded.values), BAD_ID)
    return coded


def _ratings(table: RawTable, verdicts: _Verdicts) -> npt.NDArray[np.float64]:
    values = numbers(table.column(Columns.RATING))
    bad = np.isnan(values)
    if bad.any():
        verdicts.drop(is_missing(table.column(Columns.RATING)), MISSING)
        verdicts.drop(bad, BAD_NUMBER)
    return values


def _times(table: RawTable, verdicts: _Verdicts) -> npt.NDArray[np.float64] | None:
    if Columns.TIMESTAMP not in table.names:
        return None
    times = seconds(table.column(Columns.TIMESTAMP))
    bad = np.isnan(times)
    if bad.any():
        verdicts.drop(is_missing(table.column(Columns.TIMESTAMP)), MISSING)
        verdicts.drop(bad, BAD_TIME)
    return times


def _scale(
    rating: npt.NDArray[np.float64], known: RatingScale | None, verdicts: _Verdicts
) -> RatingScale:
    kept = rating[verdicts.kept]
    if known is None:
        return infer_scale(kept) if len(kept) else WHOLE_STARS
    finite = np.where(np.isnan(rating), known.low, rating)
    verdicts.drop(~on_scale(finite, known), f"{OFF_SCALE} {known.low:g} to {known.high:g}")
    return known


def _id_map(
    catalogue: RawTable | None, coded: _Coded, reason: str, kind: str, verdicts: _Verdicts
) -> IdMap:
    """Return the map in the catalogue's order, or in natural order where there is none."""
    if catalogue is None:
        return IdMap(natural_order(coded.used(verdicts.kept)), kind=kind)
    ids = IdMap(catalogue_ids(catalogue), kind=kind)
    verdicts.drop(
        coded.rows_where(value not in ids for value in coded.values),
        f"{reason} (not in {catalogue.file})",
    )
    return ids


def _drop_twins(
    users: _Coded,
    movies: _Coded,
    times: npt.NDArray[np.float64] | None,
    verdicts: _Verdicts,
) -> None:
    rows = np.flatnonzero(verdicts.kept)
    pair = users.codes[rows] * max(1, len(movies.values)) + movies.codes[rows]
    twins = rows[pd.Series(pair).duplicated(keep=False).to_numpy()]
    older = np.zeros(len(verdicts.kept), bool)
    if len(twins):
        order = twins if times is None else twins[np.argsort(times[twins], kind="stable")]
        pair = users.codes[order] * len(movies.values) + movies.codes[order]
        older[order[pd.Series(pair).duplicated(keep="last").to_numpy()]] = True
    verdicts.drop(older, EARLIER_TWIN if times is None else OLDER_TWIN)


def _require_enough(ratings: Interactions, facts: dict[str, Any]) -> None:
    shortage = _shortage(ratings)
    if not shortage:
        return
    dropped = "; ".join(str(rows) for rows in facts["dropped"]) or "none"
    raise EmptyDataError(
        f"{facts['ratings_file']} leaves {shortage}: {facts['rows_read']:,} rows read, "
        f"{len(ratings):,} kept, dropped: {dropped}.",
        hint="Check the columns, the rating scale (--scale) and the ids.",
    )


def _shortage(ratings: Interactions) -> str:
    if not len(ratings):
        return "no usable rating"
    distinct = {
        "user": len(np.unique(ratings.user)),
        "movie": len(np.unique(ratings.movie)),
        "distinct rating": len(np.unique(ratings.rating)),
    }
    return next((f"only one {kind}" for kind, count in distinct.items() if count < 2), "")


def _dataset(
    raw: RawData, scale: RatingScale, users: IdMap, movies: IdMap, ratings: Interactions
) -> Dataset:
    return Dataset(
        name=raw.name,
        fingerprint=fingerprint_of(users, movies, ratings),
        scale=scale,
        users=users,
        movies=movies,
        ratings=ratings,
        user_frame=catalogue_rows(raw.users, Columns.USERS, users),
        movie_frame=catalogue_rows(raw.movies, Columns.MOVIES, movies),
        source=raw.source,
    )


def _files(raw: RawData) -> tuple[str, ...]:
    return tuple(table.file for table in (raw.ratings, raw.users, raw.movies) if table)
