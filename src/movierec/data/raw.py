"""What the readers hand to the checks: rows as text, each with its line in the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from movierec.data.dataset import IntArray, RatingScale

__all__ = ["ColumnChoice", "RawData", "RawTable", "no_lines"]


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


@dataclass(frozen=True, eq=False)
class RawTable:
    """The rows of one file as text, nothing converted yet.

    Shapes:
        table: string columns of n rows, named as in the file or as in `Columns`;
        lines: (n,) line of each row in the file, from 1 (of a Parquet file, the row);
        malformed: lines that have another number of fields than the header.
    """

    file: str
    table: pa.Table
    lines: IntArray
    malformed: IntArray = field(default_factory=no_lines)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(self.table.column_names)

    def column(self, name: str) -> Any:
        """Return one column as a pyarrow array of strings."""
        return self.table.column(name)

    def choose(self, source: dict[str, str]) -> RawTable:
        """Return the columns named by the values of `source`, renamed to its keys."""
        columns = [self.table.column(name) for name in source.values()]
        chosen = pa.table(columns, names=list(source))
        return RawTable(self.file, chosen, self.lines, self.malformed)


@dataclass(frozen=True, eq=False)
class RawData:
    """A data set as its files tell it: `Columns` names, everything still text.

    `scale` is None where the format does not fix it; the checks then infer one.
    """

    name: str
    format: str
    ratings: RawTable
    users: RawTable | None = None
    movies: RawTable | None = None
    scale: RatingScale | None = None
    source: str = ""
