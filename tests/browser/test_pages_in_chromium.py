"""What only a browser shows: text as text, links that keep their state, live runs, no internet."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from movierec.store import Store, VersionRecord
from tests.browser.conftest import Watched
from tests.support import states

pytestmark = pytest.mark.browser

LOOKS = [("light", 1400), ("dark", 1400), ("light", 420), ("dark", 420)]
ROW_HEIGHT = 35  # pixels, of Streamlit's tables
FOREIGN = "<b>x</b> **y** $a$ $b$ :smile: :material/home: :red[z] [l](http://x) `c` # h"


@pytest.fixture(scope="module", autouse=True)
def version(store: Store) -> VersionRecord:
    """A data set with titles of all kinds, a current version, and a run that failed."""
    data = states.add_dataset(store)
    states.add_failed(store, data.name, error=FOREIGN)
    return states.add_version(store, data)


@pytest.mark.parametrize("watched", LOOKS, indirect=True, ids=lambda look: f"{look[0]}-{look[1]}")
def test_full_pages_fit_and_stay_quiet(watched: Watched) -> None:
    for path, n_charts in (("", 3), ("Data", 4), ("Data?view=Movies&movie=m0", 1)):
        watched.open(path)
        expect(watched.page.get_by_test_id("stPlotlyChart")).to_have_count(n_charts)
        expect(watched.page.locator(".js-plotly-plot").first).to_be_visible()
        fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert watched.page.evaluate(fits)
        watched.check()


def test_foreign_text_is_shown_as_it_is(watched: Watched) -> None:
    watched.open()
    alert = watched.page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("failed")
    assert FOREIGN in alert.inner_text().replace("\u2060", "")
    for number, title in enumerate(states.NASTY):
        watched.open(f"Data?view=Movies&movie=m{number}")
        expect(watched.page.locator("h2.mr-section")).to_contain_text(title)
    assert watched.page.title() == "Data · movierec"
    watched.check()


def test_a_row_opens_a_movie_and_its_address_can_be_shared(watched: Watched) -> None:
    page = watched.page
    watched.open()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Data").click()
    page.get_by_role("tab", name="Movies").click()
    expect(page).to_have_url(re.compile("view=Movies"))
    page.get_by_label("Search titles").fill("bold")
    expect(page.get_by_text("1 of 40 movies")).to_be_visible()
    table = page.get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 1.5 * ROW_HEIGHT)  # rows are drawn on a canvas
    expect(page.locator("h2.mr-section")).to_contain_text("**bold** _it_")
    expect(page).to_have_url(re.compile("movie=m1"))
    shared = page.url
    page.goto("about:blank")
    page.goto(shared)
    expect(page.locator("h2.mr-section")).to_contain_text("**bold** _it_")
    expect(page.get_by_label("Search titles")).to_have_value("bold")
    watched.check()


def test_everything_is_reached_by_tab_and_nothing_holds_it(watched: Watched) -> None:
    watched.open()
    expect(watched.page.locator(".js-plotly-plot")).to_have_count(3)
    reached = []
    for _ in range(40):
        watched.page.keyboard.press("Tab")
        reached.append(watched.page.evaluate("document.activeElement.innerText"))
    told = "\n".join(reached)
    for name in ("Home", "Data", "Look at the data", "Train the report preset", "NDCG@10"):
        assert name in told
    assert len(set(reached)) > 8
    watched.check()


def test_a_live_run_draws_itself_and_hands_over_when_it_ends(
    store: Store, version: VersionRecord, watched: Watched
) -> None:
    run = states.add_running(store, version.dataset_name, n_epochs=2)
    page = watched.page
    page.goto(watched.address)
    expect(page.get_by_text("at epoch 2 of 2, best so far")).to_be_visible()
    store.runs.add_epoch(run.id, states.epochs()[2])
    store.runs.beat(run.id, progress=0.5, stage="epoch 3 of 20")
    expect(page.get_by_text("at epoch 3 of 3, best so far")).to_be_visible()
    expect(page.get_by_test_id("stProgress")).to_contain_text("50")
    page.get_by_role("button", name=f"Cancel run {run.id}").click()
    expect(page.get_by_role("button", name=f"Stopping run {run.id}")).to_be_disabled()
    assert store.runs.cancel_requested(run.id)
    store.runs.finish(run.id, "cancelled")
    expect(page.get_by_test_id("stProgress")).to_have_count(0)
    ended = re.compile(rf"{run.id} · .* cancelled")
    expect(page.get_by_role("row", name=ended)).to_be_visible()
    watched.check()
