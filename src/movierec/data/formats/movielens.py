"""Readers of the MovieLens releases by GroupLens, and of RecBole's atomic files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np
import pandas as pd
import pyarrow as pa

from movierec.columns import Columns
from movierec.data.convert import HALF_STARS, WHOLE_STARS
from movierec.data.dataset import RatingScale
from movierec.data.formats.delimited import (
    delimited_ratings,
    layout_of_header,
    layout_of_rows,
    read_delimited,
    read_headed,
)
from movierec.data.formats.files import Files
from movierec.data.formats.raw import (
    NO_GENRES,
    RawData,
    RawRatings,
    RawTable,
    join_genres,
    split_titles,
    years_of,
)
from movierec.data.formats.text import as_utf8
from movierec.errors import FormatError

__all__ = [
    "ML_100K_GENRES",
    "OCCUPATIONS",
    "read_atomic",
    "read_latest",
    "read_ml_1m",
    "read_ml_100k",
    "with_movies",
]

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


def _atomic_ratings(files: Files, file: str) -> RawRatings:
    layout = layout_of_header(files, file, lambda _: "\t")
    chosen = _chosen(layout.names, file, INTERACTIONS, needed=3)
    return delimited_ratings(files, layout, chosen)


# u.genre of MovieLens 100K, in the order of u.item's flags
ML_100K_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime",
    "Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance",
    "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
# the README of MovieLens 1M, codes 0 to 20
OCCUPATIONS = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student",
    "customer service", "doctor/health care", "executive/managerial", "farmer", "homemaker",
    "K-12 student", "lawyer", "programmer", "retired", "sales/marketing", "scientist",
    "self-employed", "technician/engineer", "tradesman/craftsman", "unemployed", "writer",
)  # fmt: skip
LATEST = {
    Columns.USER: "userId",
    Columns.MOVIE: "movieId",
    Columns.RATING: "rating",
    Columns.TIMESTAMP: "timestamp",
}
_TITLE_FIELDS = ("release date", "video release date", "IMDb URL")


def read_ml_100k(files: Files, name: str) -> RawData:
    """Read u.data and, where they are there, u.user, u.item and u.genre."""
    ratings = _ratings(files, "u.data", "\t")
    users = _plain(files, "u.user", "|", Columns.USERS) if "u.user" in files else None
    movies = _ml_100k_movies(files) if "u.item" in files else None
    return RawData(name, "MovieLens 100K", ratings, users, movies, WHOLE_STARS)


def _plain(files: Files, file: str, delimiter: str, names: Sequence[str]) -> RawTable:
    data = as_utf8(files.read(file), file)
    table = read_delimited(data, file, delimiter, names)
    return table.choose({name: name for name in names})


def _ml_100k_movies(files: Files) -> RawTable:
    genres = _genre_names(files)
    names = (Columns.MOVIE, Columns.TITLE, *_TITLE_FIELDS, *genres)
    table = _plain(files, "u.item", "|", names)
    flags = np.column_stack([table.column(genre).to_numpy() == "1" for genre in genres])
    known = np.array([genre not in NO_GENRES for genre in genres])
    labels = np.array(genres)
    joined = pd.Series(["|".join(labels[row & known]) for row in flags], dtype="str")
    return with_movies(table, table.column(Columns.TITLE).to_pandas(), joined)


def _genre_names(files: Files) -> tuple[str, ...]:
    if "u.genre" not in files:
        return ML_100K_GENRES
    lines = as_utf8(files.read("u.genre"), "u.genre").decode().splitlines()
    names = tuple(line.partition("|")[0].strip() for line in lines if line.strip())
    if len(set(names)) != len(names):
        raise FormatError("u.genre names a genre twice.", hint="Get the archive again.")
    return names


def with_movies(
    table: RawTable, titles: pd.Series, genres: pd.Series, years: pd.Series | None = None
) -> RawTable:
    """Return a table of `Columns.MOVIES`; years come out of the titles where not given."""
    bare, found = split_titles(titles)
    years = found if years is None else years.where(years.notna(), found)
    columns = {
        Columns.TITLE: pa.array(bare, pa.string()),
        Columns.YEAR: pa.array(years, pa.float64(), from_pandas=True),
        Columns.GENRES: pa.array(genres, pa.string()),
    }
    ids = table.column(Columns.MOVIE)
    return RawTable(
        table.file, pa.table({Columns.MOVIE: ids} | columns), table.lines, table.malformed
    )


def read_ml_1m(files: Files, name: str) -> RawData:
    """Read the `::` files of MovieLens 1M, and of 10M, which has half stars and no users."""
    ratings = _ratings(files, "ratings.dat", "::")
    users = _ml_1m_users(files) if "users.dat" in files else None
    movies = None
    if "movies.dat" in files:
        names = (Columns.MOVIE, Columns.TITLE, Columns.GENRES)
        movies = _titled(_plain(files, "movies.dat", "::", names))
    whole = users is not None
    scale: RatingScale = WHOLE_STARS if whole else HALF_STARS
    label = "MovieLens 1M" if whole else "MovieLens 10M"
    return RawData(name, label, ratings, users, movies, scale)


def _ml_1m_users(files: Files) -> RawTable:
    order = (Columns.USER, Columns.GENDER, Columns.AGE, Columns.OCCUPATION, Columns.ZIP_CODE)
    users = _plain(files, "users.dat", "::", order)
    codes = users.column(Columns.OCCUPATION).to_pandas()
    names = {str(code): name for code, name in enumerate(OCCUPATIONS)}
    place = users.names.index(Columns.OCCUPATION)
    named = pa.array(codes.map(names).fillna(codes), pa.string())
    table = users.table.set_column(place, Columns.OCCUPATION, named)
    return RawTable(users.file, table, users.lines, users.malformed)


def _titled(movies: RawTable) -> RawTable:
    titles = movies.column(Columns.TITLE).to_pandas()
    return with_movies(movies, titles, join_genres(movies.column(Columns.GENRES).to_pandas()))


def read_latest(files: Files, name: str) -> RawData:
    """Read ratings.csv and movies.csv of ml-latest, ml-latest-small, 20M, 25M or 32M."""
    ratings = _latest_ratings(files, "ratings.csv")
    columns = {Columns.MOVIE: "movieId", Columns.TITLE: "title", Columns.GENRES: "genres"}
    movies = _titled(_headed(files, "movies.csv", columns))
    return RawData(name, "MovieLens CSV", ratings, None, movies, HALF_STARS)


def _latest_ratings(files: Files, file: str) -> RawRatings:
    layout = layout_of_header(files, file, lambda _: ",")
    _require(LATEST, layout.names, file)
    return delimited_ratings(files, layout, LATEST)


def _headed(files: Files, file: str, columns: dict[str, str]) -> RawTable:
    table = read_headed(as_utf8(files.read(file), file), file, ",")
    _require(columns, table.names, file)
    return table.choose(columns)


def _require(columns: dict[str, str], names: Sequence[str], file: str) -> None:
    missing = [name for name in columns.values() if name not in names]
    if missing:
        raise FormatError(
            f"{file} has no column {missing[0]!r}; its columns are {', '.join(names)}.",
            hint="Name its columns with --user-column, --movie-column and --rating-column.",
        )


def read_atomic(files: Files, name: str) -> RawData:
    """Read the one .inter file there is, and the .user and .item files beside it."""
    inter = [file for file in files.names if file.endswith(".inter")]
    if len(inter) != 1:
        raise FormatError(
            f"{files.label} has {len(inter)} .inter files; exactly one can be imported.",
            hint="Give the folder of one data set.",
        )
    stem = PurePath(inter[0]).stem
    ratings = _atomic_ratings(files, inter[0])
    users = _typed(files, f"{stem}.user", USERS) if f"{stem}.user" in files else None
    movies = _movies(files, f"{stem}.item") if f"{stem}.item" in files else None
    scale = WHOLE_STARS if stem in STARS else None
    return RawData(name, "RecBole atomic files", ratings, users, movies, scale)


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


def _ratings(files: Files, file: str, delimiter: str) -> RawRatings:
    layout = layout_of_rows(files, file, delimiter, Columns.INTERACTIONS)
    return delimited_ratings(files, layout, {name: name for name in Columns.INTERACTIONS})
