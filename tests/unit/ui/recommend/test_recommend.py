"""The Recommend page on small versions that are really trained, run by Streamlit's own AppTest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from movierec.inference import load_version
from movierec.settings import Settings
from movierec.store import Store, open_store
from tests.support import states
from tests.support.pages import alts_of, labels, opened_page, shown

PAGE = "pages/Recommend.py"


@pytest.fixture
def store(trained: Settings) -> Iterator[Store]:
    with open_store(trained) as opened:
        yield opened


def click(at: Any, key: str) -> Any:
    at.button(key=key).click().run()
    assert not at.exception, at.exception[0].stack_trace
    return at


def opened(**query: str) -> Any:
    return opened_page(PAGE, **query)


def movies_on(at: Any) -> list[str]:
    return [
        part.split('<p class="mr-name">')[1].split("<")[0].strip()
        for part in (element.proto.body for element in at.get("html"))
        if 'class="mr-movie"' in part
    ]


def test_without_data_it_leads_to_data(settings: Settings) -> None:
    assert labels(opened()) == ["Fetch MovieLens 100K"]


def test_without_versions_it_leads_on(settings: Settings) -> None:
    with states.opened(settings) as store:
        states.add_dataset(store)
    at = opened()
    assert "Nothing recommends yet" in shown(at)
    assert "Train the first one on Home" in [link.proto.label for link in at.get("page_link")]


def test_the_address_opens_a_user_and_a_version(trained: Settings) -> None:
    at = opened(user="u7", version="v1.2.0")
    lines = load_version("v1.2.0", trained).recommend("u7", 10)
    assert movies_on(at) == [line.title for line in lines]
    assert f"User u7 would get {lines[0].title} first" in shown(at)
    assert at.query_params["user"] == "u7"
    assert at.query_params["version"] == "v1.2.0"


def test_the_current_version_and_somebody_busy_come_first(store: Store) -> None:
    at = opened()
    assert at.query_params["version"] == "v1.0.0"
    assert at.selectbox(key="user").value in [f"u{i}" for i in range(40)]
    assert len(movies_on(at)) == 10


def test_hits_are_those_of_the_held_out_part(trained: Settings) -> None:
    loaded = load_version("v1.0.0", trained)
    from movierec.inference.user_profile import profile

    hits = 0
    for user in ("u2", "u5", "u9"):
        held = profile(loaded, user).held_out
        expected = [line for line in loaded.recommend(user, 10) if line.movie_id in held]
        at = opened(user=user)
        assert shown(at).count("gave it") == len(expected)
        hits += len(expected)
    assert hits


def test_an_unknown_user_gets_the_most_popular_movies_and_is_told(store: Store) -> None:
    at = opened(user="nobody<b>")
    assert "nobody&lt;b&gt; is not in the data" in shown(at)
    assert "these are the most popular movies" in shown(at)


def test_a_version_that_is_not_there_is_said(store: Store) -> None:
    at = opened(version="v9.9.9")
    assert "There is no v9.9.9 here" in shown(at)
    assert at.selectbox(key="version").value == "v1.0.0"


def test_two_versions_stand_side_by_side(trained: Settings) -> None:
    at = opened(user="u7", version="v1.0.0", beside="v1.3.0")
    both = [load_version(name, trained).recommend("u7", 10) for name in ("v1.0.0", "v1.3.0")]
    assert movies_on(at) == [line.title for lines in both for line in lines]
    at.selectbox(key="version").set_value("v1.3.0").run()
    assert at.multiselect(key="beside").value == []


def test_order_diversity_filters_and_length_reach_the_list(trained: Settings) -> None:
    from movierec.inference import Filters

    at = opened(user="u7")
    at.segmented_control(key="u-by").set_value("Predicted rating").run()
    at.slider(key="u-diversity").set_value(0.4).run()
    at.multiselect(key="u-genre").set_value(["Drama"]).run()
    at.toggle(key="u-seen").set_value(True).run()
    at.selectbox(key="u-k").set_value(5).run()
    lines = load_version("v1.0.0", trained).recommend(
        "u7", 5, by="rating", diversity=0.4, filters=Filters(genres=("Drama",)), exclude_seen=False
    )
    assert movies_on(at) == [line.title for line in lines]
    assert "Filters (1)" in [each.proto.popover.label for each in at.get("popover")]


def test_a_list_may_be_a_table(store: Store) -> None:
    at = opened(user="u7")
    at.segmented_control(key="u-look").set_value("Table").run()
    assert movies_on(at) == []
    assert "What v1.0.0 recommends" in shown(at)


def test_why_names_the_ratings_that_carry_a_movie(trained: Settings) -> None:
    loaded = load_version("v1.0.0", trained)
    found = loaded.explain("u7", loaded.recommend("u7", 1)[0].movie_id)
    at = opened(user="u7")
    key = f"why-u-u7-v1.0.0-{found.movie_id}"
    at.session_state[key] = True
    at.run()
    assert not at.exception
    text = shown(at)
    assert found.sentence in text
    for cause in (*found.causes, *found.against):
        assert cause.title in text


def test_a_thumb_is_kept_changed_and_taken_back(trained: Settings, store: Store) -> None:
    first = load_version("v1.0.0", trained).recommend("u7", 1)[0]
    at = opened(user="u7")
    fingerprint = store.datasets.get("tiny").fingerprint
    thumb = at.feedback(key=f"thumb-u-u7-v1.0.0-{first.movie_id}")
    for value, kept in ((1, [True]), (0, [False]), (None, [])):
        thumb.set_value(value).run()
        assert not at.exception
        thumbs = store.feedback.of_user(fingerprint, "u7")
        assert [each.is_liked for each in thumbs] == kept
    thumb.set_value(1).run()
    (thumb_kept,) = store.feedback.of_user(fingerprint, "u7")
    assert (thumb_kept.version, thumb_kept.rank, thumb_kept.source) == ("v1.0.0", 1, "page")
    again = opened(user="u7")
    assert again.feedback(key=f"thumb-u-u7-v1.0.0-{first.movie_id}").value == 1


def test_a_list_is_counted_once_however_often_it_is_drawn(store: Store) -> None:
    at = opened(user="u7")
    at.run()
    at.run()
    assert [each.lists for each in store.served.by_day()] == [1]
    at.selectbox(key="user").set_value("u8").run()
    assert [each.lists for each in store.served.by_day()] == [2]


def test_random_users_and_hard_cases_can_be_chosen(store: Store) -> None:
    at = opened(user="u7")
    hard = next(button for button in at.button if str(button.key).startswith("hard-"))
    click(at, hard.key)
    assert at.query_params["user"] == hard.key.removeprefix("hard-")
    at.button[0].click().run()
    assert at.selectbox(key="user").value.startswith("u")


def test_what_is_known_of_a_user_is_drawn_when_it_is_opened(store: Store) -> None:
    assert len(alts_of(opened(user="u7"))) == 0
    at = opened(user="u7", known="true")
    assert len(alts_of(at)) == 2
    assert "Rated, newest first" in shown(at)


def test_a_newcomer_rates_and_the_list_changes(trained: Settings) -> None:
    at = opened(view="Newcomer")
    loaded = load_version("v1.0.0", trained)
    assert movies_on(at) == [line.title for line in loaded.recommend_for_new_user({}, k=10)]
    at.text_input(key="nq").set_value("movie 7").run()
    click(at, "add-m7")
    assert at.query_params["rated"] == "m7:5"
    at.segmented_control(key="stars-m7").set_value(1.0).run()
    assert at.query_params["rated"] == "m7:1"
    wanted = loaded.recommend_for_new_user({"m7": 1.0}, k=10)
    assert movies_on(at) == [line.title for line in wanted]
    click(at, "remove-m7")
    assert "rated" not in at.query_params


def test_a_newcomers_address_is_read_and_nonsense_in_it_is_left_out(trained: Settings) -> None:
    at = opened(view="Newcomer", rated="m7:4,m99:3,m3:9,m4:nan,m5:1e400,junk,m6:2")
    assert at.query_params["rated"] == "m7:4,m6:2"
    lines = load_version("v1.0.0", trained).recommend_for_new_user({"m7": 4.0, "m6": 2.0}, k=10)
    assert movies_on(at) == [line.title for line in lines]


def test_a_newcomer_is_kept_taken_up_and_deleted(store: Store) -> None:
    at = opened(view="Newcomer", rated="m7:4,m6:2", age="30")
    at.text_input(key="profile-name").set_value("Ada")
    next(b for b in at.button if b.label == "Keep").click().run()
    assert not at.exception
    (kept,) = store.profiles.list(store.datasets.get("tiny").fingerprint)
    assert (kept.name, kept.ratings, kept.features) == ("Ada", {"m7": 4.0, "m6": 2.0}, {"age": 30})
    at = opened(view="Newcomer")
    assert movies_on(at)
    click(at, f"load-{kept.id}")
    assert at.query_params["rated"] == "m7:4,m6:2"
    assert at.number_input(key="age").value == 30
    click(at, f"forget-{kept.id}")
    assert store.profiles.list(kept.fingerprint) == []


def test_a_version_that_must_train_again_for_newcomers_says_so(store: Store) -> None:
    at = opened(view="Newcomer", version="v1.3.0", rated="m7:4")
    assert "must be trained again" not in shown(at)


def test_a_movie_is_found_and_drawn_with_what_is_like_it(trained: Settings) -> None:
    at = opened(view="Movie", movie="m7", beside="v1.3.0")
    text = shown(at)
    assert "Movie 7" in text
    for name in ("v1.0.0", "v1.3.0"):
        for line in load_version(name, trained).similar("m7", 10):
            assert f"{line.rank}. {line.title}" in text
    assert len(alts_of(at)) == 2
    at.text_input(key="mq").set_value("movie 12").run()
    assert at.query_params["movie"] == "m12"


def test_the_map_marks_the_user_and_lists_what_is_selected(store: Store) -> None:
    at = opened(view="Map", user="u7")
    assert len(alts_of(at)) == 1
    assert "Nothing is selected" in shown(at)


def test_thumbs_are_told_of_the_versions_side_by_side(trained: Settings, store: Store) -> None:
    assert "What people said of the lists" in shown(opened(view="Feedback"))
    fingerprint = store.datasets.get("tiny").fingerprint
    for place in range(12):
        store.feedback.add(
            version=("v1.0.0", "v1.3.0", "v1.4.0")[place % 3], dataset=fingerprint,
            user_id=f"u{place}", movie_id="m1", is_liked=place % 2 == 0,
        )  # fmt: skip
    every = shown(opened(view="Feedback"))
    assert "v1.4.0" in every
    two = opened(view="Feedback", version="v1.0.0", beside="v1.3.0")
    assert "v1.3.0" in shown(two)
    assert ">v1.4.0<" not in shown(two)
    assert any(label.startswith("Join 12 thumbs") for label in labels(two))


def test_looking_at_recommendations_loads_no_torch(trained: Settings) -> None:
    code = (
        "import sys\n"
        "from tests.support.pages import opened_page\n"
        "for view in ('User', 'Newcomer', 'Movie', 'Map', 'Feedback'):\n"
        f"    opened_page({PAGE!r}, view=view, user='u7', rated='m7:4', beside='v1.3.0')\n"
        "found = {'torch', 'surprise', 'sklearn'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    environment = {**__import__("os").environ, "MOVIEREC_HOME": str(trained.home)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
