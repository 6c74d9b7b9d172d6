"""What the readers hand to the checks: rows as text, each with its line in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from movierec.data.dataset import IntArray, RatingScale

__all__ = [
    "NO_GENRES",
    "START",
    "ColumnChoice",
    "Place",
    "RatingRows",
    "RawData",
    "RawRatings",
    "RawTable",
    "join_genres",
    "no_lines",
    "split_titles",
    "years_of",
]

NO_GENRES = ("(no genres listed)", "unknown")
FIRST_YEAR, LAST_YEAR = 1870, 2100  # the oldest film kept is of 1878
# "Seven (1995)", "The Office (2005–2013)", "Land Before Time III (1995) (V)" (for video)
_TITLE = r"^(?P<title>.*?)\s*\((?P<year>\d{4})(?:[-–]\d{0,4})?\)\s*(?:\(T?V\))?$"


def split_titles(titles: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return titles without the year at their end, and the years (NaN where there is none)."""
    stripped = titles.fillna("").astype(str).str.strip()
    parts = stripped.str.extract(_TITLE)
    years = years_of(parts["year"])
    bare = parts["title"].where(years.notna() & (parts["title"] != ""), stripped)
    return bare, years


def years_of(texts: pd.Series) -> pd.Series:
    """Return years as floats; NaN for what is no year of film."""
    years = pd.to_numeric(texts, errors="coerce").astype(float)
    return years.where(years.between(FIRST_YEAR, LAST_YEAR))


def join_genres(genres: pd.Series, separator: str = "|") -> pd.Series:
    """Return genres joined by "|"; empty where the source says that it knows none."""
    texts = genres.fillna("").astype(str).str.strip()
    texts = texts.mask(texts.isin(NO_GENRES), "")
    return texts if separator == "|" else texts.str.split().str.join("|")


def no_lines() -> IntArray:
    """Return an empty array of line numbers."""
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class ColumnChoice:
    """Which columns of a table hold what; `timestamp` is None where there are no times."""

    user: str
    movie: str
    rating: str
    timestamp: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns chosen, in the order of `Columns.INTERACTIONS`."""
        return tuple(n for n in (self.user, self.movie, self.rating, self.timestamp) if n)


@dataclass(frozen=True)
class Place:
    """A place between two blocks of a file, from which reading can go on.

    `offset` bytes, of Parquet rows, lie before it; `line` is the next one's number, from 1;
    `encoding` is the one that the bytes before it are in, empty while they are all ASCII.
    """

    offset: int = 0
    line: int = 1
    encoding: str = ""


START = Place()


@dataclass(frozen=True, eq=False)
class RawTable:
    """The rows of one file, or of one block of it, as text; nothing converted yet.

    Shapes:
        table: string columns of n rows, named as in the file or as in `Columns`;
        lines: (n,) line of each row in the file, from 1 (of a Parquet file, the row);
        malformed: lines that have another number of fields than the header.
    """

    file: str
    table: pa.Table
    lines: IntArray
    malformed: IntArray = field(default_factory=no_lines)
    end: Place = START

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.table.column_names)

    @property
    def source(self) -> dict[str, str]:
        """The names of the columns, told already."""
        return {name: name for name in self.names}

    @property
    def size(self) -> int:
        """How far `end.offset` can come: a whole table has no places within."""
        return 1

    @property
    def path(self) -> Path | None:
        """The file on disk, where reading can go on later: none."""
        return None

    def column(self, name: str) -> Any:
        """Return one column as a pyarrow array of strings."""
        return self.table.column(name)

    def choose(self, source: dict[str, str]) -> RawTable:
        """Return the columns named by the values of `source`, renamed to its keys."""
        columns = [self.table.column(name) for name in source.values()]
        chosen = pa.table(columns, names=list(source))
        return RawTable(self.file, chosen, self.lines, self.malformed, self.end)

    def blocks(self, start: Place = START) -> Iterator[RawTable]:
        """Yield the whole table as one block."""
        if start == START:
            yield self


class RatingRows(Protocol):
    """The rows of a ratings file, however they are held."""

    @property
    def file(self) -> str:
        """Name for messages."""

    @property
    def names(self) -> list[str]:
        """Names of the columns, those of `Columns.INTERACTIONS`."""

    @property
    def source(self) -> dict[str, str]:
        """The file's own name of each column."""

    @property
    def size(self) -> int:
        """Length of the file, in the unit of `Place.offset`."""

    @property
    def path(self) -> Path | None:
        """The file on disk, when reading can go on from any block's end."""

    def blocks(self, start: Place = START) -> Iterator[RawTable]:
        """Yield the rows in blocks, from a place on."""


@dataclass(frozen=True, eq=False)
class RawRatings:
    """A ratings file that is read block by block; `source` maps our column names to its own."""

    file: str
    source: dict[str, str]
    size: int
    path: Path
    reader: Callable[[Place], Iterator[RawTable]]

    @property
    def names(self) -> list[str]:
        """Names of the columns, as in `Columns`."""
        return list(self.source)

    def blocks(self, start: Place = START) -> Iterator[RawTable]:
        """Yield the rows from a place on, in blocks that fit into memory.

        Raises:
            FormatError: the file is not what it claims to be.
            EmptyDataError: there is nothing in it.

        """
        for block in self.reader(start):
            yield block.choose(self.source)


@dataclass(frozen=True, eq=False)
class RawData:
    """A data set as its files tell it: `Columns` names, everything still text.

    `scale` is None where the format does not fix it; the checks then infer one.
    """

    name: str
    format: str
    ratings: RatingRows
    users: RawTable | None = None
    movies: RawTable | None = None
    scale: RatingScale | None = None
    source: str = ""
