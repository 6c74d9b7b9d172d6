from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.ui.components import ratings
from tests.support.factories import assemble, make_dataset


def test_shares_of_levels_cover_the_scale(planted: Dataset) -> None:
    shares = ratings.level_shares(planted)
    assert list(shares["level"]) == [1, 2, 3, 4, 5]
    assert shares["count"].sum() == planted.n_ratings
    assert shares["share"].sum() == pytest.approx(1)
    assert shares["count"].iloc[3] == (planted.ratings.rating == 4).sum()


def test_months_without_ratings_are_counted_as_zero() -> None:
    times = [
        int(pd.Timestamp(day).timestamp()) for day in ("1997-09-20", "1997-09-30", "1997-12-01")
    ]
    data = assemble([0, 1, 2], [0, 0, 0], [3, 4, 5], times, 3, 1)
    months = ratings.by_month(data)
    assert months is not None
    assert list(months["count"]) == [2, 0, 0, 1]
    assert months["start"].iloc[0] == pd.Timestamp("1997-09-01")


def test_no_months_without_timestamps() -> None:
    assert ratings.by_month(make_dataset(timestamps=False)) is None


def test_movie_table_counts_means_and_spreads() -> None:
    data = assemble([0, 1, 2], [0, 0, 1], [2, 4, 5], None, 3, 3)
    table = ratings.movie_table(data)
    assert list(table["ratings"]) == [2, 1, 0]
    assert table["mean"].iloc[0] == 3
    assert table["spread"].iloc[0] == pytest.approx(np.sqrt(2))
    assert table["spread"].iloc[1:].isna().all()
    assert np.isnan(table["mean"].iloc[2])
    assert list(table[Columns.TITLE]) == ["m0", "m1", "m2"]


def test_search_and_genres_narrow_the_movies(planted: Dataset) -> None:
    movies = ratings.movie_table(planted)
    titles = ratings.filter_movies(movies, "7 MOVIE", [])[Columns.TITLE]
    assert list(titles) == ["Movie 7", "Movie 17", "Movie 27"]
    genre = ratings.genres_of(movies)[0]
    found = ratings.filter_movies(movies, "", [genre])
    assert 0 < len(found) < len(movies)
    assert found[Columns.GENRES].str.split("|").map(lambda names: genre in names).all()


def test_search_text_is_no_pattern(planted: Dataset) -> None:
    assert ratings.filter_movies(ratings.movie_table(planted), "(.*", []).empty


def test_user_history_is_newest_first(planted: Dataset) -> None:
    history = ratings.user_history(planted, 3)
    assert len(history) == (planted.ratings.user == 3).sum()
    assert history[Columns.TIMESTAMP].is_monotonic_decreasing


def test_bare_data_sets_work_too() -> None:
    data = make_dataset(features=False, timestamps=False)
    assert Columns.TIMESTAMP not in ratings.user_history(data, 0)
    assert ratings.genres_of(ratings.movie_table(data)) == []
    assert len(ratings.filter_users(ratings.user_table(data), "u1")) == 11


def test_nothing_of_the_data_set_is_changed(planted: Dataset) -> None:
    before = planted.movie_frame.copy()
    ratings.movie_table(planted)
    ratings.user_history(planted, 0)
    pd.testing.assert_frame_equal(planted.movie_frame, before)
    assert replace(planted).fingerprint == planted.fingerprint
