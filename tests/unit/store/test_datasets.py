"""Data sets: what goes in comes out, in source order, or nothing does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import text

from movierec.columns import Columns
from movierec.data.dataset import Dataset, IdMap, Interactions, fingerprint_of
from movierec.errors import DataError, NotFoundError, StoreError
from movierec.store import open_store
from tests.support.factories import make_dataset


@pytest.fixture
def settings(settings, database_url):
    return settings.model_copy(update={"database_url": database_url})


@pytest.fixture
def store(settings):
    with open_store(settings) as opened:
        yield opened


def rows_in(store, table: str) -> int:
    with store.engine.connect() as connection:
        return connection.scalar(text(f"SELECT count(*) FROM {table}"))


def assert_same(found: Dataset, expected: Dataset) -> None:
    for name in ("user", "movie", "rating", "timestamp"):
        mine, theirs = getattr(found.ratings, name), getattr(expected.ratings, name)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
    assert list(found.users.ids) == list(expected.users.ids)
    assert list(found.movies.ids) == list(expected.movies.ids)
    assert_frame_equal(found.user_frame, expected.user_frame, check_dtype=False)
    assert_frame_equal(found.movie_frame, expected.movie_frame, check_dtype=False)
    assert (found.name, found.fingerprint, found.scale, found.source) == (
        expected.name,
        expected.fingerprint,
        expected.scale,
        expected.source,
    )


def without_snapshot(settings, name=None) -> Dataset:
    """Load from the database alone."""
    cache = settings.data_path / "cache"
    if cache.exists():
        cache.rename(settings.data_path / f"old-{len(list(settings.data_path.iterdir()))}")
    with open_store(settings) as store:
        return store.datasets.load(name)


@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize("features", [True, False])
def test_round_trip_through_database_and_snapshot(settings, store, timestamps, features):
    dataset = make_dataset(timestamps=timestamps, features=features)
    store.datasets.add(dataset, {"rows_read": 3})
    assert_same(store.datasets.load(), dataset)
    assert_same(without_snapshot(settings), dataset)


def test_the_frames_are_the_same_from_database_and_snapshot(settings, store):
    store.datasets.add(make_dataset(), {})
    snapshot, database = store.datasets.load(), without_snapshot(settings)
    assert_frame_equal(snapshot.user_frame, database.user_frame)
    assert_frame_equal(snapshot.movie_frame, database.movie_frame)


def test_what_is_unknown_stays_unknown(settings, store):
    dataset = make_dataset(6, 5)
    users = dataset.user_frame.assign(age=[1.0, np.nan, 3, 4, 5, 6], gender=None)
    movies = dataset.movie_frame.assign(genres=["", "Drama", "", "", ""], year=np.nan)
    movies.loc[1, Columns.TITLE] = "<b>é \U0001f600 $x$"
    users = users.drop(columns=Columns.OCCUPATION)
    dataset = dataclasses.replace(dataset, user_frame=users, movie_frame=movies)
    store.datasets.add(dataset, {})
    for found in (store.datasets.load(), without_snapshot(settings)):
        assert list(found.user_frame) == [Columns.USER, Columns.AGE, Columns.GENDER]
        assert found.user_frame[Columns.GENDER].isna().all()
        assert found.user_frame[Columns.AGE].isna().tolist() == [False, True, *[False] * 4]
        assert found.movie_frame[Columns.YEAR].isna().all()
        assert found.movie_frame[Columns.GENRES].tolist() == ["", "Drama", "", "", ""]
        assert found.movie_frame[Columns.TITLE][1] == "<b>é \U0001f600 $x$"


def test_arrays_are_read_only(settings, store):
    store.datasets.add(make_dataset(), {})
    for found in (store.datasets.load(), without_snapshot(settings)):
        with pytest.raises(ValueError, match="read-only"):
            found.ratings.rating[0] = 3


def test_a_data_set_larger_than_one_chunk(settings, store):
    dataset = make_dataset(300, 200, 0.5)
    assert dataset.n_ratings > 20_000
    store.datasets.add(dataset, {})
    assert_same(without_snapshot(settings), dataset)


def test_the_record_says_what_was_imported(store):
    dataset = make_dataset()
    record = store.datasets.add(dataset, {"rows_read": np.int64(7), "density": float("nan")})
    assert record == store.datasets.get() == store.datasets.get("planted")
    assert store.datasets.find(dataset.fingerprint) == record
    assert store.datasets.find("0" * 64) is None
    assert (record.n_users, record.n_movies, record.n_ratings) == (40, 30, dataset.n_ratings)
    assert record.imported_at.utcoffset() is not None
    assert record.report == {"rows_read": 7, "density": None}


def test_the_same_data_again_is_the_same_record(store):
    first = store.datasets.add(make_dataset(), {})
    again = dataclasses.replace(make_dataset(), name="other name")
    assert store.datasets.add(again, {}) == first
    assert store.datasets.list() == [first]


def test_a_name_taken_by_other_data_is_refused(store):
    first = store.datasets.add(make_dataset(), {})
    with pytest.raises(DataError, match=r"already is a data set 'planted'.*--name"):
        store.datasets.add(make_dataset(seed=1), {})
    assert store.datasets.list() == [first]


def test_several_data_sets_side_by_side(store):
    one, two = make_dataset(), dataclasses.replace(make_dataset(seed=1), name="two")
    store.datasets.add(one, {})
    store.datasets.add(two, {})
    assert [record.name for record in store.datasets.list()] == ["two", "planted"]
    assert store.datasets.get().name == "two"
    assert_same(store.datasets.load("planted"), one)
    store.datasets.delete("planted")
    assert_same(store.datasets.load(), two)


def test_deleting_leaves_no_row_and_no_snapshot(settings, store):
    record = store.datasets.add(make_dataset(), {})
    store.datasets.delete(record.name)
    assert [rows_in(store, name) for name in ("datasets", "users", "movies", "ratings")] == [0] * 4
    assert list((settings.data_path / "cache").iterdir()) == []


def test_nothing_there_says_what_to_do(store):
    with pytest.raises(NotFoundError, match="movierec data fetch ml-100k"):
        store.datasets.get()
    store.datasets.add(make_dataset(), {})
    with pytest.raises(NotFoundError, match=r"no data set 'x'.*'planted'"):
        store.datasets.load("x")
    with pytest.raises(NotFoundError):
        store.datasets.delete("x")


def test_a_failed_import_leaves_no_trace(settings, store):
    dataset = make_dataset()
    ids = IdMap([*dataset.movies.ids[:-1], "\ud800"], kind="movie")  # cannot be UTF-8
    frame = dataset.movie_frame.assign(movie_id=pd.Series(ids.ids, dtype=object))
    with pytest.raises(UnicodeEncodeError):
        store.datasets.add(dataclasses.replace(dataset, movie_frame=frame), {})
    assert store.datasets.list() == []
    assert rows_in(store, "users") == 0


def damage_nothing(folder):
    (folder / "user.npy").unlink()


def damage_arrays(folder):
    path = folder / "rating.npy"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")


def damage_by_cutting(folder):
    path = folder / "movie.npy"
    path.write_bytes(path.read_bytes()[:200])


def damage_frame(folder):
    path = folder / "users.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 0xFF
    path.write_bytes(content)


def damage_stamp(folder):
    (folder / "stamp.json").write_text("{")


def damage_all(folder):
    for path in folder.iterdir():
        path.write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [damage_nothing, damage_arrays, damage_by_cutting, damage_frame, damage_stamp, damage_all],
)
def test_a_broken_snapshot_is_made_again(settings, store, damage):
    dataset = make_dataset()
    store.datasets.add(dataset, {})
    folder = settings.data_path / "cache" / dataset.fingerprint
    damage(folder)
    assert_same(store.datasets.load(), dataset)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir())
    assert_same(store.datasets.load(), dataset)
    assert sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir()) == before


def test_the_snapshot_of_an_earlier_import_is_not_used(settings, store):
    dataset = make_dataset()
    store.datasets.add(dataset, {})
    folder = settings.data_path / "cache" / dataset.fingerprint
    folder.rename(settings.data_path / "aside")
    store.datasets.delete("planted")
    (settings.data_path / "aside").rename(folder)  # as if the process died in between
    frame = dataset.user_frame.assign(age=99.0)
    changed = dataclasses.replace(dataset, user_frame=frame)
    store.datasets.add(changed, {})
    assert_same(store.datasets.load(), changed)


def test_a_cache_that_cannot_be_written_costs_only_speed(settings, store):
    (settings.data_path / "cache").write_text("in the way")
    dataset = make_dataset()
    store.datasets.add(dataset, {})
    assert_same(store.datasets.load(), dataset)


def test_lost_ratings_are_noticed(settings, store):
    store.datasets.add(make_dataset(), {})
    with store.engine.begin() as connection:
        connection.execute(text("DELETE FROM ratings WHERE position = 3"))
    with pytest.raises(StoreError, match="fewer ratings"):
        without_snapshot(settings)


def test_ids_with_odd_characters(settings, store):
    users = IdMap(["a|b", "", "' OR 1=1 --", "日本"], kind="user")
    movies = IdMap(["../../etc/passwd"], kind="movie")
    ratings = Interactions(np.arange(4), np.zeros(4, np.int64), np.ones(4, np.float32))
    dataset = Dataset(
        name="odd",
        fingerprint=fingerprint_of(users, movies, ratings),
        scale=make_dataset().scale,
        users=users,
        movies=movies,
        ratings=ratings,
        user_frame=pd.DataFrame({Columns.USER: users.ids}),
        movie_frame=pd.DataFrame({Columns.MOVIE: movies.ids}),
    )
    store.datasets.add(dataset, {})
    assert_same(without_snapshot(settings), dataset)
