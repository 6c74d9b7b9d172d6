"""Lists as a table, and tables as a file: Parquet, CSV or a JSON object per line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from movierec.errors import SettingsError
from movierec.inference.batch import TopK

if TYPE_CHECKING:
    from movierec.data.dataset import FloatArray
    from movierec.inference.version import LoadedVersion

__all__ = ["SUFFIXES", "as_table", "check_suffix", "write_tables"]

SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int32()),
        ("movie_id", pa.string()),
        ("title", pa.string()),
        ("score", pa.float32()),
        ("predicted_rating", pa.float32()),
        ("version", pa.string()),
        ("reason", pa.string()),
    ]
)


def as_table(version: LoadedVersion, lists: TopK) -> pa.Table:
    """Return lists with ids and titles; a rating that nobody predicts is null."""
    data = version.dataset
    titles = np.array(data.titles, object)
    columns = [
        pa.array(data.users.ids[lists.user], pa.string()),
        pa.array(lists.rank, pa.int32()),
        pa.array(data.movies.ids[lists.movie], pa.string()),
        pa.array(titles[lists.movie], pa.string()),
        pa.array(lists.score, pa.float32()),
        pa.array(lists.predicted, pa.float32(), from_pandas=True),
        pa.array([version.name] * len(lists.user), pa.string()),
        pa.array(lists.reason.tolist(), pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def check_suffix(path: Path) -> None:
    """Raise SettingsError unless the file's name says what it shall be."""
    if path.suffix.lower() not in SUFFIXES:
        raise SettingsError(
            f"{path.name} does not say what file it shall be.",
            hint=f"Let its name end in {', '.join(SUFFIXES)}.",
        )


def write_tables(path: Path, tables: Iterable[pa.Table], suffix: str) -> int:
    """Write tables one after the other into a file and return the number of lines.

    The same tables make the same bytes.

    Raises:
        OSError: the file cannot be written.

    """
    return SUFFIXES[suffix.lower()](path, tables)


def _parquet(path: Path, tables: Iterable[pa.Table]) -> int:
    lines = 0
    with parquet.ParquetWriter(path, SCHEMA, compression="zstd") as file:
        for table in tables:
            file.write_table(table)
            lines += table.num_rows
    return lines


def _csv(path: Path, tables: Iterable[pa.Table]) -> int:
    lines = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SCHEMA.names)
        for table in tables:
            writer.writerows(_rows(table))
            lines += table.num_rows
    return lines


def _jsonl(path: Path, tables: Iterable[pa.Table]) -> int:
    lines = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for table in tables:
            for row in _rows(table):
                line = dict(zip(SCHEMA.names, row, strict=True))
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            lines += table.num_rows
    return lines


SUFFIXES = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(_values(column) for column in table.columns), strict=True)


def _values(column: pa.ChunkedArray) -> list[Any]:
    if column.type != pa.float32():
        return list(column.to_pylist())
    numbers: FloatArray = column.to_numpy()
    # the shortest digits that are this float32: 0.1, and not 0.10000000149
    return [None if np.isnan(number) else float(str(number)) for number in numbers]
