"""Bad input: each is refused with a message that says what, where and what to do.

The database is compared before and after: no refused file changes a row of it.
"""

from __future__ import annotations

import io
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from movierec.data.dataset import RatingScale
from movierec.data.formats.detect import ColumnChoice
from movierec.errors import MovierecError
from movierec.settings import Settings
from movierec.workflows.data import import_data, load_dataset
from tests.conftest import refuse_user_paths
from tests.support import data_files
from tests.support.data_files import folder, ml_100k_files, write, zipped

HEADER = "userId,movieId,rating,timestamp\n"
ROWS = "1,1,3.0,1\n2,2,4.0,2\n"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A database that already holds something."""
    home = tmp_path_factory.mktemp("home")
    settings = refuse_user_paths(Settings(home=home, device="cpu"), home)
    import_data(data_files.write_ml_1m(home / "source"), settings, name="kept")
    return settings


def dump(settings: Settings) -> list[str]:
    with closing(sqlite3.connect(settings.database_path or "")) as connection:
        return list(connection.iterdump())


def refuses(path: Path, settings: Settings, reason: str, **options: object) -> None:
    """Check that an import fails for this reason, says what to do and changes nothing."""
    before = dump(settings)
    with pytest.raises(MovierecError, match=reason) as caught:
        import_data(path, settings, **options)  # type: ignore[arg-type]
    assert caught.value.hint, "the message gives no advice"
    assert "\n" not in str(caught.value), "the message has more than one line"
    assert len(str(caught.value)) < 1000
    assert dump(settings) == before
    assert load_dataset("kept", settings).n_ratings == 5


def ml_100k_with(**changes: bytes | None) -> Callable[[Path], Path]:
    """Write the small ML-100K folder with files changed, or left out (None)."""

    def writer(root: Path) -> Path:
        files: dict[str, bytes | None] = {**ml_100k_files()}
        files |= {f"u.{name}": data for name, data in changes.items()}
        return folder(
            root / "ml-100k", {name: data for name, data in files.items() if data is not None}
        )

    return writer


def ratings_csv(text: str | bytes) -> Callable[[Path], Path]:
    """Write a folder with one ratings.csv."""
    data = text if isinstance(text, bytes) else text.encode()
    return lambda root: folder(root / "films", {"ratings.csv": data})


def latest_with_movies(movies: bytes) -> Callable[[Path], Path]:
    files = {"ratings.csv": (HEADER + ROWS).encode(), "movies.csv": movies}
    return lambda root: folder(root / "films", files)


def truncated_zip(root: Path) -> Path:
    path = data_files.write_ml_100k_zip(root)
    path.write_bytes(path.read_bytes()[:-40])
    return path


def damaged_zip(root: Path) -> Path:
    path = data_files.write_ml_100k_zip(root)
    data = bytearray(path.read_bytes())
    at = data.index(b"u.data") + 10
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))
    return path


def zip_that_is_text(root: Path) -> Path:
    return write(root / "x.zip", "this is no archive")


def encrypted_zip(root: Path) -> Path:
    path = data_files.write_ml_100k_zip(root)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 1)
    path.write_bytes(bytes(data))
    return path


def slipping_zip(name: str) -> Callable[[Path], Path]:
    return lambda root: zipped(root / "x.zip", ml_100k_files() | {name: b"x"}, top="")


def linking_zip(root: Path) -> Path:
    path = data_files.write_ml_100k_zip(root)
    link = zipfile.ZipInfo("ml-100k/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    return path


def zip_bomb(root: Path) -> Path:
    path = root / "x.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("u.data", "w") as member,
    ):
        for _ in range(100):
            member.write(bytes(1 << 20))
    return path


def not_parquet(root: Path) -> Path:
    return write(root / "ratings.parquet", HEADER + ROWS)


def cut_parquet(root: Path) -> Path:
    buffer = io.BytesIO()
    pd.DataFrame({"user": [1], "movie": [1], "rating": [1.0]}).to_parquet(buffer)
    path = root / "ratings.parquet"
    path.write_bytes(buffer.getvalue()[:-20])
    return path


def parquet(**columns: object) -> Callable[[Path], Path]:
    def writer(root: Path) -> Path:
        pd.DataFrame(columns).to_parquet(root / "r.parquet")
        return root / "r.parquet"

    return writer


def unreadable(root: Path) -> Path:
    path = write(root / "ratings.csv", HEADER + ROWS)
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        return path
    pytest.skip("this user may read everything")


BINARY = np.random.default_rng(0).bytes(5000)
LONG_LINE = (HEADER + ROWS).encode() + b"1," + b"9" * 10_000_000 + b",3.0,5\n"
DATA = ml_100k_files()["u.data"]

CASES: dict[str, tuple[Callable[[Path], Path], str]] = {
    # paths
    "no such path": (lambda root: root / "nowhere", r"There is no .*nowhere\. Check the path"),
    "empty folder": (lambda root: folder(root / "empty", {}), r"empty holds no data set.*no files"),
    "folder without ratings": (ml_100k_with(data=None), r"holds no data set.*u\.genre, u\.item"),
    "unreadable file": (unreadable, r"ratings\.csv.*cannot be read: Permission denied"),
    "path outside by dots": (
        lambda root: root / ".." / ".." / "nowhere" / "x.csv",
        r"There is no .*x\.csv",
    ),
    # archives
    "truncated zip": (truncated_zip, r"ml-100k\.zip is not a whole zip archive.*Get it again"),
    "zip with damaged bytes": (damaged_zip, r"u\.data in ml-100k\.zip is damaged"),
    "text called zip": (zip_that_is_text, r"x\.zip is not a whole zip archive"),
    "encrypted zip": (encrypted_zip, r"u\.data in ml-100k\.zip is damaged.*encrypted"),
    "zip slip": (slipping_zip("../../evil.txt"), r"'\.\./\.\./evil\.txt' points outside"),
    "zip with an absolute path": (slipping_zip("/etc/evil"), r"'/etc/evil' points outside"),
    "zip with a drive": (slipping_zip("C:/evil"), r"'C:/evil' points outside"),
    "zip slip with backslashes": (slipping_zip("..\\..\\evil"), r"evil' points outside"),
    "zip with a symbolic link": (linking_zip, r"ml-100k/link' is a symbolic link"),
    "zip bomb": (zip_bomb, r"would unpack to 104,857,600"),
    # whole files
    "empty file": (ratings_csv(""), r"ratings\.csv is empty"),
    "only blanks": (ratings_csv(" \n\n \n"), r"ratings\.csv is empty"),
    "binary file": (ml_100k_with(data=BINARY), r"u\.data is not text: line \d+ has a zero byte"),
    "UTF-16": (ratings_csv((HEADER + ROWS).encode("utf-16")), r"is in UTF-16.*Save it as UTF-8"),
    "a 10 MB line": (ratings_csv(LONG_LINE), r"Line 4 of ratings\.csv is longer than 1,048,576"),
    "header only": (ratings_csv(HEADER), r"ratings\.csv has a header and no rows"),
    "header without line break": (ratings_csv(HEADER.strip()), r"has a header and no rows"),
    "text that is no table": (
        ratings_csv("To be\nor not\nto be\n"),
        r"Which column of ratings\.csv",
    ),
    "HTML": (ratings_csv("<!doctype html>\n<p>Log in\n"), r"Which column of ratings\.csv"),
    "parquet that is none": (not_parquet, r"ratings\.parquet is not a readable Parquet file"),
    "truncated parquet": (cut_parquet, r"ratings\.parquet is not a readable Parquet file"),
    "parquet without rows": (parquet(user=[], movie=[], rating=[]), r"r\.parquet has no rows"),
    # columns
    "wrong columns": (ratings_csv("a,b,c\n1,2,3\n"), r"is the user\? Its columns are a, b, c"),
    "a column missing": (ratings_csv("userId,rating\n1,2\n"), r"Which column .* is the movie\?"),
    "a column twice": (ratings_csv("userId,userId,rating\n1,2,3\n"), r"column 'userId' twice"),
    "wrong delimiter": (
        ml_100k_with(data=DATA.replace(b"\t", b",")),
        r"Line 1 of u\.data has 1 field\(s\) between tabs; 4 are expected",
    ),
    "no row like the header": (
        ratings_csv(HEADER + "1,2\n3,4,5\n"),
        r"No line of ratings\.csv has 4 field\(s\).*line 2 is the first",
    ),
    "an open quote": (ratings_csv(HEADER + '"1,1,3.0,1\n2,2,4,5\n'), r"No line of ratings\.csv"),
    "parquet with lists for ids": (
        parquet(user=[[1], [2]], movie=[1, 2], rating=[1.0, 2.0]),
        r"Which column of r\.parquet is the user\?",
    ),
    "parquet with bytes for ids": (
        parquet(user=[b"\xff", b"\x00"], movie=[1, 2], rating=[1.0, 2.0]),
        r"2 missing value \(line 1, 2\)",
    ),
    # rows: nothing usable is left
    "all NaN": (ratings_csv(HEADER + "1,1,nan,1\n2,2,NaN,1\n"), r"2 missing value \(line 2, 3\)"),
    "all infinite": (
        ratings_csv(HEADER + "1,1,inf,1\n2,2,-inf,1\n"),
        r"2 bad number \(line 2, 3\)",
    ),
    "all off the scale": (
        ml_100k_with(data=DATA.replace(b"\t88", b"7\t88")),
        r"5 rating off the scale 1 to 5 \(line 1, 2, 3, 4, 5\)",
    ),
    "all mixed types": (
        ratings_csv(HEADER + "x,y,z,w\n1,2,good,3\n"),
        r"2 bad number \(line 2, 3\)",
    ),
    "all times negative": (ratings_csv(HEADER + "1,1,3,-5\n2,2,4,-6\n"), r"2 bad timestamp"),
    "all times missing": (ratings_csv(HEADER + "1,1,3,\n2,2,4,\n"), r"2 missing value"),
    "all ids with line breaks": (
        ratings_csv(HEADER + '"a\nb",1,3,1\n"c\nd",2,4,1\n'),
        r"2 bad id .*\(line 2, 4\)",
    ),
    "all users unknown": (
        ml_100k_with(user=b"77|24|M|writer|1\n"),
        r"5 unknown user \(not in u\.user\)",
    ),
    "all movies unknown": (
        latest_with_movies(b"movieId,title,genres\n9,X,Y\n"),
        r"2 unknown movie",
    ),
    "one user": (ratings_csv(HEADER + "1,1,3,1\n1,2,4,1\n"), r"leaves only one user"),
    "one distinct rating": (
        ratings_csv(HEADER + "1,1,3,1\n2,2,3,1\n"),
        r"only one distinct rating",
    ),
    "duplicate pairs only": (
        ratings_csv(HEADER + "1,1,3,1\n1,1,4,2\n1,1,5,3\n"),
        r"2 duplicate pair \(the newest is kept\) \(line 2, 3\)",
    ),
    # users and movies
    "u.item of another form": (ml_100k_with(item=b"1|A\n"), r"Line 1 of u\.item has 2 field\(s\)"),
    "a movie twice": (
        latest_with_movies(b"movieId,title,genres\n1,A,\n2,B,\n1,C,\n"),
        r"Line 4 of movies\.csv repeats the id",
    ),
    "a title that breaks its line": (
        latest_with_movies(b"movieId,title,genres\n1,A,\n2,B, the,Drama\n"),
        r"Line 3 of movies\.csv has another number of fields.*Quote",
    ),
    "movies without their id": (
        latest_with_movies(b"id,title,genres\n1,A,\n"),
        r"movies\.csv has no column 'movieId'; its columns are id, title, genres",
    ),
    "a user without id": (
        ml_100k_with(user=b"|24|M|writer|1\n"),
        r"Line 1 of u\.user has no usable",
    ),
    "two atomic data sets": (
        lambda root: folder(root / "x", {"a.inter": b"x", "b.inter": b"x"}),
        r"x has 2 \.inter files",
    ),
    "an atomic file without ratings": (
        lambda root: folder(root / "x", {"a.inter": b"user_id:token\titem_id:token\n1\t2\n"}),
        r"a\.inter has no column 'rating'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_and_the_database_unchanged(
    case: str, kept: Settings, tmp_path: Path
) -> None:
    writer, reason = CASES[case]
    refuses(writer(tmp_path), kept, reason)


def test_a_column_that_is_not_there_is_named(kept: Settings, tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "who,what,stars\nann,x,1\n")
    choice = ColumnChoice("who", "what", "points")
    refuses(path, kept, r"x\.csv has no column 'points'; its columns are who", columns=choice)


def test_nothing_is_written_outside_by_a_slipping_archive(kept: Settings, tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    refuses(slipping_zip("../../evil.txt")(inner), kept, "points outside")
    assert not list(tmp_path.rglob("evil*"))


def test_good_rows_of_a_file_with_bad_ones_are_kept(kept: Settings, tmp_path: Path) -> None:
    text = HEADER + ROWS + "3,1,7.0,1\n4,1,nan,1\n1,1,5.0,9\n5,3,2.5,-1\n6,1\n7,2,0.5,3\n"
    scale = RatingScale(0.5, 5.0, 0.5)
    outcome = import_data(write(tmp_path / "r.csv", text), kept, name="mixed", scale=scale)
    assert {rows.reason.split(" (")[0]: rows.first_lines for rows in outcome.report.dropped} == {
        "malformed line": (8,),
        "rating off the scale 0.5 to 5": (4,),
        "missing value": (5,),
        "bad timestamp": (7,),
        "duplicate pair": (2,),
    }
    assert load_dataset("mixed", kept).ratings.rating.tolist() == [4.0, 5.0, 0.5]
