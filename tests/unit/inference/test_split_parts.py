"""What a version may know and what was held out: kept, it is what it is when made anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from movierec.data.dataset import Dataset, Interactions
from movierec.data.splits import SplitSpec, make_split
from movierec.inference.parts import SplitParts, parts_of
from movierec.models.arrays import RatingLists
from movierec.models.graphsage.formulas import n_newest, newest_ratings
from movierec.settings import Settings
from movierec.store import Store, datasets, open_store
from tests.support.factories import make_dataset

SPECS = (SplitSpec(name="random", seed=7), SplitSpec(name="temporal"), SplitSpec(seed=8))


@pytest.fixture
def store(settings: Settings, planted: Dataset) -> Iterator[Store]:
    with open_store(settings) as opened:
        opened.datasets.add(planted, {})
        yield opened


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every data set count as a large one."""
    monkeypatch.setattr(datasets, "GROUPED_FROM", 1)


def folders(settings: Settings, dataset: Dataset) -> list[Path]:
    return sorted((settings.data_path / "cache").glob(f"{dataset.fingerprint}.*"))


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.label)
def test_kept_parts_are_those_of_the_split(
    store: Store, settings: Settings, planted: Dataset, spec: SplitSpec
) -> None:
    split = make_split(planted, spec)
    for _ in range(2):  # made, then read
        found = parts_of(store.datasets, planted, spec)
        known = planted.ratings.take(split.known)
        for name in ("user", "movie", "rating", "timestamp"):
            assert np.array_equal(getattr(found.known, name), getattr(known, name))
        assert np.array_equal(found.test, split.test)
        assert np.array_equal(found.validation, split.validation)
        assert found.sha256 == split.sha256
        for user in range(planted.n_users):
            rows = found.known.grouped("user", planted.n_users).positions(user)
            assert np.array_equal(rows, np.flatnonzero(known.user == user))
    assert len(folders(settings, planted)) == 1


@pytest.mark.usefixtures("large")
def test_each_split_is_kept_by_itself_and_goes_with_its_data(
    store: Store, settings: Settings, planted: Dataset
) -> None:
    hashes = {parts_of(store.datasets, planted, spec).sha256 for spec in SPECS}
    assert len(hashes) == len(folders(settings, planted)) == len(SPECS)
    store.datasets.delete(planted.name)
    assert folders(settings, planted) == []


def test_of_small_data_nothing_is_kept(store: Store, settings: Settings, planted: Dataset) -> None:
    assert parts_of(store.datasets, planted, SPECS[0]).sha256
    assert folders(settings, planted) == []


def test_what_one_user_gave_in_the_test_part(planted: Dataset) -> None:
    split = make_split(planted, SPECS[0])
    parts, test = SplitParts.of(planted, split), planted.ratings.take(split.test)
    for user in range(planted.n_users):
        found, own = parts.held_out(planted, user), test.user == user
        assert np.array_equal(found.movie, test.movie[own])
        assert np.array_equal(found.rating, test.rating[own])


def test_nothing_was_held_out_of_an_empty_test_part(planted: Dataset) -> None:
    none = np.zeros(0, np.int64)
    assert len(SplitParts(planted.ratings, none, none, "").held_out(planted, 0)) == 0


@pytest.mark.parametrize("times", [3, 50, 10**6])
def test_the_newest_ratings_are_the_last_of_all_sorted(times: int) -> None:
    rng = np.random.default_rng(times)
    made = make_dataset(50, 40, seed=5).ratings
    ratings = Interactions(
        made.user, made.movie, made.rating, rng.integers(0, times, len(made)).astype(np.int64)
    )
    order = np.lexsort((ratings.movie, ratings.user, ratings.timestamp))
    newest = np.zeros(len(ratings), np.bool_)
    newest[order[len(ratings) - n_newest(ratings) :]] = True
    assert np.array_equal(newest_ratings(ratings), newest)
    assert abs(newest.mean() - 0.1) < 2 / len(ratings)


@pytest.mark.parametrize("ordered", [True, False])
def test_lists_are_the_same_whether_ratings_come_in_order_or_not(
    planted: Dataset, ordered: bool
) -> None:
    made = planted.ratings
    order = np.lexsort((made.movie, made.user)) if ordered else np.arange(len(made))
    ratings = made.take(order)
    lists = RatingLists.build(ratings.user, ratings.movie, ratings.rating, n_rows=planted.n_users)
    for user in range(planted.n_users):
        rows, own = lists.of(user), ratings.user == user
        assert np.array_equal(lists.index[rows], ratings.movie[own])
        assert np.array_equal(lists.rating[rows], ratings.rating[own])
