"""Delimited text to columns of strings, with the line number of every row.

Parsing is pyarrow's. What is added here: encodings, endless lines, rows with another number
of fields (kept apart with their line), and quoted values that span lines.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from movierec.data.dataset import IntArray
from movierec.data.raw import RawTable
from movierec.errors import EmptyDataError, FormatError

__all__ = ["as_utf8", "first_line", "read_delimited", "read_headed", "split_line"]

MAX_LINE = 1 << 20  # bytes; a rating takes some 30, a movie some 300
BLOCK = 16 << 20  # bytes parsed at once, far above MAX_LINE
UNIT_SEPARATOR = "\x1f"  # stands for "::", since the parser takes one character
_OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


def as_utf8(data: bytes, file: str) -> bytes:
    """Return text as UTF-8 without a BOM; what is not UTF-8 is taken for Latin-1.

    Raises:
        FormatError: the file is empty, binary, in UTF-16, or has a line over 1 MB.

    """
    if not data or data.isspace():
        raise FormatError(f"{file} is empty.", hint="Check that it was copied or unpacked fully.")
    if data.startswith(_OTHER_ENCODINGS):
        raise FormatError(f"{file} is in UTF-16 or UTF-32.", hint="Save it as UTF-8.")
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise FormatError(
            f"{file} is not text: line {line} has a zero byte.",
            hint="Give a CSV, TSV or Parquet file.",
        )
    data = data.removeprefix(codecs.BOM_UTF8)
    _refuse_endless_line(data, file)
    return data if _is_utf8(data) else data.decode("latin-1").encode()


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse_endless_line(data: bytes, file: str) -> None:
    start = 0
    while len(data) - start > MAX_LINE:
        end = data.rfind(b"\n", start, start + MAX_LINE)
        if end < 0:
            line = data.count(b"\n", 0, start) + 1
            raise FormatError(
                f"Line {line} of {file} is longer than {MAX_LINE:,} bytes.",
                hint="Check that its lines end in a line break.",
            )
        start = end + 1


def first_line(data: bytes) -> str:
    """Return the first line of UTF-8 text without its line break."""
    return data[: MAX_LINE + 1].partition(b"\n")[0].rstrip(b"\r").decode(errors="replace")


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
    names = split_line(first_line(data), delimiter)
    names = [name or f"column {place}" for place, name in enumerate(names, start=1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FormatError(
            f"Line 1 of {file} has the column {twice[0]!r} twice.", hint="Rename one of them."
        )
    body = data.partition(b"\n")[2]
    if not body.strip():
        raise EmptyDataError(f"{file} has a header and no rows.", hint="Check that it is whole.")
    return _parse(body, file, delimiter, names, first=2)


def read_delimited(data: bytes, file: str, delimiter: str, names: Sequence[str]) -> RawTable:
    """Read UTF-8 text without a header; fields beyond `names` are ignored.

    Raises:
        FormatError: the first line has fewer fields than `names`, or no line fits.

    """
    fields = split_line(first_line(data), delimiter)
    if len(fields) < len(names):
        raise FormatError(
            f"Line 1 of {file} has {len(fields)} field(s) between {_shown(delimiter)}; "
            f"{len(names)} are expected ({', '.join(names)}).",
            hint="Check the file, or name its columns with --user-column and its siblings.",
        )
    extra = [f"column {place}" for place in range(len(names) + 1, len(fields) + 1)]
    return _parse(data, file, delimiter, [*names, *extra], first=1)


def _shown(delimiter: str) -> str:
    return {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(delimiter, repr(delimiter))


def _parse(data: bytes, file: str, delimiter: str, names: list[str], first: int) -> RawTable:
    if delimiter == "::":
        data, delimiter = data.replace(b"::", UNIT_SEPARATOR.encode()), UNIT_SEPARATOR
    odd: list[int] = []
    table = _arrow(data, file, delimiter, names, odd)
    malformed = np.array(odd, np.int64)
    rows = np.delete(np.arange(1, table.num_rows + len(odd) + 1), malformed - 1)
    keep = _not_blank(table)
    if not len(keep):
        bad = int(malformed[0]) if odd else 1
        raise FormatError(
            f"No line of {file} has {len(names)} field(s) between {_shown(delimiter)}; "
            f"line {bad + first - 1} is the first that has not.",
            hint="Check the delimiter and the quotes.",
        )
    breaks = _breaks_before(data, table, len(odd)) + first - 1
    bad_lines = malformed + breaks[np.searchsorted(rows, malformed)]
    kept = table if len(keep) == table.num_rows else table.take(pa.array(keep))
    return RawTable(file, kept, (rows + breaks[:-1])[keep], bad_lines)


def _arrow(data: bytes, file: str, delimiter: str, names: list[str], odd: list[int]) -> Any:
    def note(row: Any) -> str:
        odd.append(row.number)
        return "skip"

    quoted = delimiter not in ("\t", UNIT_SEPARATOR) and b'"' in data
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(
                column_names=names, block_size=BLOCK, use_threads=False
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
            f"{file} cannot be split into fields: {str(error).splitlines()[0]}.",
            hint="Check its delimiter and quotes.",
        ) from error


def _breaks_before(data: bytes, table: Any, n_malformed: int) -> IntArray:
    """Count the line breaks inside the values of the rows before each row, (n + 1,)."""
    breaks = np.zeros(table.num_rows + 1, np.int64)
    line_count = data.count(b"\n") + (not data.endswith(b"\n"))
    if line_count == table.num_rows + n_malformed:
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
