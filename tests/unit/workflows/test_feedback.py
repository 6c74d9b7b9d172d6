"""Thumbs and named newcomers as ratings of a new data set: which join, which do not, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from movierec.data.convert import HALF_STARS, WHOLE_STARS
from movierec.data.dataset import Dataset, IdMap, Interactions, RatingScale, fingerprint_of
from movierec.errors import DataError, EmptyDataError, FormatError
from movierec.settings import Settings
from movierec.store import FeedbackRecord, ProfileRecord, Store, open_store
from movierec.workflows.feedback import free_name, join_feedback, joined, thumb_stars
from tests.support.factories import make_dataset
from tests.support.states import add_dataset

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECONDS = int(AT.timestamp())
STARS = (4.0, 2.0)


def small(*, times: bool = True) -> Dataset:
    users, movies = IdMap(["a", "b"], kind="user"), IdMap(["10", "20", "30"], kind="movie")
    ratings = Interactions(
        np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([5, 3, 1], np.float32),
        np.array([7, 8, 9]) if times else None,
    )  # fmt: skip
    return Dataset(
        "small", fingerprint_of(users, movies, ratings), WHOLE_STARS, users, movies, ratings,
        pd.DataFrame({"user_id": ["a", "b"], "age": [30.0, np.nan], "gender": ["F", None]}),
        pd.DataFrame({"movie_id": ["10", "20", "30"], "title": ["X", "Y", "Z"]}),
    )  # fmt: skip


def thumb(number: int, user: str, movie: str, up: bool = True, day: int = 24) -> FeedbackRecord:
    at = AT.replace(day=day)
    return FeedbackRecord(number, at, "v1.0.0", "f", user, movie, up, None, "api")


def profile(number: int, name: str, ratings: dict, **features) -> ProfileRecord:
    return ProfileRecord(number, name, "f", ratings, features, AT, AT)


def rows_of(data: Dataset) -> list[tuple]:
    ratings = data.ratings
    users, movies = data.users.ids[ratings.user], data.movies.ids[ratings.movie]
    times = [None] * len(ratings) if ratings.timestamp is None else ratings.timestamp.tolist()
    return list(zip(users, movies, ratings.rating.tolist(), times, strict=True))


def test_each_thumb_and_profile_is_a_rating_after_the_old_ones():
    old = small()
    thumbs = [thumb(1, "new", "30", False), thumb(2, "a", "30", day=23)]
    people = [profile(1, "Ada", {"10": 5.0, "20": 1.0}, age=36, gender="F", shoe=9)]
    new, report, kinds = joined(old, thumbs, people, "mine", STARS)
    assert rows_of(new) == [
        *rows_of(old),
        ("a", "30", 4.0, SECONDS - 86_400),
        ("new", "30", 2.0, SECONDS),
        ("profile:Ada", "10", 5.0, SECONDS),
        ("profile:Ada", "20", 1.0, SECONDS),
    ]
    assert kinds == ["thumb", "thumb", "profile", "profile"]
    assert list(new.users.ids) == ["a", "b", "new", "profile:Ada"]
    assert new.user_frame["age"].tolist()[3] == 36
    assert new.user_frame["gender"].isna().tolist() == [False, True, True, False]
    assert list(new.user_frame.columns) == list(old.user_frame.columns)
    assert (report.rows_read, report.rows_kept, report.dropped) == (7, 7, ())
    assert (report.users, report.scale, report.source) == (4, WHOLE_STARS, new.source)
    assert (new.name, new.source) == ("mine", "small, joined with feedback")
    assert new.fingerprint != old.fingerprint
    assert len(old.user_frame) == 2  # the caller's own is as it was
    assert rows_of(old) == rows_of(small())


def test_what_cannot_join_is_counted_with_its_number():
    thumbs = [
        thumb(1, "a", "10"), thumb(2, "b", "20"), thumb(3, "a", "99"), thumb(4, "x\ny", "10"),
        thumb(5, "profile:Ada", "10"), thumb(6, "b", "30"),
    ]  # fmt: skip
    people = [profile(9, "Ada", {"10": 5.0, "20": 4.5, "77": 3.0, "30": 1.0})]
    new, report, kinds = joined(small(), thumbs, people, "mine", STARS)
    dropped = {rows.reason: (rows.count, rows.first_lines) for rows in report.dropped}
    assert dropped == {
        "thumb: the user has rated the movie": (2, (1, 2)),
        "thumb: unknown movie": (1, (3,)),
        "thumb: bad id (line break, control character or over 255 characters)": (1, (4,)),
        "profile: the user has rated the movie": (1, (9,)),
        "profile: rating off the scale 1 to 5": (1, (9,)),
        "profile: unknown movie": (1, (9,)),
    }
    assert kinds == ["thumb", "thumb", "profile"]
    assert report.rows_dropped == 7
    assert [row[:3] for row in rows_of(new)[3:]] == [
        ("profile:Ada", "10", 4.0), ("b", "30", 4.0), ("profile:Ada", "30", 1.0),
    ]  # fmt: skip
    assert list(new.users.ids) == ["a", "b", "profile:Ada"]  # nobody without a rating


def test_without_times_there_are_none_afterwards():
    new, report, _ = joined(small(times=False), [thumb(1, "a", "30")], [], "mine", STARS)
    assert new.ratings.timestamp is None
    assert report.last_rating is None


def test_nothing_to_join_is_an_error_that_says_why():
    with pytest.raises(EmptyDataError, match="no thumb and no named profile"):
        joined(small(), [], [], "mine", STARS)
    with pytest.raises(EmptyDataError, match="1 thumb: the user has rated the movie"):
        joined(small(), [thumb(1, "a", "10")], [], "mine", STARS)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(WHOLE_STARS, (4, 2)), (HALF_STARS, (4, 1.5)), (RatingScale(1, 10, 1), (8, 3)),
     (RatingScale(0, 1, 1), (1, 0)), (RatingScale(-10, 10, 0.25), (6, -6))],
)  # fmt: skip
def test_a_thumb_stands_for_levels_of_the_scale(scale, expected):
    assert thumb_stars(scale) == expected


@pytest.mark.parametrize("given", [(4.5, None), (6, None), (float("nan"), None), (None, 4), (2, 3)])
def test_a_thumb_cannot_stand_for_anything(given):
    with pytest.raises(FormatError, match=r"stars are not on the scale|must be more than"):
        thumb_stars(WHOLE_STARS, *given)


@pytest.fixture
def store(settings: Settings, database_url: str):
    with open_store(with_url(settings, database_url)) as opened:
        yield opened


def with_url(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"database_url": url or None})


def give(store: Store, dataset: str) -> None:
    for movie in ("m0", "m1", "m2"):
        for user in ("u0", "newcomer"):
            store.feedback.add(
                version="v1.0.0",
                dataset=dataset,
                user_id=user,
                movie_id=movie,
                is_liked=True,
                at=AT,
            )
    store.feedback.add(
        version="v1.0.0", dataset="other", user_id="u0", movie_id="m3", is_liked=True
    )
    store.profiles.save("Ada", dataset, {"m4": 5.0, "m5": 1.0}, {"age": 36, "gender": "F"})


def test_a_joined_data_set_comes_back_from_the_database_as_it_was_made(
    store: Store, settings: Settings, database_url: str
):
    old = make_dataset(times := 30, 12, seed=3)
    record = add_dataset(store, replace(old, name="tiny"))
    give(store, record.fingerprint)
    settings = with_url(settings, database_url)
    found = join_feedback(settings, "tiny", liked=5.0)
    made = found.imported.record
    assert (made.name, found.imported.already_there) == ("tiny+thumbs", False)
    loaded = store.datasets.load("tiny+thumbs")
    assert loaded.fingerprint == made.fingerprint
    assert fingerprint_of(loaded.users, loaded.movies, loaded.ratings) == made.fingerprint
    assert (found.profile_ratings, found.new_users) == (2, 2)
    assert made.n_ratings == record.n_ratings + found.thumbs + 2
    assert found.thumbs + sum(rows.count for rows in found.imported.report.dropped) == 6
    assert set(loaded.ratings.rating[record.n_ratings :].tolist()) == {5.0, 1.0}
    assert loaded.user_frame["age"].tolist()[times + 1] == 36
    again = join_feedback(settings, "tiny", "another name", liked=5.0)
    assert again.imported.already_there
    assert again.imported.record.name == "tiny+thumbs"
    without = join_feedback(settings, "tiny", profiles=False)
    assert (without.imported.record.name, without.profile_ratings) == ("tiny+thumbs-2", 0)
    assert store.datasets.load("tiny").fingerprint == record.fingerprint
    with pytest.raises(EmptyDataError):
        join_feedback(settings, "tiny+thumbs")  # its own feedback is none yet


@pytest.mark.parametrize("name", ["", "a/b", "x" * 65, "tiny"])
def test_a_bad_or_taken_name_leaves_everything_as_it_was(settings: Settings, name: str):
    with open_store(settings) as store:
        record = add_dataset(store, replace(make_dataset(20, 12), name="tiny"))
        give(store, record.fingerprint)
        with pytest.raises(DataError, match=r"cannot be the name|already is a data set"):
            join_feedback(settings, "tiny", name)
        assert store.datasets.list() == [record]


def test_a_free_name_is_short_enough_and_not_taken(settings: Settings):
    with open_store(settings) as store:
        add_dataset(store, replace(make_dataset(20, 12), name="x" * 64))
        assert free_name(store, "x" * 64) == "x" * 53 + "+thumbs"
        for seed, name in ((1, "tiny+thumbs"), (2, "tiny+thumbs-2")):
            add_dataset(store, replace(make_dataset(20, 12, seed=seed), name=name))
        assert free_name(store, "tiny") == "tiny+thumbs-3"
        assert free_name(store, "tiny+thumbs") == "tiny+thumbs-3"
