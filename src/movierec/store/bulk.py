"""Rows from arrays to the database and back in bulk, without an object of ours per row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, Connection, Float, Select, insert

from movierec.store.tables import Base

__all__ = ["CHUNK", "Rows", "fetch_rows", "insert_rows"]

CHUNK = 20_000  # rows sent or fetched at once: bounds memory, costs no speed
TOGETHER = 50  # rows per INSERT of SQLite: half the time of one by one
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"


@dataclass(frozen=True)
class Rows:
    """Rows of one data set: numbered 0…size-1 in the column `index`, arrays for the others.

    An array may be None, for a column without values.
    """

    kind: type[Base]
    key: int
    index: str
    columns: Mapping[str, Any]
    size: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, the data set's key first."""
        return ("dataset_id", self.index, *self.columns)

    def chunk(self, start: int, stop: int) -> list[Any]:
        """Return the columns of some rows as plain values, without the key."""
        values = [
            [None] * (stop - start) if array is None else array[start:stop].tolist()
            for array in self.columns.values()
        ]
        return [range(start, stop), *values]


def insert_rows(
    connection: Connection, rows: Rows, on_chunk: Callable[[int], None] | None = None
) -> None:
    """Insert rows; SQLite takes many per statement, PostgreSQL a COPY, others what they can.

    `on_chunk` is called with the number of rows inserted so far.
    """
    if connection.dialect.driver == "psycopg":
        write = _copy_numbers if _are_numbers(rows) else _copy
    else:
        write = _insert_sqlite if connection.dialect.name == "sqlite" else _insert
    for start in range(0, rows.size, CHUNK):
        stop = min(start + CHUNK, rows.size)
        write(connection, rows, start, stop)
        if on_chunk is not None:
            on_chunk(stop)


def fetch_rows(connection: Connection, query: Select[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a query in chunks, as its driver makes them.

    SQLAlchemy's own rows cost six times as much.
    """
    dialect = connection.dialect
    if dialect.driver not in ("pysqlite", "psycopg"):
        for part in connection.execute(query).yield_per(CHUNK).partitions():
            yield [tuple(row) for row in part]
        return
    statement = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    driver: Any = connection.connection
    # PostgreSQL sends all rows at once unless the cursor has a name
    with closing(driver.cursor(*["rows"] * (dialect.driver == "psycopg"))) as cursor:
        cursor.execute(statement)
        while rows := cursor.fetchmany(CHUNK):
            yield rows


def _insert(connection: Connection, rows: Rows, start: int, stop: int) -> None:
    values = zip(*rows.chunk(start, stop), strict=True)
    connection.execute(
        insert(rows.kind),
        [dict(zip(rows.names, (rows.key, *row), strict=True)) for row in values],
    )


def _insert_sqlite(connection: Connection, rows: Rows, start: int, stop: int) -> None:
    columns = rows.chunk(start, stop)
    width, whole = len(columns), (stop - start) // TOGETHER * TOGETHER
    flat: list[Any] = [None] * (width * whole)
    for place, column in enumerate(columns):
        flat[place::width] = column[:whole]
    driver: Any = connection.connection
    cursor = driver.cursor()
    many = zip(*[iter(flat)] * (width * TOGETHER), strict=True)
    cursor.executemany(_statement(rows, TOGETHER), many)
    cursor.executemany(_statement(rows, 1), zip(*(c[whole:] for c in columns), strict=True))
    cursor.close()


def _statement(rows: Rows, count: int) -> str:
    columns = ", ".join(f'"{name}"' for name in rows.names)
    row = f"({rows.key:d}, {', '.join('?' * (len(rows.names) - 1))})"
    return f"INSERT INTO {rows.kind.__tablename__} ({columns}) VALUES {', '.join([row] * count)}"


def _copy(connection: Connection, rows: Rows, start: int, stop: int) -> None:
    with _copying(connection, rows, "") as copy:
        for row in zip(*rows.chunk(start, stop), strict=True):
            copy.write_row((rows.key, *row))


def _copying(connection: Connection, rows: Rows, options: str) -> Any:
    columns = ", ".join(f'"{name}"' for name in rows.names)
    driver: Any = connection.connection
    return driver.cursor().copy(f"COPY {rows.kind.__tablename__} ({columns}) FROM STDIN{options}")


def _copy_numbers(connection: Connection, rows: Rows, start: int, stop: int) -> None:
    """Send rows of numbers in PostgreSQL's own form, laid out by NumPy."""
    with _copying(connection, rows, " (FORMAT binary)") as copy:
        copy.write(_COPY_HEAD)
        copy.write(_laid_out(rows, start, stop))
        copy.write(_COPY_END)


def _are_numbers(rows: Rows) -> bool:
    return all(array is None or array.dtype.kind in "if" for array in rows.columns.values())


def _laid_out(rows: Rows, start: int, stop: int) -> bytes:
    """Return rows as the number of fields, then each one's length and value; NULL is length -1."""
    filled = {name: array for name, array in _numbers(rows, start, stop) if array is not None}
    kinds = {name: _number_type(rows.kind, name) for name in filled}
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name in rows.names:
        fields.append((f"length of {name}", ">i4"))
        fields += [(name, kinds[name])] if name in filled else []
    table = np.empty(stop - start, fields)
    table["fields"] = len(rows.names)
    for name in rows.names:
        size = np.dtype(kinds[name]).itemsize if name in filled else -1
        table[f"length of {name}"] = size
        if name in filled:
            table[name] = filled[name]
    return table.tobytes()


def _numbers(rows: Rows, start: int, stop: int) -> Iterator[tuple[str, Any]]:
    yield "dataset_id", rows.key
    yield rows.index, np.arange(start, stop)
    for name, array in rows.columns.items():
        yield name, None if array is None else array[start:stop]


def _number_type(kind: type[Base], name: str) -> str:
    column = kind.__table__.c[name].type
    if isinstance(column, Float):
        return ">f8"
    return ">i8" if isinstance(column, BigInteger) else ">i4"
