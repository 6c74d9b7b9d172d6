"""Writes one small data set in every format that can be imported, and real ones anew."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.data.formats.movielens import ML_100K_GENRES

# user, movie, rating, seconds; user 10 and movie 4 come before the others in no order
RATINGS = (
    (10, 2, 5, 880000000),
    (1, 1, 3, 880000060),
    (1, 3, 4, 880000120),
    (2, 1, 1, 880000180),
    (10, 1, 2, 880000240),
)
USERS = (
    (1, 24, "M", "technician", "85711"),
    (2, 53, "F", "other", "94043"),
    (10, 30, "F", "writer", "T8H1N"),
)
MOVIES = (
    (1, "Misérables, Les", 1995, "Drama|Musical"),
    (2, 'The "Best" of, Times', 1986, "Comedy"),
    (3, "Untitled", None, ""),
    (4, "Nobody's Film", 1922, "Horror"),
)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def lines(rows: object, delimiter: str) -> str:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)  # type: ignore[attr-defined]


def titled(title: str, year: int | None) -> str:
    return title if year is None else f"{title} ({year})"


def movie_line(movie: object, title: str, year: float | None, genres: str) -> str:
    listed = (genres or "unknown").split("|")
    flags = "|".join(str(int(genre in listed)) for genre in ML_100K_GENRES)
    return (
        f"{movie}|{titled(title, None if year is None else int(year))}|01-Jan-1995||url|{flags}\n"
    )


def ml_100k_files() -> dict[str, bytes]:
    return {
        "u.data": lines(RATINGS, "\t").encode(),
        "u.user": lines(USERS, "|").encode(),
        "u.item": "".join(movie_line(*movie) for movie in MOVIES).encode("latin-1"),
        "u.genre": lines(((g, i) for i, g in enumerate(ML_100K_GENRES)), "|").encode() + b"\n",
    }


def folder(path: Path, files: Mapping[str, bytes]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def zipped(path: Path, files: Mapping[str, bytes], top: str = "ml-100k/") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if top:
            archive.writestr(top, "")
        for name, data in files.items():
            archive.writestr(top + name, data)
    return path


def write_ml_100k(root: Path) -> Path:
    return folder(root / "ml-100k", ml_100k_files())


def write_ml_100k_zip(root: Path) -> Path:
    return zipped(root / "ml-100k.zip", ml_100k_files())


def write_ml_1m(root: Path) -> Path:
    users = [(user, gender, age, 0, code) for user, age, gender, _, code in USERS]
    movies = [(movie, titled(title, year), genres) for movie, title, year, genres in MOVIES]
    return folder(
        root / "ml-1m",
        {
            "ratings.dat": lines(RATINGS, "::").encode(),
            "users.dat": lines(users, "::").encode(),
            "movies.dat": lines(movies, "::").encode("latin-1"),
        },
    )


def write_latest(root: Path) -> Path:
    movies = pd.DataFrame(MOVIES, columns=["movieId", "title", "year", "genres"])
    movies["title"] = [titled(title, year) for _, title, year, _ in MOVIES]
    movies["genres"] = movies["genres"].replace("", "(no genres listed)")
    ratings = pd.DataFrame(RATINGS, columns=["userId", "movieId", "rating", "timestamp"])
    return folder(
        root / "ml-latest",
        {
            "ratings.csv": ratings.astype({"rating": float}).to_csv(index=False).encode(),
            "movies.csv": movies.drop(columns="year").to_csv(index=False).encode(),
            "tags.csv": b"userId,movieId,tag,timestamp\n1,1,x,1\n",
        },
    )


def write_atomic(root: Path) -> Path:
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    user = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    item = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    movies = [
        (movie, title, year or "", genres.replace("|", " "))
        for movie, title, year, genres in MOVIES
    ]
    return folder(
        root / "tiny",
        {
            "tiny.inter": (inter + lines(RATINGS, "\t")).encode(),
            "tiny.user": (user + lines(USERS, "\t")).encode(),
            "tiny.item": (item + lines(movies, "\t")).encode(),
        },
    )


WRITERS: dict[str, Callable[[Path], Path]] = {
    "ml-100k folder": write_ml_100k,
    "ml-100k zip": write_ml_100k_zip,
    "ml-1m": write_ml_1m,
    "ml-latest": write_latest,
    "RecBole": write_atomic,
}


def grouplens_files(dataset: Dataset) -> dict[str, bytes]:
    """Write MovieLens 100K as GroupLens does: u.data and u.user to the byte, u.item in content."""
    ratings = dataset.ratings
    columns = (
        dataset.users.ids[ratings.user],
        dataset.movies.ids[ratings.movie],
        ratings.rating.astype(int),
        ratings.timestamp,
    )
    users = dataset.user_frame.astype({Columns.AGE: int})
    movies = dataset.movie_frame.astype({Columns.YEAR: object})
    movies[Columns.YEAR] = movies[Columns.YEAR].where(movies[Columns.YEAR].notna(), None)
    return ml_100k_files() | {
        "u.data": lines(zip(*columns, strict=True), "\t").encode(),
        "u.user": lines(users.itertuples(index=False), "|").encode(),
        "u.item": "".join(
            movie_line(*row) for row in movies[list(Columns.MOVIES)].itertuples(index=False)
        ).encode("latin-1"),
    }
