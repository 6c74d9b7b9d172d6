"""Delimited text to columns of strings, with the line number of every row.

Parsing is pyarrow's. What is added here: rows with another number of fields (kept apart with
their line), and quoted values that span lines.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from movierec.data.dataset import IntArray
from movierec.data.formats.files import Files
from movierec.data.formats.raw import START, Place, RawRatings, RawTable
from movierec.data.formats.text import first_line, text_blocks
from movierec.errors import EmptyDataError, FormatError

__all__ = [
    "Dialect",
    "delimited_ratings",
    "layout_of_header",
    "layout_of_rows",
    "read_delimited",
    "read_headed",
    "split_line",
]

ARROW_BLOCK = 32 << 20  # bytes; pyarrow splits no block of ours
MAX_HIDDEN = 1000  # lines within malformed rows; more of them were lost unseen
UNIT_SEPARATOR = "\x1f"  # stands for "::", since the parser takes one character


@dataclass(frozen=True)
class Dialect:
    """How a file's rows are written; of a headed file, line 1 names the columns."""

    file: str
    delimiter: str
    names: tuple[str, ...]
    headed: bool

    @classmethod
    def of_header(cls, line: str, file: str, delimiter: str) -> Dialect:
        """Return the layout that a file's header tells; FormatError when it has a name twice."""
        fields = split_line(line, delimiter)
        names = [name or f"column {place}" for place, name in enumerate(fields, start=1)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FormatError(
                f"Line 1 of {file} has the column {twice[0]!r} twice.", hint="Rename one of them."
            )
        return cls(file, delimiter, tuple(names), headed=True)

    @classmethod
    def of_row(cls, line: str, file: str, delimiter: str, names: Sequence[str]) -> Dialect:
        """Return the layout of a file without header; FormatError when line 1 is too short."""
        fields = split_line(line, delimiter)
        if len(fields) < len(names):
            raise FormatError(
                f"Line 1 of {file} has {len(fields)} field(s) between {_shown(delimiter)}; "
                f"{len(names)} are expected ({', '.join(names)}).",
                hint="Check the file, or name its columns with --user-column and its siblings.",
            )
        extra = [f"column {place}" for place in range(len(names) + 1, len(fields) + 1)]
        return cls(file, delimiter, (*names, *extra), headed=False)

    def parse(self, text: bytes, line: int) -> RawTable:
        """Return the rows of whole lines in UTF-8, the first of which has this number."""
        if self.headed and line == 1:
            text, line = text.partition(b"\n")[2], 2
        if not text or text.isspace():
            none = pa.table({name: pa.array([], pa.string()) for name in self.names})
            return RawTable(self.file, none, np.zeros(0, np.int64))
        return _parse(text, self, line)

    def refuse(self, tables: Sequence[RawTable]) -> None:
        """Raise the error of a file without any row."""
        malformed = next((table.malformed for table in tables if len(table.malformed)), None)
        if malformed is None and self.headed:
            raise EmptyDataError(
                f"{self.file} has a header and no rows.", hint="Check that it is whole."
            )
        raise FormatError(
            f"No line of {self.file} has {len(self.names)} field(s) between "
            f"{_shown(self.delimiter)}; line {1 if malformed is None else malformed[0]} is the "
            "first that has not.",
            hint="Check the delimiter and the quotes.",
        )


def split_line(line: str, delimiter: str) -> list[str]:
    """Return one line's fields, stripped; quotes count except between tabs and "::"."""
    if delimiter in ("\t", "::"):
        return [field.strip() for field in line.split(delimiter)]
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]


def read_headed(data: bytes, file: str, delimiter: str) -> RawTable:
    """Read UTF-8 text whose first line names the columns.

    Raises:
        FormatError: two columns share a name, or no line has as many fields as the header.
        EmptyDataError: there is nothing below the header.

    """
    return _whole(Dialect.of_header(first_line(data), file, delimiter), data)


def read_delimited(data: bytes, file: str, delimiter: str, names: Sequence[str]) -> RawTable:
    """Read UTF-8 text without a header; fields beyond `names` are ignored.

    Raises:
        FormatError: the first line has fewer fields than `names`, or no line fits.

    """
    return _whole(Dialect.of_row(first_line(data), file, delimiter, names), data)


def _whole(layout: Dialect, data: bytes) -> RawTable:
    table = layout.parse(data, 1)
    if not len(table):
        layout.refuse([table])
    return table


def layout_of_header(files: Files, file: str, delimiter_of: Callable[[str], str]) -> Dialect:
    """Return the layout of a headed file; `delimiter_of` tells its delimiter from its line 1."""
    line = _line_1(files, file)
    return Dialect.of_header(line, file, delimiter_of(line))


def layout_of_rows(files: Files, file: str, delimiter: str, names: Sequence[str]) -> Dialect:
    """Return the layout of a file without header, from its first line."""
    return Dialect.of_row(_line_1(files, file), file, delimiter, names)


def _line_1(files: Files, file: str) -> str:
    with files.open(file) as stream:
        return first_line(next(text_blocks(stream, file)).data)


def delimited_ratings(files: Files, layout: Dialect, source: dict[str, str]) -> RawRatings:
    """Return a ratings file that is read in blocks; `source` maps our names to its columns."""
    member = files.member(layout.file)
    reader = partial(_blocks, files, layout)
    return RawRatings(layout.file, source, member.size, member.path, reader)


def _blocks(files: Files, layout: Dialect, start: Place) -> Iterator[RawTable]:
    barren: list[RawTable] | None = [] if start == START else None
    with files.open(layout.file) as stream:
        for block in text_blocks(stream, layout.file, start):
            table = replace(layout.parse(block.data, block.line), end=block.end)
            if len(table):
                barren = None
            elif barren is not None:
                barren.append(table)
            yield table
    if barren is not None:
        layout.refuse(barren)


def _shown(delimiter: str) -> str:
    return {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(delimiter, repr(delimiter))


def _parse(data: bytes, layout: Dialect, first: int) -> RawTable:
    delimiter = layout.delimiter
    if delimiter == "::":
        data, delimiter = data.replace(b"::", UNIT_SEPARATOR.encode()), UNIT_SEPARATOR
    odd: list[int] = []
    table = _arrow(data, layout, delimiter, odd)
    malformed = np.array(odd, np.int64)
    rows = np.delete(np.arange(1, table.num_rows + len(odd) + 1), malformed - 1)
    keep = _not_blank(table)
    line_count = data.count(b"\n") + (not data.endswith(b"\n"))
    breaks = _breaks_before(table, line_count - len(odd))
    if line_count - len(rows) - len(odd) - breaks[-1] > MAX_HIDDEN:
        raise _open_quote(layout, first, malformed)
    breaks += first - 1
    bad_lines = malformed + breaks[np.searchsorted(rows, malformed)]
    kept = table if len(keep) == table.num_rows else table.take(pa.array(keep))
    return RawTable(layout.file, kept, (rows + breaks[:-1])[keep], bad_lines)


def _arrow(data: bytes, layout: Dialect, delimiter: str, odd: list[int]) -> Any:
    def note(row: Any) -> str:
        odd.append(row.number)
        return "skip"

    quoted = delimiter not in ("\t", UNIT_SEPARATOR) and b'"' in data
    names = list(layout.names)
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(
                column_names=names, block_size=ARROW_BLOCK, use_threads=False
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
                invalid_row_handler=note,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise FormatError(
            f"{layout.file} cannot be split into fields: {str(error).splitlines()[0]}.",
            hint="Check its delimiter and quotes.",
        ) from error


def _open_quote(layout: Dialect, first: int, malformed: IntArray) -> FormatError:
    return FormatError(
        f"A quote in {layout.file} opens after line {first + int(malformed[0]) - 2} and hides "
        f"more than {MAX_HIDDEN:,} lines.",
        hint="Close that quote, or remove it.",
    )


def _breaks_before(table: Any, line_count: int) -> IntArray:
    """Count the line breaks inside the values of the rows before each row, (n + 1,)."""
    breaks = np.zeros(table.num_rows + 1, np.int64)
    if line_count == table.num_rows:
        return breaks
    for column in table.columns:
        breaks[1:] += pc.count_substring(column, "\n").to_numpy()
    return np.cumsum(breaks)


def _not_blank(table: Any) -> IntArray:
    """Return which rows have something in any column: blank lines are no rows."""
    blank = np.ones(table.num_rows, bool)
    for column in table.columns:
        if not blank.any():
            break
        blank &= pc.equal(column, "").to_numpy()
    return np.flatnonzero(~blank)
