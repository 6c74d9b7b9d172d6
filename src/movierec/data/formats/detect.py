"""Recognises what a path holds and reads it as text rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from movierec.data.dataset import RatingScale
from movierec.data.formats import movielens, tables
from movierec.data.formats.files import Files, open_files, stem_of
from movierec.data.formats.raw import ColumnChoice, RawData
from movierec.errors import FormatError

__all__ = ["SUPPORTED", "ColumnChoice", "read_raw"]

SUPPORTED = (
    "MovieLens 100K (u.data), 1M or 10M (ratings.dat), ml-latest, 20M, 25M or 32M (ratings.csv), "
    "RecBole atomic files (.inter), or one ratings table as CSV, TSV or Parquet"
)


def read_raw(
    path: Path,
    *,
    name: str | None = None,
    columns: ColumnChoice | None = None,
    scale: RatingScale | None = None,
    users: Path | None = None,
    movies: Path | None = None,
) -> RawData:
    """Read a folder, zip or file; nothing is checked or converted yet.

    `columns` says which columns of a table hold what, where the format does not. `users` and
    `movies` are tables with an id column each, where the data set has none of its own.

    Raises:
        FormatError: the path holds no format we know, or a file is not what it claims to be.
        EmptyDataError: a file has a header and no rows.

    """
    files = open_files(path)
    raw = _read(files, name or stem_of(path), columns)
    raw = tables.with_catalogue(raw, _opened(users), _opened(movies))
    return replace(raw, scale=scale or raw.scale, source=raw.source or path.name)


def _opened(path: Path | None) -> Files | None:
    return None if path is None else open_files(path)


def _read(files: Files, name: str, columns: ColumnChoice | None) -> RawData:
    if columns is not None:
        return tables.read_any(files, _only_table(files), name, columns)
    if "u.data" in files:
        return movielens.read_ml_100k(files, name)
    if "ratings.dat" in files:
        return movielens.read_ml_1m(files, name)
    if any(file.endswith(".inter") for file in files.names):
        return movielens.read_atomic(files, name)
    if "ratings.csv" in files and "movies.csv" in files:
        return movielens.read_latest(files, name)
    return tables.read_any(files, _only_table(files), name, None)


def _only_table(files: Files) -> str:
    candidates = [f for f in files.names if f.lower().endswith(tables.TABLE_ENDINGS)]
    named = [file for file in candidates if file.lower().startswith("ratings.")]
    if len(files.names) == 1:
        return files.names[0]
    if len(named) == 1 or len(candidates) == 1:
        return (named or candidates)[0]
    raise FormatError(
        f"{files.label} holds no data set that can be recognised: it has {files.listing()}.",
        hint=f"What can be imported: {SUPPORTED}.",
    )
