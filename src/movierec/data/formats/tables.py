"""Readers of any ratings table: CSV, TSV or Parquet with columns that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from movierec.columns import Columns
from movierec.data.formats.delimited import (
    delimited_ratings,
    layout_of_header,
    read_headed,
    split_line,
)
from movierec.data.formats.files import Files, open_files
from movierec.data.formats.movielens import with_movies
from movierec.data.formats.parquet import is_parquet, parquet_names, parquet_ratings, read_parquet
from movierec.data.formats.raw import ColumnChoice, RawData, RawTable, join_genres, years_of
from movierec.data.formats.text import as_utf8, first_line
from movierec.errors import FormatError

__all__ = ["TABLE_ENDINGS", "read_any", "read_own", "with_catalogue"]

TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".data", ".parquet", ".pq")
DELIMITERS = (",", "\t", ";", "|", "::")

# names that columns go by when the user names none, in lower case without "_" and blanks
ALIASES: dict[str, tuple[str, ...]] = {
    Columns.USER: ("userid", "user", "uid", "reviewerid", "customerid"),
    Columns.MOVIE: ("movieid", "itemid", "movie", "item", "mid", "iid", "asin"),
    Columns.RATING: ("rating", "score", "stars"),
    Columns.TIMESTAMP: ("timestamp", "time", "ts", "unixreviewtime"),
    Columns.TITLE: ("title", "movietitle", "name"),
    Columns.YEAR: ("year", "releaseyear"),
    Columns.GENRES: ("genres", "genre", "class"),
    Columns.AGE: ("age",),
    Columns.GENDER: ("gender", "sex"),
    Columns.OCCUPATION: ("occupation", "job"),
    Columns.ZIP_CODE: ("zipcode", "zip", "postcode"),
}


def read_any(files: Files, file: str, name: str, columns: ColumnChoice | None) -> RawData:
    """Read one ratings table.

    Raises:
        FormatError: a column named is not there, or none is named and none can be guessed.

    """
    if is_parquet(files, file):
        chosen = _chosen(file, parquet_names(files, file), columns)
        ratings = parquet_ratings(files, file, chosen)
        return RawData(name, "ratings table (Parquet)", ratings)
    wanted = () if columns is None else columns.names
    layout = layout_of_header(files, file, lambda line: _delimiter(line, wanted))
    ratings = delimited_ratings(files, layout, _chosen(file, layout.names, columns))
    return RawData(name, "ratings table (delimited text)", ratings)


def read_own(path: Path) -> RawTable:
    """Read one person's ratings from a file: the movies and the stars, whatever else it has.

    Raises:
        FormatError: it cannot be read, or has no column of movies or of ratings.
        EmptyDataError: there is nothing in it.

    """
    files = open_files(path)
    if len(files.names) != 1:
        raise FormatError(f"{path} holds {files.listing()}.", hint="Name one table of ratings.")
    table = _table(files, files.names[0])
    wanted = (Columns.MOVIE, Columns.RATING)
    chosen = _aliases(table.names, wanted)
    missing = [name for name in wanted if name not in chosen]
    if missing:
        raise FormatError(
            f"Which column of {table.file} is the {missing[0].removesuffix('_id')}? "
            f"Its columns are {_listed(table.names)}.",
            hint="Call its two columns movieId and rating.",
        )
    return table.choose({name: chosen[name] for name in wanted})


def with_catalogue(raw: RawData, users: Files | None, movies: Files | None) -> RawData:
    """Return the data set with the users and movies of these files instead of its own."""
    return RawData(
        raw.name,
        raw.format,
        raw.ratings,
        raw.users if users is None else _people(users),
        raw.movies if movies is None else _catalogue(movies),
        raw.scale,
        raw.source,
    )


def _table(files: Files, file: str) -> RawTable:
    if is_parquet(files, file):
        return read_parquet(files, file)
    text = as_utf8(files.read(file), file)
    return read_headed(text, file, _delimiter(first_line(text), ()))


def _delimiter(header: str, wanted: Sequence[str]) -> str:
    """Return the delimiter that yields the wanted columns, else the most columns."""

    def fitness(delimiter: str) -> tuple[int, int]:
        fields = split_line(header, delimiter)
        return sum(name in fields for name in wanted), len(fields)

    return max(DELIMITERS, key=fitness)


def _plain(name: str) -> str:
    return name.partition(":")[0].lower().replace("_", "").replace(" ", "")


def _aliases(names: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    by_plain = {_plain(name): name for name in reversed(names)}
    return {
        ours: by_plain[next(alias for alias in ALIASES[ours] if alias in by_plain)]
        for ours in wanted
        if any(alias in by_plain for alias in ALIASES[ours])
    }


def _chosen(file: str, names: Sequence[str], columns: ColumnChoice | None) -> dict[str, str]:
    return _guess(file, names) if columns is None else _named(file, names, columns)


def _guess(file: str, names: Sequence[str]) -> dict[str, str]:
    chosen = _aliases(names, Columns.INTERACTIONS)
    missing = [name for name in Columns.INTERACTIONS[:3] if name not in chosen]
    if missing:
        raise FormatError(
            f"Which column of {file} is the {missing[0].removesuffix('_id')}? "
            f"Its columns are {_listed(names)}.",
            hint="Name them with --user-column, --movie-column and --rating-column.",
        )
    return chosen


def _named(file: str, names: Sequence[str], columns: ColumnChoice) -> dict[str, str]:
    chosen = dict(zip(Columns.INTERACTIONS, columns.names, strict=False))
    missing = [name for name in columns.names if name not in names]
    if missing:
        raise FormatError(
            f"{file} has no column {missing[0]!r}; its columns are {_listed(names)}.",
            hint="Column names are case-sensitive.",
        )
    return chosen


def _listed(names: Sequence[str], limit: int = 12) -> str:
    more = len(names) - limit
    shown = ", ".join(name[:40] for name in names[:limit])
    return shown + (f" and {more} more" if more > 0 else "")


def _people(files: Files) -> RawTable:
    table = _table(files, files.names[0])
    return table.choose(_with_id(table, Columns.USERS))


def _catalogue(files: Files) -> RawTable:
    table = _table(files, files.names[0])
    chosen = table.choose(_with_id(table, Columns.MOVIES))
    if Columns.TITLE not in chosen.names:
        return chosen.choose({Columns.MOVIE: Columns.MOVIE})
    empty = pd.Series([""] * len(chosen), dtype="str")
    genres = years = None
    if Columns.GENRES in chosen.names:
        genres = join_genres(chosen.column(Columns.GENRES).to_pandas())
    if Columns.YEAR in chosen.names:
        years = years_of(chosen.column(Columns.YEAR).to_pandas())
    titles = chosen.column(Columns.TITLE).to_pandas()
    return with_movies(chosen, titles, empty if genres is None else genres, years)


def _with_id(table: RawTable, wanted: Sequence[str]) -> dict[str, str]:
    """Return the columns found; the id goes by its alias, by "id", or is the first column."""
    found = _aliases(table.names, wanted)
    if wanted[0] not in found:
        found[wanted[0]] = "id" if "id" in table.names else table.names[0]
    return {name: found[name] for name in wanted if name in found}
