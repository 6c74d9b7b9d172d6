"""What people say of lists, on the Compare page: empty, full, and joined to train on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from movierec.settings import Settings
from movierec.store import Store, open_store
from tests.support.pages import alts_of, charts_of, drawn, labels, opened_page, shown

PAGE = "pages/Compare.py"
VERSIONS = ["v1.0.0", "v1.2.0"]


@pytest.fixture
def store(trained: Settings) -> Iterator[Store]:
    with open_store(trained) as opened:
        yield opened


def opened_view(versions: list[str] | None = None) -> Any:
    return opened_page(PAGE, versions=versions or VERSIONS, baseline="v1.0.0", view="Online")


def give(store: Store, version: str, liked: int, of: int, *, users: int = 12) -> None:
    """Give thumbs as if to lists of a version, by users of its own."""
    data = store.versions.get(version).fingerprint
    for n in range(of):
        store.feedback.add(
            version=version, dataset=data, user_id=f"{version}-{n % users}",
            movie_id=f"m{n // users}", is_liked=n < liked, rank=1,
        )  # fmt: skip
    store.served.add({(version, "page"): 40, (version, "api"): 60})


def links(at: Any) -> dict[str, dict[str, list[str]]]:
    return {
        link.proto.label.replace("\\", ""): parse_qs(link.proto.query_string)
        for link in at.get("page_link")
    }


def test_without_a_thumb_it_says_how_one_is_given(store: Store) -> None:
    store.served.add({("v1.2.0", "api"): 7})
    at = opened_view()
    text = shown(at)
    assert "Nobody has given v1.0.0 or v1.2.0 a thumb yet" in text
    assert "7 lists were served so far" in text
    assert links(at)["Give thumbs on the Recommend page"] == {"version": ["v1.0.0"]}
    assert "There is no thumb and no named profile for tiny yet." in text
    assert not charts_of(at)


def test_versions_stand_side_by_side(store: Store) -> None:
    give(store, "v1.0.0", 12, 60)
    give(store, "v1.2.0", 48, 60)
    at = opened_view()
    text = shown(at)
    assert "v1.2.0 is liked more than v1.0.0: 80 % of 60 thumbs by 12 users are up" in text
    assert "against 20 % of 60 thumbs by 12 users (+60 points, 95 % interval " in text
    table = text[text.index("Thumbs by version") :]
    for cell in (">100<", ">60.0<", ">12<", "12 up", "48 up", "baseline", "▲"):
        assert cell in table
    (chart,) = charts_of(at)
    assert [trace["name"] for trace in chart["data"]] == VERSIONS
    assert [trace["y"] for trace in chart["data"]] == [[20.0], [80.0]]
    assert "v1.2.0" in alts_of(at)[0]


def test_one_of_several_versions_without_thumbs_is_said(store: Store) -> None:
    give(store, "v1.0.0", 3, 6)
    give(store, "v1.2.0", 3, 6)
    text = shown(opened_view(["v1.0.0", "v1.2.0", "v1.1.0"])).replace("&#x27;", "'")
    assert "v1.1.0 can't be compared with v1.0.0: no thumb for v1.1.0" in text
    assert "v1.2.0 can't be told apart from v1.0.0" in text


def test_thumbs_and_profiles_join_and_lead_to_training(store: Store) -> None:
    data = store.datasets.get()
    unrated = _unrated(store)
    for movie in unrated:
        store.feedback.add(
            version="v1.0.0", dataset=data.fingerprint, user_id="u0", movie_id=movie, is_liked=True
        )
    store.profiles.save("<b>Ada</b>", data.fingerprint, {"m1": 5.0, "m2": 1.0})
    at = opened_view()
    assert f"Join {len(unrated)} thumbs and 1 profile" in labels(at)
    name = at.text_input(key=f"join-name-{data.id}")
    assert name.value == "tiny+thumbs"
    name.set_value("mine")
    _button(at, "Join ").click().run()
    drawn(at)
    new = store.datasets.get("mine")
    assert new.n_ratings == data.n_ratings + len(unrated) + 2
    assert links(at)["Train on mine"] == {"train-data": ["mine"], "view": ["New run"]}
    asked = links(at)["Train on mine"]
    form = opened_page("pages/Train.py", **{key: value[0] for key, value in asked.items()})
    assert form.selectbox(key="train-data").value == "mine"


def test_a_name_that_is_taken_is_told_and_nothing_is_made(store: Store) -> None:
    data = store.datasets.get()
    store.profiles.save("Ada", data.fingerprint, {"m1": 5.0})
    at = opened_view()
    at.text_input(key=f"join-name-{data.id}").set_value("tiny")
    _button(at, "Join ").click().run()
    assert "already is a data set" in shown(drawn(at)).replace("\\", "")
    assert [record.name for record in store.datasets.list()] == ["tiny"]


def _button(at: Any, begins: str) -> Any:
    (found,) = [button for button in at.button if button.label.startswith(begins)]
    return found


def _unrated(store: Store) -> list[str]:
    data = store.datasets.load()
    rated = data.ratings.movie[data.ratings.user == data.users.index("u0")]
    return [movie for place, movie in enumerate(data.movies.ids) if place not in rated][:3]
