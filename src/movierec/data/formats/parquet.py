"""Parquet files as columns of strings, whole or in batches."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from movierec.columns import Columns
from movierec.data.formats.files import Files
from movierec.data.formats.raw import Place, RawRatings, RawTable
from movierec.errors import EmptyDataError, FormatError

__all__ = ["is_parquet", "parquet_names", "parquet_ratings", "read_parquet"]

ENDINGS = (".parquet", ".pq")
MAGIC = b"PAR1"
ROWS = 1 << 19  # rows converted at once, as many as 16 MB of text have


def is_parquet(files: Files, file: str) -> bool:
    """Return whether a file is Parquet, or says so."""
    if file.lower().endswith(ENDINGS):
        return True
    with files.open(file) as stream:
        return stream.read(len(MAGIC)) == MAGIC


def parquet_names(files: Files, file: str) -> list[str]:
    """Return the columns that can be read as text.

    Raises:
        FormatError: it is no Parquet file.
        EmptyDataError: it has no rows.

    """
    with _opened(files, file) as table:
        if not table.metadata.num_rows:
            raise EmptyDataError(f"{file} has no rows.", hint="Check that it is whole.")
        return [f.name for f in table.schema_arrow if not pa.types.is_nested(f.type)]


def read_parquet(files: Files, file: str) -> RawTable:
    """Read a whole file; raises what `parquet_names` raises."""
    names = parquet_names(files, file)
    with _opened(files, file) as table:
        found = table.read(names)
    flat = {name: _as_text(found.column(name)) for name in names}
    return RawTable(file, pa.table(flat), np.arange(1, found.num_rows + 1))


def parquet_ratings(files: Files, file: str, source: dict[str, str]) -> RawRatings:
    """Return a ratings file that is read in batches; `source` maps our names to its columns."""
    with _opened(files, file) as table:
        rows = table.metadata.num_rows
        whole = [
            name
            for name in {source[Columns.USER], source[Columns.MOVIE]}
            if pa.types.is_floating(table.schema_arrow.field(name).type)
            and _are_whole(batch.column(0) for batch in _batches(table, [name]))
        ]
    reader = partial(_blocks, files, file, list(source.values()), whole)
    return RawRatings(file, source, rows, files.member(file).path, reader)


def _blocks(
    files: Files, file: str, names: Sequence[str], whole: Sequence[str], start: Place
) -> Iterator[RawTable]:
    done = 0
    with _opened(files, file) as table:
        for batch in _batches(table, names):
            first, done = done, done + batch.num_rows
            if done <= start.offset:
                continue
            lines = np.arange(first + 1, done + 1)
            flat = {n: _text_of(batch.column(n), whole=n in whole) for n in dict.fromkeys(names)}
            yield RawTable(file, pa.table(flat), lines, end=Place(done, done + 1))


def _batches(table: Any, names: Sequence[str]) -> Iterator[Any]:
    yield from table.iter_batches(ROWS, columns=list(dict.fromkeys(names)), use_threads=False)


@contextmanager
def _opened(files: Files, file: str) -> Iterator[Any]:
    member = files.member(file)
    source = io.BytesIO(files.read(file)) if member.packed else member.path
    try:
        with parquet.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20) as table:
            yield table
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise FormatError(
            f"{file} is not a readable Parquet file: {str(error).splitlines()[0]}",
            hint="Write it again, or export it as CSV.",
        ) from error


def _as_text(column: Any) -> Any:
    whole = pa.types.is_floating(column.type) and _are_whole(column.chunks)
    return _text_of(column, whole=whole)


def _text_of(column: Any, *, whole: bool) -> Any:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column = pc.cast(pc.cast(column, pa.timestamp("s"), safe=False), pa.int64())
    elif whole:
        column = pc.cast(column, pa.int64())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        column = pa.array(["" for _ in range(len(column))])  # bytes are no id and no number
    return pc.fill_null(pc.cast(column, pa.string()), "")


def _are_whole(parts: Any) -> bool:
    """Return whether floats are all whole numbers: pandas makes 7 a 7.0 beside a gap."""
    some = False
    for part in parts:
        finite = pc.drop_null(part)
        if not len(finite):
            continue
        some = True
        if not pc.all(pc.equal(finite, pc.floor(finite))).as_py():
            return False
        if pc.max(pc.abs(finite)).as_py() >= 2**53:
            return False
    return some
