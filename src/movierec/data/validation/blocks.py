"""Rows of one block as narrow columns of numbers, each kept so far or dropped with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from movierec.columns import Columns
from movierec.data.catalogue import usable_id
from movierec.data.convert import combined, is_missing, numbers, on_scale, times, trimmed
from movierec.data.dataset import RatingScale
from movierec.data.formats.raw import Place, RawTable

__all__ = ["Array", "Block", "BlockFacts", "Ids", "Reason", "check_block", "drop"]

Array: TypeAlias = npt.NDArray[Any]


class Reason(IntEnum):
    """Why a row is dropped: of several reasons, the one that comes first here."""

    NO_USER = 0
    BAD_USER = 1
    NO_MOVIE = 2
    BAD_MOVIE = 3
    NO_RATING = 4
    BAD_RATING = 5
    NO_TIME = 6
    BAD_TIME = 7
    OFF_SCALE = 8
    UNKNOWN_USER = 9
    UNKNOWN_MOVIE = 10
    TWIN = 11
    KEPT = 127


def drop(reasons: npt.NDArray[np.int8], rows: npt.NDArray[np.bool_], reason: Reason) -> None:
    """Drop the rows of the mask that have no earlier reason."""
    np.minimum(reasons, reason, out=reasons, where=rows)


class Ids:
    """The distinct ids of one column, coded 0…n-1 in the order in which they were met."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._flaws = bytearray()  # per code: 1 when it is empty, 2 when it is unusable

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def values(self) -> list[str]:
        """The ids in the order of their codes."""
        return list(self._codes)

    def add(self, value: str) -> int:
        """Return the code of an id, a new one where it was not met before."""
        code = self._codes.setdefault(value, len(self._codes))
        if code == len(self._flaws):
            self._flaws.append(0 if usable_id(value) else 2 if value else 1)
        return code

    def coded(self, column: Any) -> npt.NDArray[np.int32]:
        """Return the code of each row's id, (n,)."""
        encoded = pc.dictionary_encode(combined(column))
        values = trimmed(encoded.dictionary).to_pylist()
        codes = np.fromiter(map(self.add, values), np.int32, len(values))
        rows: npt.NDArray[np.int32] = codes[encoded.indices.to_numpy()]
        return rows

    def drop_flawed(
        self, codes: Array, reasons: npt.NDArray[np.int8], empty: Reason, bad: Reason
    ) -> None:
        """Drop the rows whose id is empty or unusable."""
        flaws = np.frombuffer(bytes(self._flaws), np.uint8)
        if flaws.any():
            drop(reasons, flaws[codes] == 1, empty)
            drop(reasons, flaws[codes] == 2, bad)


@dataclass(frozen=True)
class BlockFacts:
    """What is known of a block beside its rows.

    `line` is that of its first row; `users` and `movies` are the ids not met before; `dates`
    tells that its times were read as dates, since none of them is a number.
    """

    rows: int
    line: int
    end: Place
    users: list[str]
    movies: list[str]
    dates: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> BlockFacts:
        """Return the facts that `as_dict` wrote."""
        return cls(**{**facts, "end": Place(**facts["end"])})


@dataclass(frozen=True, eq=False)
class Block:
    """A block's facts and its columns.

    Shapes:
        user, movie: (n,) int32 codes; rating: (n,) float32 stars, float64 before the scale is
        known; time: (n,) float64 as in the file, NaN where there is none, (0,) without times;
        reason: (n,) int8 `Reason`; line: (n,) int32 from the first row's on, (0,) where each
        row is one line; malformed: (m,) int64 lines.
    """

    facts: BlockFacts
    columns: Mapping[str, Array]


def check_block(table: RawTable, users: Ids, movies: Ids, scale: RatingScale | None) -> Block:
    """Convert the rows of a block; drop those that are bad whatever the others are."""
    reasons = np.full(len(table), Reason.KEPT, np.int8)
    known = len(users), len(movies)
    user, movie = users.coded(table.column(Columns.USER)), movies.coded(table.column(Columns.MOVIE))
    users.drop_flawed(user, reasons, Reason.NO_USER, Reason.BAD_USER)
    movies.drop_flawed(movie, reasons, Reason.NO_MOVIE, Reason.BAD_MOVIE)
    rating = _ratings(table.column(Columns.RATING), scale, reasons)
    time, dates = _times(table, reasons)
    columns = {
        "user": user,
        "movie": movie,
        "rating": rating if scale is None else rating.astype(np.float32),
        "time": time,
        "reason": reasons,
        "line": _lines(table),
        "malformed": table.malformed,
    }
    first = int(table.lines[0]) if len(table) else 0
    new = users.values[known[0] :], movies.values[known[1] :]
    return Block(BlockFacts(len(table), first, table.end, *new, dates), columns)


def _ratings(
    column: Any, scale: RatingScale | None, reasons: npt.NDArray[np.int8]
) -> npt.NDArray[np.float64]:
    encoded = pc.dictionary_encode(combined(column))
    rows, values = encoded.indices.to_numpy(), numbers(encoded.dictionary)
    bad = np.isnan(values)
    if bad.any():
        drop(reasons, is_missing(encoded.dictionary)[rows], Reason.NO_RATING)
        drop(reasons, bad[rows], Reason.BAD_RATING)
    if scale is not None:
        finite = np.where(bad, scale.low, values)
        drop(reasons, ~on_scale(finite, scale)[rows], Reason.OFF_SCALE)
    ratings: npt.NDArray[np.float64] = values[rows]
    return ratings


def _times(table: RawTable, reasons: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.float64], bool]:
    if Columns.TIMESTAMP not in table.names:
        return np.zeros(0), False
    column = combined(table.column(Columns.TIMESTAMP))
    found, dates = times(column)
    if np.isnan(found).any():
        drop(reasons, is_missing(column), Reason.NO_TIME)
    return found, dates


def _lines(table: RawTable) -> npt.NDArray[np.int32]:
    lines = table.lines
    if not len(lines) or lines[-1] - lines[0] == len(lines) - 1:
        return np.zeros(0, np.int32)
    later: npt.NDArray[np.int32] = (lines - lines[0]).astype(np.int32)
    return later
