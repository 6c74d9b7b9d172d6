"""`movierec feedback` and `profiles`, and joins that are killed or happen side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from movierec.settings import Settings
from movierec.store import Store, open_store
from movierec.workflows.feedback import join_feedback
from tests.support.crash import killed_at, together
from tests.support.factories import make_dataset
from tests.support.project import movierec, one_line, train_version
from tests.support.states import add_dataset


@pytest.fixture
def store(trained: Settings) -> Iterator[Store]:
    with open_store(trained) as opened:
        yield opened


def unrated(store: Store, user: str) -> list[str]:
    data = store.datasets.load("tiny")
    rated = data.ratings.movie[data.ratings.user == data.users.index(user)]
    return [movie for place, movie in enumerate(data.movies.ids) if place not in rated]


def test_a_thumb_is_given_listed_and_taken_back(trained: Settings, store: Store) -> None:
    said = movierec(trained, "feedback", "add", "u1", "m3", "--liked", "--rank", 2)
    assert (said.code, said.err) == (0, "")
    assert "u1's thumb up on movie m3 counts for v1.0.0" in " ".join(said.out.split())
    movierec(trained, "feedback", "add", "[b]x[/b]", "m4", "--disliked", "--version", "v1.2.0")
    listed = movierec(trained, "feedback", "list", width=160).out
    for word in ("u1", "m3", "up", "down", "[b]x[/b]", "v1.2.0", "tiny", "cli"):
        assert word in listed
    facts = movierec(trained, "feedback", "list", "--user", "u1", "--json").facts
    assert [(f["movie_id"], f["is_liked"], f["rank"], f["source"]) for f in facts] == [
        ("m3", True, 2, "cli")
    ]
    newest = movierec(trained, "feedback", "list", "-n", 1, "--data", "tiny", "--json").facts
    assert [f["movie_id"] for f in newest] == ["m4"]
    only = movierec(trained, "feedback", "list", "--version", "v1.2.0", "--json").facts
    assert [f["user_id"] for f in only] == ["[b]x[/b]"]
    for there in (True, False):
        gone = movierec(trained, "feedback", "remove", "u1", "m3", "--json")
        assert (gone.code, gone.facts["removed"]) == (0, there)
    assert len(store.feedback.list()) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add", "u1", "m999", "--liked"), 4, "no movie 'm999'"),
        (("add", "", "m1", "--liked"), 3, "cannot be the id of a user"),
        (("add", "u1", "m1", "--liked", "--version", "v9.0.0"), 4, "v9.0.0"),
        (("add", "u1", "m1"), 2, "--liked"),
        (("list", "--data", "nope"), 4, "no data set 'nope'"),
        (("rates", "v9.0.0"), 4, "v9.0.0"),
        (("join",), 3, "there is no thumb and no named profile"),
        (("join", "--liked", "4.5"), 3, "not on the scale"),
        (("join", "--name", "a/b"), 3, "cannot be the name"),
    ],
)
def test_what_cannot_be_is_one_line(trained: Settings, words, code, said) -> None:
    found = movierec(trained, "feedback", *words)
    assert found.code == code
    assert said in one_line(found)


def test_rates_tell_versions_apart(trained: Settings, store: Store) -> None:
    data = store.datasets.get().fingerprint
    empty = movierec(trained, "feedback", "rates")
    assert "There is no thumb yet" in empty.out
    for n in range(60):
        for version, liked in (("v1.0.0", n < 15), ("v1.2.0", n < 45)):
            store.feedback.add(
                version=version, dataset=data, user_id=f"{version}/{n}", movie_id="m1",
                is_liked=liked,
            )  # fmt: skip
    store.served.add({("v1.0.0", "api"): 120})
    said = movierec(trained, "feedback", "rates", "v1.0.0", "v1.2.0", width=140)
    assert "v1.2.0 is liked more than v1.0.0: 75 % of 60" in " ".join(said.out.split())
    facts = movierec(trained, "feedback", "rates", "--baseline", "v1.2.0", "--json").facts
    assert [rate["version"] for rate in facts["rates"]] == ["v1.2.0", "v1.0.0"]
    assert [rate["lists"] for rate in facts["rates"]] == [0, 120]
    (gap,) = facts["gaps"]
    assert (gap["delta"], gap["verdict"]) == (-0.5, "worse")
    assert gap["low"] < -0.5 < gap["high"] < 0
    assert {period["thumbs"] for period in facts["periods"]} == {60}


def test_a_deleted_versions_thumbs_stay_and_count(trained: Settings, store: Store) -> None:
    movierec(trained, "feedback", "add", "u1", "m3", "--liked", "--version", "v1.3.0")
    assert movierec(trained, "versions", "delete", "v1.3.0", "--now", "--yes").code == 0
    facts = movierec(trained, "feedback", "rates", "v1.3.0", "--json").facts
    assert [(rate["thumbs"], rate["liked"]) for rate in facts["rates"]] == [(1, 1)]


def test_feedback_joins_and_a_version_trains_on_it(trained: Settings, store: Store) -> None:
    old = store.datasets.get("tiny")
    movies = unrated(store, "u0")
    for movie in movies[:3]:
        movierec(trained, "feedback", "add", "u0", movie, "--liked")
    ratings = trained.home / "own.csv"
    ratings.write_text("movieId,rating\nm1,5\nm2,1\n")
    assert movierec(trained, "profiles", "save", "Ada L.", ratings).code == 0
    said = movierec(trained, "feedback", "join", "tiny", "--name", "mine", "--json")
    assert (said.code, said.err) == (0, "")
    assert (said.facts["thumbs"], said.facts["profile_ratings"]) == (3, 2)
    assert said.facts["ratings"] == old.n_ratings + 5
    again = movierec(trained, "feedback", "join", "tiny", "--name", "again")
    assert "already, as 'mine'" in again.out
    version = train_version(trained, "biases", dataset="mine")
    assert version.fingerprint == said.facts["fingerprint"]
    lines = movierec(trained, "recommend", "--user", "profile:Ada L.", "--version", version.name,
                     "--json").facts  # fmt: skip
    assert lines["recommendations"][0]["reason"] == "known"


def test_profiles_are_kept_listed_shown_and_deleted(trained: Settings, store: Store) -> None:
    ratings = trained.home / "own.csv"
    ratings.write_text("movieId,rating\nm1,5\nm2,1\n")
    assert "no named profile for tiny" in movierec(trained, "profiles", "list").out
    assert movierec(trained, "profiles", "save", "[b]Ada", ratings).code == 0
    assert "[b]Ada" in movierec(trained, "profiles", "list").out
    shown = movierec(trained, "profiles", "show", "[b]Ada")
    assert "Movie 1" in shown.out
    facts = movierec(trained, "profiles", "show", "[b]Ada", "--json").facts
    assert facts["ratings"] == {"m1": 5.0, "m2": 1.0}
    asked = movierec(trained, "profiles", "delete", "[b]Ada")
    assert asked.code == 1
    assert store.profiles.list(store.datasets.get().fingerprint)
    assert movierec(trained, "profiles", "delete", "[b]Ada", "--yes").code == 0
    assert movierec(trained, "profiles", "list", "--json").facts == []
    assert "no profile" in one_line(movierec(trained, "profiles", "show", "[b]Ada"))
    assert "no name for a profile" in one_line(movierec(trained, "profiles", "save", " ", ratings))


@pytest.fixture
def with_feedback(settings: Settings) -> Settings:
    with open_store(settings) as store:
        record = add_dataset(store, replace(make_dataset(20, 12), name="tiny"))
        store.profiles.save("Ada", record.fingerprint, {"m1": 5.0, "m2": 1.0})
    return settings


def join_it(settings: Settings, name: str) -> None:
    join_feedback(settings, "tiny", name)


def test_a_killed_join_leaves_all_or_nothing(with_feedback: Settings) -> None:
    step, left = 0, set()
    while killed_at(step := step + 1, join_it, with_feedback, "mine"):
        assert step < 40, "it never finishes"
        with open_store(with_feedback) as store:
            for record in store.datasets.list():
                left.add((record.name, len(store.datasets.load(record.name).ratings)))
    with open_store(with_feedback) as store:
        old, new = store.datasets.get("tiny"), store.datasets.get("mine")
    assert left == {("tiny", old.n_ratings), ("mine", old.n_ratings + 2)}
    assert new.n_ratings == old.n_ratings + 2


def test_several_at_once_make_one_data_set(with_feedback: Settings) -> None:
    assert together(4, join_it, with_feedback, "mine") == [0, 0, 0, 0]
    with open_store(with_feedback) as store:
        assert sorted(record.name for record in store.datasets.list()) == ["mine", "tiny"]
