"""Training from the browser on real data: start, watch, reload, second tab, cancel, resume."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Locator, Page, expect

from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import RunRecord, Store
from movierec.workflows.data import fetch_and_import
from tests.browser.conftest import Watched

pytestmark = [
    pytest.mark.browser,
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
]

STARTS_MS = 180_000  # until the first epochs show: a process has to start and load torch
ENDS_MS = 900_000
UPDATES = 3
SEEN = re.compile(r"at epoch \d+ of (\d+), best so far")


@pytest.fixture(scope="module", autouse=True)
def _data(settings: Settings) -> None:
    fetch_and_import(settings, "ml-100k")


def fill(page: Page, label: str, value: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Enter")
    expect(page.get_by_text(re.compile(r"^● default: "))).not_to_have_count(0)


def form(watched: Watched, epochs: int) -> None:
    watched.open("Train")
    expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
    fill(watched.page, "Hidden dim (numbers)", "16")
    fill(watched.page, "Learning rate", "0.012")
    fill(watched.page, "Epochs (passes)", str(epochs))
    expect(watched.page.get_by_text(re.compile(r"^● default: "))).to_have_count(3)


def train(watched: Watched, store: Store, epochs: int) -> RunRecord:
    form(watched, epochs)
    watched.page.get_by_role("button", name="Train", exact=False).last.click()
    expect(watched.page.get_by_role("button", name=re.compile("^Cancel run"))).to_be_visible()
    run = store.runs.latest()
    assert run is not None
    return run


def epochs_seen(page: Page) -> int:
    found = SEEN.search(page.get_by_text(SEEN).first.inner_text())
    return int(found.group(1)) if found else 0


def updates(page: Page) -> list[int]:
    """Return how many epochs the live title told of, each time it changed."""
    title = page.get_by_text(SEEN).first
    expect(title).to_be_visible(timeout=STARTS_MS)
    seen = [epochs_seen(page)]
    while len(seen) <= UPDATES:
        expect(title).not_to_contain_text(f"of {seen[-1]}, best", timeout=STARTS_MS)
        seen.append(epochs_seen(page))
    return seen


def going(page: Page, run: RunRecord) -> Locator:
    """The button of a run that goes on or has not stopped yet."""
    return page.get_by_role("button", name=re.compile(rf"^(Cancel|Stopping) run {run.id}\b"))


def until_cancelled(store: Store, run: RunRecord) -> None:
    deadline = time.monotonic() + STARTS_MS / 1000
    while store.runs.get(run.id).state != "cancelled":
        assert time.monotonic() < deadline, store.runs.get(run.id).state
        time.sleep(0.1)


def plot(page: Page) -> Locator:
    return page.locator(".mr-live.js-plotly-plot").first


def shown_range(page: Page) -> list[float]:
    found: list[float] = plot(page).evaluate("(p) => p._fullLayout.xaxis.range.slice()")
    return found


def test_train_watch_reload_second_tab_finish(
    settings: Settings, store: Store, watched: Watched
) -> None:
    page = watched.page
    run = train(watched, store, epochs=60)
    assert run.request["hyperparameters"] == {
        "hidden_dim": 16, "learning_rate": 0.012, "epochs": 60,
    }  # fmt: skip
    assert "default-hidden_dim=16" in page.url

    seen = updates(page)
    assert seen == sorted(set(seen))

    page.reload()
    expect(page.get_by_label("Hidden dim (numbers)", exact=True)).to_have_value("16")
    expect(page.get_by_text(SEEN).first).to_be_visible(timeout=STARTS_MS)
    assert epochs_seen(page) >= seen[-1]

    second = page.context.new_page()
    second.goto(page.url)
    expect(second.get_by_text(SEEN).first).to_be_visible(timeout=STARTS_MS)
    second.close()

    expect(page.get_by_text("is trained:")).to_be_visible(timeout=ENDS_MS)
    version = store.runs.get(run.id).version
    assert version is not None
    assert [each.name for each in Registry(settings, store).list()] == [version]
    page.get_by_role("tab", name="Runs").click()
    page.get_by_text("Run in detail").wait_for()
    watched.open(f"Train?view=Runs&run={run.id}")
    expect(page.get_by_text(f"{version} is the current version.")).to_be_visible()
    watched.check()


def test_a_live_curve_keeps_its_zoom(store: Store, watched: Watched) -> None:
    page = watched.page
    run = train(watched, store, epochs=2000)
    expect(plot(page)).to_be_visible(timeout=STARTS_MS)
    seen = updates(page)
    plot(page).evaluate("(p) => window.Plotly.relayout(p, {'xaxis.range': [1.5, 3.5]})")
    title = page.get_by_text(SEEN).first
    expect(title).not_to_contain_text(f"of {seen[-1]}, best", timeout=STARTS_MS)
    later = epochs_seen(page)
    expect(title).not_to_contain_text(f"of {later}, best", timeout=STARTS_MS)
    assert shown_range(page) == [1.5, 3.5]
    points = plot(page).evaluate("(p) => p.data[0].x.length ?? p._fullData[0].x.length")
    assert points > seen[-1]

    other = page.context.new_page()
    other.goto(f"{watched.address}/Train")
    other.get_by_role("button", name=f"Cancel run {run.id}").click()
    until_cancelled(store, run)
    expect(going(page, run)).to_have_count(0, timeout=STARTS_MS)
    other.goto(f"{watched.address}/Train?view=Runs&run={run.id}")
    resume = other.get_by_role("button", name=f"Resume run {run.id} from its last checkpoint")
    resume.click()
    expect(other.get_by_role("button", name=f"Cancel run {run.id}").first).to_be_visible()
    other.get_by_role("button", name=f"Cancel run {run.id}").first.click()
    until_cancelled(store, run)
    expect(going(other, run)).to_have_count(0, timeout=STARTS_MS)
    other.close()
    watched.check()


def test_what_cannot_be_says_why_beside_the_field(watched: Watched) -> None:
    page = watched.page
    watched.open("Train?preset=report")
    page.get_by_text("more hyperparameters").click()
    page.get_by_label("Ranking weight", exact=True).fill("2")
    page.get_by_label("Ranking weight", exact=True).press("Enter")
    page.get_by_role("combobox", name="Loss type").click()
    page.get_by_role("option", name="bpr").click()
    expect(page.get_by_text("loss_type bpr already ranks")).to_have_count(2)
    expect(page.get_by_role("button", name="Train (something is wrong)")).to_be_disabled()
    watched.check()
