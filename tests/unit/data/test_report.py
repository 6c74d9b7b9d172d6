"""The import report: figures that can be checked by hand, and its way to JSON and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from movierec.data.dataset import Dataset
from movierec.data.formats.detect import read_raw
from movierec.data.validation.checks import checked
from movierec.data.validation.report import CountDistribution, ImportReport, Level
from movierec.errors import StoreError
from tests.support.data_files import write_ml_100k


@pytest.fixture
def report(tmp_path: Path) -> ImportReport:
    path = write_ml_100k(tmp_path)
    with (path / "u.data").open("a") as stream:
        stream.write("1\t1\t9\t880000000\n99\t1\t3\t880000000\n")
    return checked(read_raw(path))[1]


def test_figures_of_a_small_data_set(report: ImportReport) -> None:
    assert (report.users, report.movies, report.movies_without_ratings) == (3, 4, 1)
    assert report.density == pytest.approx(5 / 12)
    assert report.histogram == (Level(1, 1), Level(2, 1), Level(3, 1), Level(4, 1), Level(5, 1))
    assert report.ratings_per_user == CountDistribution(1, 1.5, 2, 2, 2, 2, pytest.approx(5 / 3))
    assert report.ratings_per_movie.max == 3
    assert report.files == ("u.data", "u.user", "u.item")
    assert [(d.count, d.first_lines) for d in report.dropped] == [(1, (6,)), (1, (7,))]


def test_dates_are_iso_8601_in_utc(report: ImportReport) -> None:
    assert report.first_rating == "1997-11-20T04:26:40+00:00"
    assert report.last_rating == "1997-11-20T04:30:40+00:00"


def test_a_report_goes_through_json_unchanged(report: ImportReport) -> None:
    assert ImportReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report


@pytest.mark.parametrize("damage", [{"scale": 1}, {"histogram": [{"x": 1}]}, {"unheard": 1}])
def test_a_damaged_report_is_an_error_of_the_store(
    report: ImportReport, damage: dict[str, object]
) -> None:
    with pytest.raises(StoreError, match="import report cannot be read"):
        ImportReport.from_dict(report.as_dict() | damage)


def test_many_distinct_ratings_are_binned(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{i % 20},{i},{rating}" for i, rating in enumerate(rng.random(500).round(3))]
    path = tmp_path / "x.csv"
    path.write_text("user,movie,rating\n" + "\n".join(rows))
    report = checked(read_raw(path))[1]
    assert len(report.histogram) == 50
    assert sum(level.count for level in report.histogram) == 500


@pytest.mark.realdata
def test_known_figures_of_movielens_100k(ml_100k_source: Path, ml_100k: Dataset) -> None:
    report = checked(read_raw(ml_100k_source))[1]
    assert (report.rows_read, report.rows_kept, report.dropped) == (100_000, 100_000, ())
    assert report.density == pytest.approx(0.0630, abs=5e-5)
    assert [level.count for level in report.histogram] == [6110, 11370, 27145, 34174, 21201]
    assert (report.ratings_per_user.min, report.ratings_per_user.max) == (20, 737)
    assert (report.ratings_per_movie.min, report.ratings_per_movie.max) == (1, 583)
    assert (report.first_rating or "")[:10] == "1997-09-20"
    assert (report.last_rating or "")[:10] == "1998-04-22"
