"""Reader of RecBole's atomic files: tab-separated, each header field `name:type`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

import pandas as pd
import pyarrow as pa

from movierec.columns import Columns
from movierec.data.convert import WHOLE_STARS
from movierec.data.formats.delimited import delimited_ratings, layout_of_header, read_headed
from movierec.data.formats.files import Files
from movierec.data.formats.movielens import with_movies
from movierec.data.formats.raw import RawData, RawRatings, RawTable, join_genres, years_of
from movierec.data.formats.text import as_utf8
from movierec.errors import FormatError

__all__ = ["read_atomic"]

INTERACTIONS = {
    Columns.USER: ("user_id",),
    Columns.MOVIE: ("item_id", "movie_id"),
    Columns.RATING: ("rating",),
    Columns.TIMESTAMP: ("timestamp",),
}
USERS = {
    Columns.USER: ("user_id",),
    Columns.AGE: ("age",),
    Columns.GENDER: ("gender",),
    Columns.OCCUPATION: ("occupation",),
    Columns.ZIP_CODE: ("zip_code", "zip"),
}
MOVIES = {
    Columns.MOVIE: ("item_id", "movie_id"),
    Columns.TITLE: ("movie_title", "title"),
    Columns.YEAR: ("release_year", "year"),
    Columns.GENRES: ("class", "genre", "genres"),
}
MISSPELT = "unkonwn"  # how RecBole's copy of MovieLens 100K writes an unknown title or year
STARS = {"ml-100k", "ml-1m"}  # names under which RecBole ships data on whole stars


def read_atomic(files: Files, name: str) -> RawData:
    """Read the one .inter file there is, and the .user and .item files beside it."""
    inter = [file for file in files.names if file.endswith(".inter")]
    if len(inter) != 1:
        raise FormatError(
            f"{files.label} has {len(inter)} .inter files; exactly one can be imported.",
            hint="Give the folder of one data set.",
        )
    stem = PurePath(inter[0]).stem
    ratings = _ratings(files, inter[0])
    users = _typed(files, f"{stem}.user", USERS) if f"{stem}.user" in files else None
    movies = _movies(files, f"{stem}.item") if f"{stem}.item" in files else None
    scale = WHOLE_STARS if stem in STARS else None
    return RawData(name, "RecBole atomic files", ratings, users, movies, scale)


def _ratings(files: Files, file: str) -> RawRatings:
    layout = layout_of_header(files, file, lambda _: "\t")
    chosen = _chosen(layout.names, file, INTERACTIONS, needed=3)
    return delimited_ratings(files, layout, chosen)


def _typed(files: Files, file: str, wanted: Mapping[str, Sequence[str]]) -> RawTable:
    table = read_headed(as_utf8(files.read(file), file), file, "\t")
    return table.choose(_chosen(table.names, file, wanted, needed=1))


def _chosen(
    columns: Sequence[str], file: str, wanted: Mapping[str, Sequence[str]], needed: int
) -> dict[str, str]:
    by_name = {column.partition(":")[0]: column for column in columns}
    chosen = {
        ours: by_name[next(n for n in names if n in by_name)]
        for ours, names in wanted.items()
        if any(n in by_name for n in names)
    }
    missing = [names[0] for ours, names in list(wanted.items())[:needed] if ours not in chosen]
    if missing:
        raise FormatError(
            f"{file} has no column {missing[0]!r}; its columns are {', '.join(by_name)}.",
            hint="An atomic file's header reads like user_id:token, tabs between the columns.",
        )
    return chosen


def _movies(files: Files, file: str) -> RawTable:
    table = _typed(files, file, MOVIES)
    if Columns.TITLE not in table.names:
        return table.choose({Columns.MOVIE: Columns.MOVIE})
    titles = table.column(Columns.TITLE).to_pandas().replace(MISSPELT, "unknown")
    return with_movies(table, titles, _genres(table), _years(table))


def _genres(table: RawTable) -> pd.Series:
    if Columns.GENRES not in table.names:
        return pd.Series([""] * len(table), dtype="str")
    return join_genres(table.column(Columns.GENRES).to_pandas(), separator=" ")


def _years(table: RawTable) -> pd.Series:
    if Columns.YEAR not in table.names:
        return pd.Series(pa.nulls(len(table), pa.float64()).to_pandas())
    return years_of(table.column(Columns.YEAR).to_pandas())
