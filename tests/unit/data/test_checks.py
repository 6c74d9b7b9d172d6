"""Rows kept and dropped: each reason with its lines, and a naive oracle over random files."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from movierec.data.catalogue import natural_order
from movierec.data.convert import WHOLE_STARS, infer_scale, parse_scale
from movierec.data.dataset import Dataset, RatingScale
from movierec.data.formats.delimited import read_headed
from movierec.data.formats.detect import read_raw
from movierec.data.formats.raw import RawData
from movierec.data.formats.text import as_utf8
from movierec.data.validation.checks import checked
from movierec.data.validation.report import ImportReport
from movierec.errors import EmptyDataError, FormatError
from tests.support import data_files

GOOD = "1,1,3,10\n2,2,4,20\n"
HEADER = "user,movie,rating,timestamp\n"


def imported(text: str, scale: RatingScale | None = WHOLE_STARS) -> tuple[Dataset, ImportReport]:
    """Check a CSV of user, movie, rating and, if its header says so, timestamp."""
    table = read_headed(as_utf8(text.encode(), "r.csv"), "r.csv", ",")
    names = {"user": "user_id", "movie": "movie_id", "rating": "rating", "timestamp": "timestamp"}
    chosen = table.choose({names[name]: name for name in table.names})
    return checked(RawData("r", "table", chosen, scale=scale))


def reasons(report: ImportReport) -> dict[str, tuple[int, ...]]:
    return {rows.reason: rows.first_lines for rows in report.dropped}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,9,7,10", "rating off the scale 1 to 5"),
        ("1,9,0,10", "rating off the scale 1 to 5"),
        ("1,9,3.7,10", "rating off the scale 1 to 5"),
        ("1,9,nan,10", "missing value"),
        ("1,9,,10", "missing value"),
        (",9,3,10", "missing value"),
        ("1, ,3,10", "missing value"),
        ("1,9,3,", "missing value"),
        ("1,9,inf,10", "bad number"),
        ("1,9,good,10", "bad number"),
        ('1,9,"3,5",10', "bad number"),
        ("1,9,0x3,10", "bad number"),
        ("1,9,3,-1", "bad timestamp (neither seconds from 1970 on nor ISO 8601)"),
        ("1,9,3,soon", "bad timestamp (neither seconds from 1970 on nor ISO 8601)"),
        ("1,9,3,1e300", "bad timestamp (neither seconds from 1970 on nor ISO 8601)"),
        ("1,9,3", "malformed line (another number of fields)"),
        ("1,9,3,10,11", "malformed line (another number of fields)"),
        (f"{'x' * 256},9,3,10", "bad id (line break, control character or over 255 characters)"),
        ("a\x1bb,9,3,10", "bad id (line break, control character or over 255 characters)"),
        ('"a\nb",9,3,10', "bad id (line break, control character or over 255 characters)"),
    ],
)
def test_a_bad_row_is_dropped_with_its_reason_and_line(row: str, reason: str) -> None:
    dataset, report = imported(f"{HEADER}{GOOD}{row}\n3,1,5,30\n")
    assert reasons(report) == {reason: (4,)}
    assert (report.rows_read, report.rows_kept, report.rows_dropped) == (4, 3, 1)
    assert dataset.n_ratings == 3
    assert "9" not in dataset.movies


def test_lines_are_right_behind_blank_lines_and_values_that_span_lines() -> None:
    text = f'{HEADER}{GOOD}\n"a\n\nb",1,2,3\n\n1,2\n3,1,9,9\n'
    assert sorted(reasons(imported(text)[1]).values()) == [(5,), (9,), (10,)]


def test_only_the_first_lines_of_a_reason_are_listed() -> None:
    _, report = imported(HEADER + GOOD + "1,9,8,1\n" * 10)
    (dropped,) = report.dropped
    assert (dropped.count, dropped.first_lines) == (10, (4, 5, 6, 7, 8))
    assert str(dropped) == "10 rating off the scale 1 to 5 (line 4, 5, 6, 7, 8, …)"


def test_of_two_ratings_of_a_pair_the_newest_is_kept() -> None:
    dataset, report = imported(f"{HEADER}1,1,3,10\n1,1,4,30\n2,2,1,1\n1,1,5,20\n1,1,2,30\n")
    assert reasons(report) == {"duplicate pair (the newest is kept)": (2, 3, 5)}
    assert dataset.ratings.rating.tolist() == [1.0, 2.0]


def test_without_timestamps_the_last_row_of_a_pair_is_kept() -> None:
    dataset, report = imported("user,movie,rating\n1,1,3\n1,1,4\n2,2,1\n")
    assert reasons(report) == {"duplicate pair (the last row is kept)": (2,)}
    assert dataset.ratings.rating.tolist() == [4.0, 1.0]


def test_a_bad_row_is_no_twin_of_a_good_one() -> None:
    dataset, _ = imported(f"{HEADER}{GOOD}1,1,9,99\n")
    assert dataset.ratings.rating.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("rows", "shortage"),
    [
        ("1,1,9,1\n", "no usable rating"),
        ("1,1,3,1\n1,2,4,1\n", "only one user"),
        ("1,1,3,1\n2,1,4,1\n", "only one movie"),
        ("1,1,3,1\n2,2,3,1\n", "only one distinct rating"),
    ],
)
def test_too_little_to_learn_from_is_refused_with_counts(rows: str, shortage: str) -> None:
    with pytest.raises(EmptyDataError, match=rf"r.csv leaves {shortage}: .* rows read.*kept"):
        imported(HEADER + rows)


def test_catalogue_files_must_have_unique_ids(tmp_path: Path) -> None:
    files = data_files.ml_100k_files()
    files["u.user"] += b"2|53|F|other|94043\n"
    with pytest.raises(FormatError, match=r"Line 4 of u\.user repeats the id of an earlier line"):
        checked(read_raw(data_files.folder(tmp_path / "x", files)))


@pytest.mark.parametrize(
    ("ids", "ordered"),
    [
        (["10", "9", "-1"], ["-1", "9", "10"]),
        (["7", "007", "1"], ["1", "007", "7"]),
        (["b", "a10", "a9"], ["a10", "a9", "b"]),
        (["2", "²", "10"], ["10", "2", "²"]),
    ],
)
def test_ids_are_in_numeric_order_when_all_are_numbers(ids: list[str], ordered: list[str]) -> None:
    assert natural_order(ids) == ordered


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        ([1, 5, 3, 2], (1, 5, 1)),
        ([0.5, 4.5, 5], (0.5, 5, 0.5)),
        ([1, 3, 5], (1, 5, 2)),
        ([0, 100, 37], (0, 100, 1)),
        ([-10, 10, 0.1], (-10, 10, 0.1)),
        ([0.12345, 3.14159], (0.123, 3.142, 3.019)),
        ([0, 1e6, 1e6 + 1], (0, 1e6 + 1, 1000.001)),
    ],
)
def test_an_inferred_scale_holds_every_rating(
    ratings: list[float], scale: tuple[float, float, float]
) -> None:
    found = infer_scale(np.array(ratings))
    assert (found.low, found.high, found.step) == pytest.approx(scale)


@pytest.mark.parametrize(
    "text", ["", "1:5", "1:5:x", "5:1:1", "1:5:0", "1:5:3", "1:inf:1", "nan:5:1", "0:1:0.0001"]
)
def test_an_impossible_scale_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="low:high:step"):
        parse_scale(text)


def test_a_written_scale_is_read() -> None:
    assert parse_scale("0.5:5:0.5") == RatingScale(0.5, 5.0, 0.5)


def test_ratings_without_a_common_step_are_all_kept() -> None:
    rows = [f"{i},{i % 3},{i / 7:.6f}" for i in range(20)]
    dataset, report = imported("user,movie,rating\n" + "\n".join(rows), scale=None)
    assert report.rows_kept == 20
    assert dataset.scale.low <= dataset.ratings.rating.min()
    assert dataset.scale.high >= dataset.ratings.rating.max()


def naive(text: str) -> list[tuple[str, str, float, int]]:
    """Check row by row what the product checks column by column."""
    kept: dict[tuple[str, str], tuple[int, tuple[str, str, float, int]]] = {}
    for place, row in enumerate(list(csv.reader(io.StringIO(text)))[1:]):
        if len(row) != 4 or not row[0].strip() or not row[1].strip():
            continue
        try:
            rating, time = float(row[2]), math.floor(float(row[3]))
        except (ValueError, OverflowError):
            continue
        user, movie = row[0].strip(), row[1].strip()
        if rating not in (1, 2, 3, 4, 5) or time < 0:
            continue
        twin = kept.get((user, movie))
        if twin is None or twin[1][3] <= time:
            kept[user, movie] = place, (user, movie, rating, time)
    return [row for _, row in sorted(kept.values())]


@st.composite
def tables(draw: st.DrawFn) -> str:
    ids = st.sampled_from(["1", " 2", "10", "a", "", "é", "1 "])
    ratings = st.sampled_from(["1", "2", "3.0", "5", " 4", "7", "nan", "inf", "x", "2.5", ""])
    times = st.sampled_from(["0", "5", "7.9", "88", "-1", "y", ""])
    rows = draw(st.lists(st.tuples(ids, ids, ratings, times), min_size=1, max_size=40))
    return HEADER + data_files.lines(rows, ",") + "x,x,3,1\ny,y,4,1\n"


@given(text=tables())
@hypothesis_settings(max_examples=150, deadline=None)
def test_the_checks_agree_with_a_naive_loop(text: str) -> None:
    dataset, report = imported(text)
    ratings = dataset.ratings
    assert ratings.timestamp is not None
    found = zip(
        dataset.users.ids[ratings.user],
        dataset.movies.ids[ratings.movie],
        ratings.rating.tolist(),
        ratings.timestamp.tolist(),
        strict=True,
    )
    assert list(found) == naive(text)
    assert report.rows_kept + sum(rows.count for rows in report.dropped) == report.rows_read
