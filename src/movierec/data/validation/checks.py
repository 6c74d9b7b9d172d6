"""Every row is kept, or dropped with a reason; what remains becomes a `Dataset`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.columns import Columns
from movierec.data.arrays import steps
from movierec.data.catalogue import catalogue_ids, catalogue_rows, natural_order
from movierec.data.convert import WHOLE_STARS, are_milliseconds, infer_scale, to_seconds
from movierec.data.dataset import (
    Dataset,
    IdMap,
    IntArray,
    Interactions,
    RatingScale,
    fingerprint_of,
)
from movierec.data.formats.raw import RawData, RawTable
from movierec.data.validation.blocks import Array, Ids, Reason, drop
from movierec.data.validation.report import DroppedRows, ImportReport, describe
from movierec.data.validation.rows import CheckedRows, checked_rows
from movierec.errors import EmptyDataError

__all__ = ["FIRST_LINES", "checked", "gathered"]

FIRST_LINES = 5  # lines shown per reason
MALFORMED = "malformed line (another number of fields)"
MISSING = "missing value"
BAD_ID = "bad id (line break, control character or over 255 characters)"
OFF_SCALE = "rating off the scale"
UNKNOWN_MOVIE = "unknown movie"


def checked(raw: RawData) -> tuple[Dataset, ImportReport]:
    """Read and convert a data set's rows; raises what `gathered` and the readers raise."""
    return gathered(raw, checked_rows(raw.ratings, raw.scale))


def gathered(raw: RawData, rows: CheckedRows) -> tuple[Dataset, ImportReport]:
    """Make a data set of the rows read: the good ones in source order, the others counted.

    Of several ratings by one user of one movie the newest is kept, the last row without
    timestamps or between equal ones.

    Raises:
        EmptyDataError: too little is left to learn from; the message counts the reasons.
        FormatError: the users or movies file is not usable as a list of ids.

    """
    started = time.perf_counter()
    dataset, facts = _convert(raw, rows)
    took = {"checking": time.perf_counter() - started}
    report = describe(dataset, format=raw.format, files=_files(raw), seconds=took, **facts)
    return dataset, report


def _convert(raw: RawData, rows: CheckedRows) -> tuple[Dataset, dict[str, Any]]:
    reasons: npt.NDArray[np.int8] = rows.column("reason", np.int8)
    times = _seconds(rows, reasons) if rows.timed else None
    scale = raw.scale or _inferred(rows, reasons)
    codes = {kind: rows.column(kind, np.int32) for kind in ("user", "movie")}
    users = _id_map(raw.users, "user", rows.users, codes["user"], reasons)
    movies = _id_map(raw.movies, "movie", rows.movies, codes["movie"], reasons)
    _drop_twins(codes["user"], codes["movie"], times, reasons)
    kept = reasons == Reason.KEPT
    ratings = Interactions(
        _indices(codes.pop("user"), rows.users, users, kept),  # each lets its codes go
        _indices(codes.pop("movie"), rows.movies, movies, kept),
        _taken(rows.column("rating", np.float32), kept),
        None if times is None else _taken(times, kept),
    )
    facts = {
        "ratings_file": rows.file,
        "rows_read": len(rows) + len(rows.malformed),
        "dropped": _dropped(raw, rows, reasons, scale),
        "scale_inferred": raw.scale is None,
    }
    _require_enough(ratings, facts)
    return _dataset(raw, scale, users, movies, ratings), facts


def _seconds(rows: CheckedRows, reasons: npt.NDArray[np.int8]) -> IntArray:
    times = rows.times()
    milliseconds = are_milliseconds(times[step] for step in steps(len(times)))
    whole = times.view(np.int64)  # in the same memory
    for step in steps(len(times)):
        bad = to_seconds(times[step], milliseconds=milliseconds)
        drop(reasons[step], bad, Reason.BAD_TIME)
        whole[step] = times[step].astype(np.int64)
    return whole


def _inferred(rows: CheckedRows, reasons: npt.NDArray[np.int8]) -> RatingScale:
    values = rows.column("rating", np.float64)
    kept = (values[step][reasons[step] == Reason.KEPT] for step in steps(len(values)))
    distinct = np.concatenate([np.zeros(0), *(np.unique(part) for part in kept)])
    return infer_scale(distinct) if len(distinct) else WHOLE_STARS


def _id_map(
    catalogue: RawTable | None, kind: str, ids: Ids, codes: Array, reasons: npt.NDArray[np.int8]
) -> IdMap:
    """Return the map in the catalogue's order, or in natural order where there is none."""
    if catalogue is None:
        used = np.zeros(len(ids), bool)
        for step in steps(len(codes)):
            used[codes[step][reasons[step] == Reason.KEPT]] = True
        return IdMap(natural_order(np.array(ids.values, object)[used]), kind=kind)
    known = IdMap(catalogue_ids(catalogue), kind=kind)
    unknown = np.fromiter((value not in known for value in ids.values), bool, len(ids))
    reason = Reason.UNKNOWN_USER if kind == "user" else Reason.UNKNOWN_MOVIE
    if unknown.any():
        drop(reasons, unknown[codes], reason)
    return known


def _drop_twins(
    user: Array, movie: Array, times: IntArray | None, reasons: npt.NDArray[np.int8]
) -> None:
    rows = _rows_of_twins(user, movie, reasons)
    order = rows if times is None else rows[np.argsort(times[rows], kind="stable")]
    pairs = pd.Series(_pairs(user[order], movie[order]))
    reasons[order[pairs.duplicated(keep="last").to_numpy()]] = Reason.TWIN


def _rows_of_twins(user: Array, movie: Array, reasons: npt.NDArray[np.int8]) -> IntArray:
    """Return the kept rows whose pair of user and movie another kept row has, in order."""
    pairs = np.empty(np.count_nonzero(reasons == Reason.KEPT), np.int64)
    done = 0
    for step in steps(len(reasons)):
        kept = reasons[step] == Reason.KEPT
        part = _pairs(user[step][kept], movie[step][kept])
        pairs[done : done + len(part)] = part
        done += len(part)
    pairs.sort()
    twice = np.unique(pairs[1:][pairs[1:] == pairs[:-1]])
    found = [np.zeros(0, np.int64)]
    for step in steps(len(reasons) if len(twice) else 0):
        kept = reasons[step] == Reason.KEPT
        found.append(
            step.start + np.flatnonzero(kept & _among(_pairs(user[step], movie[step]), twice))
        )
    return np.concatenate(found)


def _pairs(user: Array, movie: Array) -> IntArray:
    """Return one number per pair of codes, which are below 2^31."""
    pairs: IntArray = user.astype(np.int64) << 32 | movie
    return pairs


def _among(values: IntArray, ordered: IntArray) -> npt.NDArray[np.bool_]:
    places = np.searchsorted(ordered, values)
    found: npt.NDArray[np.bool_] = ordered[np.minimum(places, len(ordered) - 1)] == values
    return found


def _indices(codes: Array, ids: Ids, known: IdMap, kept: npt.NDArray[np.bool_]) -> IntArray:
    """Return the index of each kept row's id, (n_kept,)."""
    indices = (known.index(value) if value in known else -1 for value in ids.values)
    return _taken(codes, kept, np.fromiter(indices, np.int64, len(ids)))


def _taken(values: Array, kept: npt.NDArray[np.bool_], lookup: Array | None = None) -> Array:
    """Return the kept values, or what stands in the lookup for them."""
    if lookup is None and kept.all():
        return values
    dtype = values.dtype if lookup is None else lookup.dtype
    taken: Array = np.empty(np.count_nonzero(kept), dtype)
    done = 0
    for step in steps(len(values)):
        part = values[step][kept[step]]
        taken[done : done + len(part)] = part if lookup is None else lookup[part]
        done += len(part)
    return taken


def _dropped(
    raw: RawData, rows: CheckedRows, reasons: npt.NDArray[np.int8], scale: RatingScale
) -> tuple[DroppedRows, ...]:
    """Return the rows dropped by reason, malformed lines first."""
    malformed = rows.malformed
    found = [DroppedRows(MALFORMED, len(malformed), tuple(malformed[:FIRST_LINES].tolist()))]
    for reason, text in _texts(raw, rows, scale).items():
        count = int(np.count_nonzero(reasons == reason))
        found.append(DroppedRows(text, count, rows.lines_of(_first(reasons, reason))))
    return tuple(dropped for dropped in found if dropped.count)


def _texts(raw: RawData, rows: CheckedRows, scale: RatingScale) -> dict[Reason, str]:
    newest = "newest" if rows.timed else "last row"
    return {
        Reason.NO_USER: MISSING,
        Reason.BAD_USER: BAD_ID,
        Reason.NO_MOVIE: MISSING,
        Reason.BAD_MOVIE: BAD_ID,
        Reason.NO_RATING: MISSING,
        Reason.BAD_RATING: "bad number",
        Reason.NO_TIME: MISSING,
        Reason.BAD_TIME: "bad timestamp (neither seconds from 1970 on nor ISO 8601)",
        Reason.OFF_SCALE: f"{OFF_SCALE} {scale.low:g} to {scale.high:g}",
        Reason.UNKNOWN_USER: f"unknown user (not in {raw.users.file if raw.users else ''})",
        Reason.UNKNOWN_MOVIE: f"{UNKNOWN_MOVIE} (not in {raw.movies.file if raw.movies else ''})",
        Reason.TWIN: f"duplicate pair (the {newest} is kept)",
    }


def _first(reasons: npt.NDArray[np.int8], reason: Reason) -> list[int]:
    """Return the first rows dropped for a reason."""
    found: list[int] = []
    for step in steps(len(reasons)):
        found += (step.start + np.flatnonzero(reasons[step] == reason)[:FIRST_LINES]).tolist()
        if len(found) >= FIRST_LINES:
            break
    return found[:FIRST_LINES]


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
    columns: dict[str, Array] = {
        "user": ratings.user,
        "movie": ratings.movie,
        "distinct rating": ratings.rating,
    }
    return next((f"only one {kind}" for kind, v in columns.items() if (v == v[0]).all()), "")


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
