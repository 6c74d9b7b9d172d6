"""Invariants of the nine splits, on planted data of any shape and on MovieLens 100K."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from movierec.data.dataset import Dataset, Interactions
from movierec.data.splits import SPLIT_NAMES, Split, SplitSpec, make_split
from movierec.errors import SplitError
from tests.support.factories import assemble, make_dataset

FOLDS = tuple(name for name in SPLIT_NAMES if name.startswith("u"))
GENERAL = tuple(name for name in SPLIT_NAMES if name not in FOLDS)


@pytest.fixture(scope="module")
def hundred_thousand() -> Dataset:
    rng = np.random.default_rng(0)
    n_users, n_movies = 500, 400
    pairs = rng.permutation(n_users * n_movies)[:100_000]
    user, movie = np.divmod(pairs, n_movies)
    return assemble(user, movie, rng.integers(1, 6, 100_000), np.arange(100_000), n_users, n_movies)


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Ratings in any order, with ties in time as often as not."""
    size = draw(st.integers(30, 200))
    seed = draw(st.integers(0, 10_000))
    times = draw(st.integers(1, 3 * size))
    rng = np.random.default_rng(seed)
    n_users = draw(st.integers(3, 25))
    pairs = rng.permutation(n_users * 70)[:size]
    user, movie = np.divmod(pairs, 70)
    return assemble(
        user, movie, rng.integers(1, 6, len(pairs)), rng.integers(0, times, len(pairs)), n_users, 70
    )


def partition_holds(dataset: Dataset, split: Split) -> None:
    parts = [split.train, split.validation, split.test, split.support]
    together = np.concatenate(parts)
    assert np.array_equal(np.sort(together), np.arange(dataset.n_ratings))
    for part in parts:
        assert np.array_equal(part, np.sort(part))  # source order within a part
    expected_known = np.setdiff1d(np.arange(dataset.n_ratings), split.test)
    assert np.array_equal(split.known, expected_known)
    assert np.array_equal(split.learnable, np.sort(np.concatenate([split.train, split.validation])))


def try_split(dataset: Dataset, spec: SplitSpec) -> Split | None:
    """Return the split; None when the data set is too small or too tied for it."""
    try:
        return make_split(dataset, spec)
    except SplitError:
        return None


@pytest.mark.parametrize("name", GENERAL)
@given(dataset=datasets(), seed=st.integers(0, 2**31 - 1))
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_parts_are_disjoint_and_cover_every_rating(name: str, dataset: Dataset, seed: int) -> None:
    split = try_split(dataset, SplitSpec(name=name, seed=seed, last_n=2, given=2))
    if split is not None:
        partition_holds(dataset, split)


# of the first release: versions hold on to their split by its hash
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("random", "f6d733730d2cee62"),
        ("temporal", "3ca145a0530f704b"),
        ("leave-last-n", "d57cb1d9e02b2811"),
        ("cold-users", "e54c9c03a970cecd"),
    ],
)
def test_a_split_is_the_same_in_every_release(planted, name, expected):
    split = make_split(planted, SplitSpec(name=name))
    parts = (split.train, split.validation, split.test, split.support, split.known)
    hashes = (hashlib.sha256(part.astype("<i8").tobytes()).hexdigest() for part in parts)
    assert hashlib.sha256("".join(hashes).encode()).hexdigest()[:16] == expected


@given(dataset=datasets())
@hypothesis_settings(max_examples=60, deadline=None)
def test_temporal_never_learns_from_the_time_of_the_test_or_later(dataset: Dataset) -> None:
    split = try_split(dataset, SplitSpec(name="temporal"))
    if split is None:
        return
    times = dataset.ratings.timestamp
    assert times is not None
    assert times[split.train].max() < times[split.validation].min()
    assert times[split.validation].max() < times[split.test].min()


@given(dataset=datasets(), n=st.integers(1, 4))
@hypothesis_settings(max_examples=60, deadline=None)
def test_leave_last_n_holds_out_each_users_newest(dataset: Dataset, n: int) -> None:
    split = try_split(dataset, SplitSpec(name="leave-last-n", last_n=n))
    if split is None:
        return
    user, times = dataset.ratings.user, dataset.ratings.timestamp
    assert times is not None
    for one in range(dataset.n_users):
        test = split.test[user[split.test] == one]
        known = split.known[user[split.known] == one]
        assert len(test) == (n if len(test) + len(known) > n else 0)
        if len(test):
            assert times[known].max() <= times[test].min()


@given(dataset=datasets(), share=st.integers(0, 4))
@hypothesis_settings(max_examples=60, deadline=None)
def test_cold_users_are_absent_from_training(dataset: Dataset, share: int) -> None:
    split = try_split(dataset, SplitSpec(name="cold-users", given=share))
    if split is None:
        return
    user, times = dataset.ratings.user, dataset.ratings.timestamp
    assert times is not None
    learned = np.union1d(user[split.train], user[split.validation])
    cold = np.union1d(user[split.test], user[split.support])
    assert not np.intersect1d(learned, cold).size
    for one in np.unique(user[split.test]):
        told = split.support[user[split.support] == one]
        assert len(told) == share
        if len(told):
            assert times[told].max() <= times[split.test[user[split.test] == one]].min()


def test_cold_users_are_a_tenth_of_the_users(hundred_thousand: Dataset) -> None:
    split = make_split(hundred_thousand, SplitSpec(name="cold-users", given=1))
    assert len(np.unique(hundred_thousand.ratings.user[split.test])) == 50


@pytest.mark.parametrize("name", FOLDS)
def test_a_fold_is_its_fifth_of_the_rows(hundred_thousand: Dataset, name: str) -> None:
    fold = int(name[1])
    split = make_split(hundred_thousand, SplitSpec(name=name))
    assert np.array_equal(split.test, np.arange((fold - 1) * 20_000, fold * 20_000))
    assert (len(split.train), len(split.validation)) == (72_000, 8_000)
    partition_holds(hundred_thousand, split)


@pytest.mark.parametrize("name", SPLIT_NAMES)
def test_the_seed_decides_the_split(hundred_thousand: Dataset, name: str) -> None:
    first = make_split(hundred_thousand, SplitSpec(name=name, seed=1))
    again = make_split(hundred_thousand, SplitSpec(name=name, seed=1))
    assert first.sha256 == again.sha256
    assert np.array_equal(first.validation, again.validation)
    other = make_split(hundred_thousand, SplitSpec(name=name, seed=2))
    assert np.array_equal(first.validation, other.validation) == (name == "temporal")
    assert (first.sha256 == other.sha256) == (name not in ("random", "cold-users"))


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_random_holds_out_its_fraction(hundred_thousand: Dataset, fraction: float) -> None:
    split = make_split(hundred_thousand, SplitSpec(name="random", test_fraction=fraction))
    assert len(split.test) == round(100_000 * fraction)
    assert len(split.validation) == round((100_000 - len(split.test)) * 0.1)


@pytest.mark.parametrize("name", ["temporal", "leave-last-n", "cold-users"])
def test_splits_by_time_say_that_they_need_timestamps(name: str) -> None:
    with pytest.raises(SplitError, match=r"needs timestamps.*--timestamp-column"):
        make_split(make_dataset(timestamps=False), SplitSpec(name=name))


def test_folds_say_that_they_need_movielens_100k(planted: Dataset) -> None:
    with pytest.raises(SplitError, match=r"u1 is a fold of MovieLens 100K.*not 100,000"):
        make_split(planted, SplitSpec(name="u1"))


def test_a_part_that_would_be_empty_is_refused(planted: Dataset) -> None:
    same_time = Interactions(
        planted.ratings.user,
        planted.ratings.movie,
        planted.ratings.rating,
        np.zeros(planted.n_ratings, np.int64),
    )
    tied = assemble(same_time.user, same_time.movie, same_time.rating, same_time.timestamp, 40, 30)
    with pytest.raises(SplitError, match="train and validation part empty"):
        make_split(tied, SplitSpec(name="temporal"))


def test_labels_tell_two_splits_apart() -> None:
    specs = [SplitSpec(name=name) for name in SPLIT_NAMES]
    specs += [
        SplitSpec(name="random", seed=1),
        SplitSpec(name="random", test_fraction=0.204),
        SplitSpec(name="leave-last-n", last_n=1),
        SplitSpec(name="cold-users", given=1),
    ]
    assert len({spec.label for spec in specs}) == len(specs)
    assert SplitSpec().label == "random 80/20, seed 42"


@pytest.mark.realdata
def test_u1_of_movielens_100k_has_its_known_shape(ml_100k: Dataset) -> None:
    """459 users and 32 ratings of movies without a training rating, as EVALUATION.md says."""
    split = make_split(ml_100k, SplitSpec(name="u1"))
    ratings = ml_100k.ratings
    assert len(np.unique(ratings.user[split.test])) == 459
    unseen = ~np.isin(ratings.movie[split.test], ratings.movie[split.known])
    assert unseen.sum() == 32
