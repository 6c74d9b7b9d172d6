"""Counts and means of a whole data set, against pandas on the same ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from movierec.data.aggregates import Aggregates, aggregates_of
from movierec.data.dataset import Dataset
from tests.support.factories import assemble, make_dataset


@pytest.fixture(params=[7, 10**6], ids=["in pieces", "in one piece"])
def data(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setattr("movierec.data.arrays.STEP", request.param)
    return make_dataset(60, 45, seed=3)


@pytest.mark.parametrize("side", ["user", "movie"])
def test_each_side_is_counted_as_pandas_does(data: Dataset, side: str) -> None:
    found = getattr(aggregates_of(data), side)
    index, size = getattr(data.ratings, side), getattr(data, f"n_{side}s")
    stars = pd.Series(data.ratings.rating.astype(float)).groupby(index)
    expected = stars.agg(["size", "mean", "std"]).reindex(range(size))
    assert np.array_equal(found.count, expected["size"].fillna(0))
    np.testing.assert_allclose(found.mean, expected["mean"], rtol=1e-12)
    np.testing.assert_allclose(found.spread, expected["std"], rtol=1e-12, atol=1e-12)


def test_months_are_those_of_the_calendar(data: Dataset) -> None:
    found = aggregates_of(data)
    months = pd.Series(pd.to_datetime(data.ratings.timestamp, unit="s")).dt.to_period("M")
    expected = months.value_counts().sort_index()
    assert found.months.sum() == len(data.ratings)
    assert pd.Period("1970-01", "M") + found.first_month == expected.index[0]
    assert list(found.months[found.months > 0]) == list(expected)


def test_times_before_1970_have_their_month() -> None:
    data = assemble([0, 1], [0, 0], [3, 4], [-1, 0], 2, 1)
    assert aggregates_of(data).first_month == -1
    assert list(aggregates_of(data).months) == [1, 1]


def test_levels_cover_the_scale_and_nothing_else(data: Dataset) -> None:
    found = aggregates_of(data).levels
    assert list(found) == [(data.ratings.rating == level).sum() for level in data.scale.levels]


def test_arrays_bring_everything_back(data: Dataset) -> None:
    found = aggregates_of(data)
    again = Aggregates.from_arrays(found.arrays()).arrays()
    assert again.keys() == found.arrays().keys()
    assert all(np.array_equal(again[n], a, equal_nan=True) for n, a in found.arrays().items())


def test_data_without_times_has_no_months() -> None:
    assert len(aggregates_of(make_dataset(timestamps=False)).months) == 0
