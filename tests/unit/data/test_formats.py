"""Every format, read into the same data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from movierec.columns import Columns
from movierec.data.dataset import Dataset, RatingScale
from movierec.data.formats.detect import ColumnChoice, read_raw
from movierec.data.validation.checks import checked
from movierec.data.validation.report import ImportReport
from tests.support import data_files
from tests.support.data_files import MOVIES, RATINGS, USERS, WRITERS, write

COLUMNS = ColumnChoice("who", "what", "stars", "when")


def imported(path: Path, **options: object) -> tuple[Dataset, ImportReport]:
    return checked(read_raw(path, **options))  # type: ignore[arg-type]


def triples(dataset: Dataset) -> list[tuple[str, str, float]]:
    ratings = dataset.ratings
    users, movies = dataset.users.ids[ratings.user], dataset.movies.ids[ratings.movie]
    return list(zip(users, movies, ratings.rating.tolist(), strict=True))


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_ratings_in_source_order(name: str, tmp_path: Path) -> None:
    dataset, report = imported(WRITERS[name](tmp_path))
    assert triples(dataset) == [(str(u), str(m), float(r)) for u, m, r, _ in RATINGS]
    assert dataset.ratings.timestamp is not None
    assert dataset.ratings.timestamp.tolist() == [time for *_, time in RATINGS]
    assert list(dataset.users.ids) == ["1", "2", "10"]
    assert (report.rows_read, report.rows_kept, report.dropped) == (5, 5, ())


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_movies(name: str, tmp_path: Path) -> None:
    dataset, report = imported(WRITERS[name](tmp_path))
    frame = dataset.movie_frame
    assert list(dataset.movies.ids) == [str(movie) for movie, *_ in MOVIES]
    assert frame[Columns.TITLE].tolist() == [title for _, title, *_ in MOVIES]
    assert frame[Columns.YEAR].fillna(0).tolist() == [year or 0 for *_, year, _ in MOVIES]
    assert frame[Columns.GENRES].tolist() == [genres for *_, genres in MOVIES]
    assert report.movies_without_ratings == 1


@pytest.mark.parametrize("name", ["ml-100k folder", "ml-100k zip", "RecBole"])
def test_users_keep_their_columns(name: str, tmp_path: Path) -> None:
    frame = imported(WRITERS[name](tmp_path))[0].user_frame
    assert list(frame.columns) == list(Columns.USERS)
    assert frame.itertuples(index=False, name=None)
    assert [tuple(row) for row in frame.itertuples(index=False)] == [
        (str(user), float(age), *rest) for user, age, *rest in USERS
    ]


def test_ml_1m_names_its_occupation_codes(tmp_path: Path) -> None:
    frame = imported(WRITERS["ml-1m"](tmp_path))[0].user_frame
    assert set(frame[Columns.OCCUPATION]) == {"other"}
    assert frame[Columns.GENDER].tolist() == ["M", "F", "F"]


def test_fingerprints_depend_on_content_and_not_on_format(tmp_path: Path) -> None:
    prints = {imported(writer(tmp_path))[0].fingerprint for writer in WRITERS.values()}
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("ml-100k folder", RatingScale(1, 5, 1)),
        ("ml-1m", RatingScale(1, 5, 1)),
        ("ml-latest", RatingScale(0.5, 5, 0.5)),
    ],
)
def test_releases_of_movielens_have_a_known_scale(
    name: str, scale: RatingScale, tmp_path: Path
) -> None:
    dataset, report = imported(WRITERS[name](tmp_path))
    assert dataset.scale == scale
    assert not report.scale_inferred


def test_ml_10m_has_half_stars_and_no_users(tmp_path: Path) -> None:
    path = data_files.folder(tmp_path, {"ratings.dat": b"1::2::0.5::9\n2::2::5::9\n1::3::4.5::8\n"})
    dataset, _ = imported(path)
    assert dataset.scale == RatingScale(0.5, 5, 0.5)
    assert list(dataset.user_frame.columns) == [Columns.USER]


@pytest.mark.parametrize("top", ["", "ml-100k/", "some folder/"])
def test_a_zip_may_have_a_top_folder(top: str, tmp_path: Path) -> None:
    files = data_files.ml_100k_files()
    path = data_files.zipped(tmp_path / "x.zip", files, top)
    assert imported(path)[0].n_ratings == 5


def test_a_folder_may_hold_just_the_folder(tmp_path: Path) -> None:
    WRITERS["ml-1m"](tmp_path / "outer")
    assert imported(tmp_path / "outer")[0].n_ratings == 5


def test_files_that_macos_adds_are_ignored(tmp_path: Path) -> None:
    files = data_files.ml_100k_files()
    nested = {f"ml-100k/{name}": data for name, data in files.items()} | {"__MACOSX/._u.data": b"x"}
    assert imported(data_files.zipped(tmp_path / "x.zip", nested, top=""))[0].n_ratings == 5


@pytest.mark.parametrize(
    ("delimiter", "ending"),
    [(",", "csv"), ("\t", "tsv"), (";", "csv"), ("|", "txt"), ("::", "dat")],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_any_table_with_named_columns(
    delimiter: str, ending: str, newline: str, encoding: str, tmp_path: Path
) -> None:
    rows = [
        ("who", "note", "what", "stars", "when"),
        ("ann", "é", "m2", 4.5, 7),
        ("bob", "", "m1", 2, 8),
    ]
    text = data_files.lines(rows, delimiter).replace("\n", newline)
    dataset, report = imported(write(tmp_path / f"x.{ending}", text, encoding), columns=COLUMNS)
    assert triples(dataset) == [("ann", "m2", 4.5), ("bob", "m1", 2.0)]
    assert list(dataset.movies.ids) == ["m1", "m2"]
    assert report.scale_inferred
    assert dataset.scale == RatingScale(2.0, 4.5, 2.5)


def test_columns_are_guessed_by_their_usual_names(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "User ID,Rating,Item_ID\nann,1,x\nbob,2,y\n")
    dataset, _ = imported(path)
    assert triples(dataset) == [("ann", "x", 1.0), ("bob", "y", 2.0)]
    assert dataset.ratings.timestamp is None


def test_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "user,movie,rating\n007, 1e3 ,1\n7,ü,2\n10,１,3\n")
    dataset, _ = imported(path)
    assert list(dataset.users.ids) == ["007", "7", "10"]
    assert list(dataset.movies.ids) == ["1e3", "ü", "１"]


def test_parquet_with_typed_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "who": [1.0, 2.0, np.nan],
            "what": pd.Categorical(["b", "a", "a"]),
            "stars": np.float32([3.5, 4.0, 1.0]),
            "when": pd.to_datetime(
                ["2001-01-01", "2002-02-02T03:04:05Z", "2003-01-01"], format="ISO8601", utc=True
            ),
            "tags": [["x"], [], ["y"]],
        }
    )
    path = tmp_path / "ratings.parquet"
    frame.to_parquet(path)
    dataset, report = imported(path, columns=COLUMNS)
    assert triples(dataset) == [("1", "b", 3.5), ("2", "a", 4.0)]
    assert dataset.ratings.timestamp.tolist() == [978307200, 1012619045]
    assert [(d.reason, d.first_lines) for d in report.dropped] == [("missing value", (3,))]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (("978307200", "978307260.9"), [978307200, 978307260]),
        (("978307200000", "978307260000"), [978307200, 978307260]),
        (("2001-01-01", "2001-01-01 00:01:00"), [978307200, 978307260]),
        (("2001-01-01T01:00:00+01:00", "2001-01-01T00:01:00Z"), [978307200, 978307260]),
        (("9.783072E8", "0"), [978307200, 0]),
    ],
)
def test_times_in_seconds_milliseconds_or_iso(
    times: tuple[str, str], expected: list[int], tmp_path: Path
) -> None:
    text = f"user,movie,rating,timestamp\na,x,1,{times[0]}\nb,y,2,{times[1]}\n"
    assert imported(write(tmp_path / "x.csv", text))[0].ratings.timestamp.tolist() == expected


def test_tables_of_users_and_movies_beside_the_ratings(tmp_path: Path) -> None:
    ratings = write(tmp_path / "r.csv", "user,movie,rating\nann,x,1\nbob,y,2\neve,x,3\nann,zz,2\n")
    users = write(tmp_path / "u.csv", "id,Sex,age\nbob,M,33\nann,F,-1\ncarl,M,20\n")
    movies = write(tmp_path / "m.tsv", "item\tname\tgenre\ny\tYes (1999)\tDrama|War\nx\tX\t\n")
    dataset, report = imported(ratings, users=users, movies=movies)
    assert list(dataset.users.ids) == ["bob", "ann", "carl"]
    assert dataset.user_frame[Columns.AGE].fillna(0).tolist() == [33, 0, 20]
    assert dataset.movie_frame[Columns.TITLE].tolist() == ["Yes", "X"]
    assert dataset.movie_frame[Columns.YEAR].fillna(0).tolist() == [1999, 0]
    assert {d.reason: d.first_lines for d in report.dropped} == {
        "unknown user (not in u.csv)": (4,),
        "unknown movie (not in m.tsv)": (5,),
    }


@pytest.mark.parametrize(
    ("written", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Land Before Time III (1995) (V)", "Land Before Time III", 1995),
        ("The Office (2005–2013)", "The Office", 2005),
        ("2001: A Space Odyssey (1968) ", "2001: A Space Odyssey", 1968),
        ("Blade Runner (Director's Cut) (1982)", "Blade Runner (Director's Cut)", 1982),
        ("1984", "1984", None),
        ("Movie (9999)", "Movie (9999)", None),
        ("(1994)", "(1994)", 1994),
        ("unknown", "unknown", None),
    ],
)
def test_years_come_out_of_titles(
    written: str, title: str, year: int | None, tmp_path: Path
) -> None:
    write(tmp_path / "ratings.csv", "userId,movieId,rating,timestamp\n1,1,3,1\n2,2,4,1\n")
    write(tmp_path / "movies.csv", f'movieId,title,genres\n1,"{written}",IMAX\n2,B (1990),X\n')
    frame = imported(tmp_path)[0].movie_frame
    assert frame[Columns.TITLE][0] == title
    assert frame[Columns.YEAR].fillna(0)[0] == (year or 0)


def test_scripts_and_markup_in_titles_are_only_text(tmp_path: Path) -> None:
    write(tmp_path / "ratings.csv", "userId,movieId,rating,timestamp\n1,1,3,1\n2,2,4,1\n")
    title = "<script>alert(1)</script> **x** $a$"
    write(tmp_path / "movies.csv", f"movieId,title,genres\n1,{title},\n2,=1+1,\n")
    assert imported(tmp_path)[0].titles == [title, "=1+1"]


@pytest.mark.realdata
def test_movielens_100k_as_it_is_known(ml_100k: Dataset) -> None:
    assert (ml_100k.n_users, ml_100k.n_movies, ml_100k.n_ratings) == (943, 1682, 100_000)
    assert triples(ml_100k)[0] == ("196", "242", 3.0)
    assert ml_100k.titles[0] == "Toy Story"
    odd = ml_100k.movie_frame.iloc[[266, 1411]]
    assert odd[Columns.TITLE].tolist() == [
        "unknown",
        "Land Before Time III: The Time of the Great Giving",
    ]
    assert odd[Columns.YEAR].fillna(0).tolist() == [0, 1995]
    assert ml_100k.genre_matrix.shape == (1682, 18)


@pytest.mark.realdata
def test_both_forms_of_movielens_100k_are_the_same_data(ml_100k: Dataset, tmp_path: Path) -> None:
    path = data_files.zipped(tmp_path / "ml-100k.zip", data_files.grouplens_files(ml_100k))
    again, _ = imported(path)
    assert again.fingerprint == ml_100k.fingerprint
    pd.testing.assert_frame_equal(again.movie_frame, ml_100k.movie_frame)
    pd.testing.assert_frame_equal(again.user_frame, ml_100k.user_frame)
