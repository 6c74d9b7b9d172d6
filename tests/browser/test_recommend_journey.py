"""Recommending in a real browser, on real data: a user, why, a newcomer, a movie, the map."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from movierec.inference import load_version
from movierec.settings import Settings
from movierec.store import Store
from movierec.workflows.data import fetch_and_import
from tests.browser.conftest import Watched
from tests.support import states
from tests.support.project import train_version

pytestmark = [
    pytest.mark.browser,
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]

LOOKS = [("light", 1400), ("dark", 420)]
CARD = '[class*="st-key-card-"]'


@pytest.fixture(scope="module", autouse=True)
def _versions(settings: Settings) -> None:
    """v1.0.0 a GraphSAGE of two epochs, v1.1.0 ease. No test looks at how good they are."""
    fetch_and_import(settings, "ml-100k")
    train_version(settings, "default", hyperparameters={"epochs": 2})
    train_version(settings, "ease")


@pytest.mark.parametrize("watched", LOOKS, indirect=True, ids=lambda look: f"{look[0]}-{look[1]}")
def test_every_view_fits_and_stays_quiet(watched: Watched) -> None:
    both = "version=v1.0.0&beside=v1.1.0&user=196&movie=50&rated=50:5,181:4"
    for view, n_charts in (("User", 0), ("Newcomer", 0), ("Movie", 2), ("Map", 1), ("Feedback", 0)):
        watched.open(f"Recommend?{both}&view={view}")
        expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
        expect(watched.page.locator(".js-plotly-plot")).to_have_count(n_charts)
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert watched.page.evaluate(wide), view
        watched.check()


def test_a_known_user_is_looked_at_and_a_movie_is_explained(
    settings: Settings, store: Store, watched: Watched, tmp_path: Path
) -> None:
    page = watched.page
    watched.open("Recommend")
    box = page.get_by_role("combobox", name="User")
    box.fill("196")
    box.press("Enter")
    expect(page).to_have_url(re.compile("user=196"))
    loaded = load_version("v1.0.0", settings)
    lines = loaded.recommend("196", 10)
    expect(page.get_by_role("heading", level=1)).to_contain_text("User 196 would get")
    expect(page.locator(CARD)).to_have_count(10)
    expect(page.locator(CARD).first).to_contain_text(lines[0].title)
    page.get_by_text("Why number 1?").click()
    found = loaded.explain("196", lines[0].movie_id)
    expect(page.get_by_text(found.sentence)).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download v1.0.0's list").click()
    download.value.save_as(tmp_path / "list.csv")
    with (tmp_path / "list.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["movie_id"] for row in rows] == [line.movie_id for line in lines]
    assert {row["version"] for row in rows} == {"v1.0.0"}
    watched.check()


def test_a_thumb_by_keyboard_is_kept(store: Store, watched: Watched) -> None:
    page = watched.page
    watched.open("Recommend?user=7&version=v1.0.0")
    up = page.locator(CARD).first.get_by_role("radio", name="Thumbs up")
    up.focus()
    up.press("Enter")
    expect(up).to_be_checked()
    watched.settle()
    data = store.datasets.get("ml-100k")
    (kept,) = store.feedback.of_user(data.fingerprint, "7")
    assert (kept.version, kept.rank, kept.source) == ("v1.0.0", 1, "page")
    watched.check()


def test_a_newcomer_rates_by_keyboard_and_both_lists_change(
    settings: Settings, watched: Watched
) -> None:
    page = watched.page
    watched.open("Recommend?view=Newcomer&version=v1.0.0&beside=v1.1.0")
    box = page.get_by_label("Search a movie to rate")
    box.fill("star wars")
    add = page.get_by_role("button", name="Star Wars (1977)")
    add.focus()
    add.press("Enter")
    expect(page).to_have_url(re.compile("rated=50"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("one rating")
    stars = page.get_by_role("radiogroup", name="Stars for Star Wars")
    stars.get_by_role("radio", name="5").focus()
    stars.get_by_role("radio", name="5").press("Home")
    stars.get_by_role("radio", name="1").press("Enter")
    expect(page).to_have_url(re.compile("rated=50%3A1|rated=50:1"))
    watched.settle()
    for name in ("v1.0.0", "v1.1.0"):
        lines = load_version(name, settings).recommend_for_new_user({"50": 1.0}, k=10)
        cards = page.locator(f'[class*="st-key-card-newcomer-{name.replace(".", "-")}"]')
        expect(cards).to_have_count(10)
        expect(cards.first).to_contain_text(lines[0].title)
    watched.check()


def test_similar_movies_are_found_by_a_title(settings: Settings, watched: Watched) -> None:
    page = watched.page
    watched.open("Recommend?view=Movie&version=v1.0.0&beside=v1.1.0")
    page.get_by_label("Search titles").fill("fargo")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Fargo (1996)")
    for name in ("v1.0.0", "v1.1.0"):
        first = load_version(name, settings).similar("100", 1)[0]
        expect(page.get_by_role("table", name=f"Movies most alike to {name}")).to_contain_text(
            first.title
        )
    watched.check()


def test_a_lasso_on_the_map_lists_its_movies(watched: Watched) -> None:
    page = watched.page
    watched.open("Recommend?view=Map&version=v1.0.0&user=196")
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    expect(plot).to_be_visible()
    box = plot.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    corners = ((-150, -150), (150, -150), (150, 150), (-150, 150), (-150, -150))
    page.mouse.move(middle[0] + corners[0][0], middle[1] + corners[0][1])
    page.mouse.down()
    for dx, dy in corners[1:]:
        page.mouse.move(middle[0] + dx, middle[1] + dy, steps=8)
    page.mouse.up()
    expect(page.get_by_role("heading", name=re.compile(r"\d+ selected"))).to_be_visible()
    expect(page.get_by_role("table", name="Movies selected on the map")).to_be_visible()
    watched.check()


def test_foreign_titles_are_shown_as_they_are(
    settings: Settings, store: Store, watched: Watched
) -> None:
    data = states.named(states.nasty_dataset(), "nasty")
    states.add_dataset(store, data)
    name = train_version(settings, "ease", dataset="nasty").name
    first = data.movies.ids[0]
    for view in ("User", "Newcomer", "Movie", "Map"):
        watched.open(f"Recommend?version={name}&view={view}&rated={first}:4&movie={first}")
        expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
        assert watched.page.title() == "Recommend · movierec"
        watched.check()
    watched.open(f"Recommend?version={name}&view=Newcomer&rated={first}:4")
    shown = watched.page.get_by_test_id("stMain").inner_text()
    assert any(title in shown for title in states.NASTY)
