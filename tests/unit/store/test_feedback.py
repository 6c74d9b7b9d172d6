"""Thumbs, named newcomers and counts of lists, on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest

from movierec.errors import NotFoundError, StoreError
from movierec.store import Store, open_store

DATA = "f" * 64


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, settings):
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        settings = settings.model_copy(update={"database_url": url})
    with open_store(settings) as opened:
        yield opened


def thumb(store: Store, user: str, movie: str, is_liked: bool, **more):
    more = {"version": "v1.0.0", "dataset": DATA, **more}
    return store.feedback.add(user_id=user, movie_id=movie, is_liked=is_liked, **more)


def test_the_last_thumb_on_a_movie_counts(store):
    first = thumb(store, "1", "50", True, rank=3)
    assert (first.is_liked, first.rank, first.source) == (True, 3, "page")
    second = thumb(store, "1", "50", False, version="v1.1.0", source="api")
    assert store.feedback.of_user(DATA, "1") == [second]
    assert (second.is_liked, second.version, second.rank) == (False, "v1.1.0", None)
    store.feedback.remove(DATA, "1", "50")
    store.feedback.remove(DATA, "1", "50")
    assert store.feedback.list() == []


def test_thumbs_are_found_by_data_and_version_newest_first(store):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    thumb(store, "1", "50", True, at=at)
    thumb(store, "1", "51", True, at=at.replace(month=2))
    thumb(store, "2", "50", False, version="v1.1.0")
    thumb(store, "2", "50", True, dataset="other")
    assert [each.movie_id for each in store.feedback.of_user(DATA, "1")] == ["51", "50"]
    assert len(store.feedback.list()) == 4
    assert len(store.feedback.list(DATA)) == 3
    assert [each.user_id for each in store.feedback.list(DATA, ["v1.1.0"])] == ["2"]
    assert store.feedback.list(DATA, []) == []


def test_many_at_once_lose_nothing(store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: thumb(store, str(i % 8), str(i % 5), i % 2 == 0), range(80)))
        list(pool.map(lambda _: store.served.add({("v1.0.0", "api"): 3}), range(40)))
    assert len(store.feedback.list()) == 40
    assert [each.lists for each in store.served.by_day()] == [120]


def test_lists_are_counted_by_day_version_and_source(store):
    day = date(2026, 11, 24)
    store.served.add({("v1.0.0", "api"): 2, ("v1.1.0", "api"): 5, ("v1.1.0", "page"): 0}, day)
    store.served.add({("v1.0.0", "api"): 1}, day)
    store.served.add({("v1.0.0", "page"): 1}, date(2026, 11, 23))
    store.served.add({})
    found = [
        (each.day.day, each.version, each.source, each.lists) for each in store.served.by_day()
    ]
    assert found == [(23, "v1.0.0", "page", 1), (24, "v1.0.0", "api", 3), (24, "v1.1.0", "api", 5)]
    assert [each.lists for each in store.served.by_day(["v1.1.0"])] == [5]


def test_a_profile_is_kept_replaced_and_forgotten(store):
    kept = store.profiles.save("  Ada  L. ", DATA, {"50": 5.0}, {"age": 36})
    assert (kept.name, kept.ratings, kept.features) == ("Ada L.", {"50": 5.0}, {"age": 36})
    again = store.profiles.save("Ada L.", DATA, {"50": 4.0, "51": 1.0})
    assert (again.id, again.created_at) == (kept.id, kept.created_at)
    assert again.changed_at >= kept.changed_at
    store.profiles.save("Bo", "other", {})
    assert store.profiles.list(DATA) == [again]
    store.profiles.delete("Ada L.", DATA)
    assert store.profiles.list(DATA) == []
    with pytest.raises(NotFoundError, match=r"no profile 'Ada L.'"):
        store.profiles.delete("Ada L.", DATA)


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b", "\u202eevil"])
def test_a_profile_has_a_printable_name(store, name):
    with pytest.raises(StoreError, match="no name for a profile"):
        store.profiles.save(name, DATA, {})


def test_thumbs_are_counted_by_data(store):
    for user in ("1", "2", "2"):
        thumb(store, user, "50", True)
    thumb(store, "1", "50", True, dataset="other")
    assert (store.feedback.count(DATA), store.feedback.count("none")) == (2, 0)
