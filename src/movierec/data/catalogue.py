"""Lists of users and movies: their ids in order, and the frames beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from movierec.columns import Columns
from movierec.data.convert import trimmed
from movierec.data.dataset import IdMap
from movierec.data.formats.raw import RawTable
from movierec.errors import FormatError

__all__ = ["catalogue_ids", "catalogue_rows", "natural_order", "usable_id"]

MAX_AGE = 120  # years
MAX_ID = 255  # characters
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_WHOLE = re.compile(r"-?\d+", re.ASCII)


def usable_id(value: str) -> bool:
    """Return whether an id can be shown and kept: no line break, 1 to 255 characters."""
    return 0 < len(value) <= MAX_ID and not _CONTROL.search(value)


def natural_order(ids: Iterable[str]) -> list[str]:
    """Return ids in numeric order when all are whole numbers, else in lexicographic order."""
    found = list(ids)
    if all(_WHOLE.fullmatch(i) for i in found):
        return sorted(found, key=lambda i: (int(i), i))
    return sorted(found)


def catalogue_ids(table: RawTable) -> list[str]:
    """Return the ids of a users or movies file, in its order.

    Raises:
        FormatError: an id is missing or there twice, or a line is malformed; the message
            names file and line.

    """
    if len(table.malformed):
        raise FormatError(
            f"Line {table.malformed[0]} of {table.file} has another number of fields than its "
            "first line.",
            hint="Quote values that contain the delimiter.",
        )
    ids = pd.Series(trimmed(table.column(table.names[0])).to_pandas())
    _refuse(table, ~ids.map(usable_id).astype(bool), "has no usable id")
    _refuse(table, ids.duplicated(), "repeats the id of an earlier line")
    return [str(i) for i in ids]


def _refuse(table: RawTable, rows: pd.Series, complaint: str) -> None:
    if rows.any():
        line = table.lines[int(rows.to_numpy().argmax())]
        raise FormatError(f"Line {line} of {table.file} {complaint}.", hint="Correct that line.")


def catalogue_rows(table: RawTable | None, wanted: Sequence[str], ids: IdMap) -> pd.DataFrame:
    """Return one row per index with the wanted columns that the file has, the id first."""
    frame = pd.DataFrame({wanted[0]: ids.ids})
    if table is None:
        return frame
    for name in wanted[1:]:
        if name in table.names:
            frame[name] = table.column(name).to_pandas()
    if Columns.AGE in frame:
        ages = pd.to_numeric(frame[Columns.AGE], errors="coerce").astype(float)
        frame[Columns.AGE] = ages.where(ages.between(0, MAX_AGE, inclusive="right"))
    return frame
