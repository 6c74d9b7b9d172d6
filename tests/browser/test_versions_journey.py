"""Comparing and keeping versions in a real browser, on real data: choose, look, decide, undo."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Download, Page, expect

from movierec.comparison.sentences import value_text
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import Store
from movierec.workflows.data import fetch_and_import
from tests.browser.conftest import Watched
from tests.support import states
from tests.support.project import end_processes, train_version

pytestmark = [
    pytest.mark.browser,
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]

LOOKS = [("light", 1400), ("dark", 1400), ("light", 420), ("dark", 420)]
MEASURED_MS = 300_000  # until a run has started, loaded what it needs and measured twice
OTHER_SPLIT = {"name": "random", "seed": 7}


@pytest.fixture(scope="module", autouse=True)
def _versions(settings: Settings) -> None:
    """Baselines, which take seconds: v1.0.0 biases, v1.1.0 svd, v1.2.0 ease, v1.3.0 another split.

    None of their tests looks at how good they are.
    """
    fetch_and_import(settings, "ml-100k")
    train_version(settings, "biases")
    train_version(settings, "svd")
    train_version(settings, "ease")
    train_version(settings, "biases", split=OTHER_SPLIT)


def heading(page: Page) -> str:
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page.get_by_role("heading", level=1).inner_text()


def fits(page: Page) -> bool:
    found: bool = page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return found


def downloaded(page: Page, label: str) -> Download:
    with page.expect_download() as found:
        page.get_by_role("button", name=label).click()
    return found.value


@pytest.mark.parametrize("watched", LOOKS, indirect=True, ids=lambda look: f"{look[0]}-{look[1]}")
def test_every_view_fits_and_stays_quiet(store: Store, watched: Watched) -> None:
    fingerprint = store.versions.get("v1.0.0").fingerprint
    for user, version in (("u1", "v1.0.0"), ("u2", "v1.1.0"), ("u3", "v1.1.0")):
        store.feedback.add(
            version=version, dataset=fingerprint, user_id=user, movie_id="m1", is_liked=user != "u3"
        )
    choice = "Compare?versions=v1.0.0&versions=v1.1.0&versions=v1.2.0&versions=v1.3.0"
    for view, n_charts in (
        ("Overview", 1),
        ("Groups", 1),
        ("Stars", 2),
        ("Lists", 2),
        ("Online", 1),
    ):
        watched.open(f"{choice}&view={view}")
        charts = watched.page.get_by_test_id("stPlotlyChart")
        expect(charts).to_have_count(n_charts)
        expect(watched.page.locator(".js-plotly-plot").first).to_be_visible()
        assert fits(watched.page), view
        watched.check()
    for view in ("Kept", "History of current", "Trash", "Import"):
        watched.open(f"Versions?view={view}")
        assert "v1.0.0 is current" in heading(watched.page)
        assert fits(watched.page), view
        watched.check()


def test_choose_by_keyboard_compare_and_share_the_address(store: Store, watched: Watched) -> None:
    page = watched.page
    watched.open("Compare?versions=v1.0.0&versions=v1.2.0")
    box = page.get_by_label("Versions", exact=True)
    box.fill("v1.1")
    box.press("Enter")
    box.press("Escape")
    expect(page).to_have_url(re.compile("versions=v1.1.0"))
    expect(page.get_by_text("Compare · 3 versions · baseline v1.0.0")).to_be_visible()
    better = page.locator(".mr-verdicts li", has_text="v1.1.0")
    expect(better).to_contain_text("95 % interval")
    evaluation = store.versions.get("v1.1.0").metadata.evaluation.as_dict()
    row = page.get_by_role("row", name=re.compile("^v1.1.0")).first
    expect(row).to_contain_text(value_text("rmse", evaluation["rmse"]))
    shared = page.url
    page.goto("about:blank")
    page.goto(shared)
    expect(page.get_by_text("Compare · 3 versions · baseline v1.0.0")).to_be_visible()
    watched.check()


def test_a_users_lists_are_looked_at_and_the_user_is_in_the_address(watched: Watched) -> None:
    page = watched.page
    watched.open("Compare?versions=v1.0.0&versions=v1.1.0&view=Lists")
    page.get_by_role("radio", name="Lost most").click()
    expect(page.get_by_text("of 10 were rated later")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"user=\d+"))
    watched.open("Compare?versions=v1.0.0&versions=v1.1.0&view=Lists&user=196")
    expect(page.locator("h2.mr-section")).to_contain_text("User 196")
    expect(page.get_by_text("Best rated, newest first")).to_be_visible()
    watched.check()


def test_the_comparison_is_taken_along_as_json_and_as_a_report(
    watched: Watched, tmp_path: Path
) -> None:
    page = watched.page
    watched.open("Compare?versions=v1.0.0&versions=v1.1.0&baseline=v1.0.0")
    page.get_by_role("button", name="Export").click()
    downloaded(page, "Everything (JSON)").save_as(tmp_path / "all.json")
    downloaded(page, "Report (HTML)").save_as(tmp_path / "report.html")
    facts = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert facts["pairs"]["v1.1.0"]["is_comparable"]
    assert facts["slices"]["v1.1.0"]
    assert "v1.1.0" in (tmp_path / "report.html").read_text(encoding="utf-8")
    watched.check()


def test_versions_of_two_splits_are_measured_together(settings: Settings, watched: Watched) -> None:
    page = watched.page
    watched.open("Compare?versions=v1.0.0&versions=v1.3.0&baseline=v1.0.0")
    assert "can't be compared" in heading(page)
    try:
        page.get_by_role("button", name="Measure v1.0.0 and v1.3.0").click()
        expect(page.get_by_text("ratings that none of these versions has seen")).to_be_visible(
            timeout=MEASURED_MS
        )
        # what the page showed before stays until its script is through
        expect(page.locator(".mr-verdicts li")).to_have_count(1)
        expect(page.locator(".mr-verdicts li")).to_contain_text("95 % interval")
        expect(page.get_by_role("heading", level=1)).not_to_contain_text("can't be compared")
        watched.settle()
        watched.check()
    finally:
        end_processes(settings)


def test_promote_for_a_reason_and_roll_back(
    settings: Settings, store: Store, watched: Watched
) -> None:
    page = watched.page
    watched.open("Versions?version=v1.2.0")
    page.get_by_role("button", name="Make v1.2.0 current").click()
    expect(page.get_by_text("v1.2.0 was not made current")).to_be_visible()
    anyway = page.get_by_role("button", name="Make v1.2.0 current anyway")
    expect(anyway).to_be_disabled()
    reason = page.get_by_label("Reason for overriding the check")
    reason.fill("Lists matter here, stars do not")
    reason.press("Enter")
    expect(anyway).to_be_enabled()
    anyway.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("v1.2.0 is current")
    assert (settings.models_path / "current").readlink() == Path("v1.2.0")
    page.get_by_role("tab", name="History of current").click()
    expect(page.get_by_text("Lists matter here, stars do not")).to_be_visible()
    page.get_by_role("button", name="Roll back to v1.0.0").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("v1.0.0 is current")
    current = store.versions.current()
    assert current is not None
    assert current.name == "v1.0.0"
    watched.check()


def test_export_delete_restore_and_import(
    settings: Settings, store: Store, watched: Watched, tmp_path: Path
) -> None:
    page = watched.page
    watched.open("Versions?version=v1.2.0")
    archive = tmp_path / "taken-along.zip"
    downloaded(page, "Export v1.2.0").save_as(archive)
    page.get_by_role("button", name="Delete v1.2.0 …").click()
    page.get_by_role("button", name="Move v1.2.0 to the trash").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("3 versions kept")
    assert not (settings.models_path / "v1.2.0").exists()
    page.get_by_role("tab", name="Trash").click()
    page.get_by_role("button", name="Restore v1.2.0").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("4 versions kept")
    page.get_by_role("tab", name="Import").click()
    page.locator('input[type="file"]').set_input_files(archive)
    page.get_by_role("button", name="Import taken-along.zip").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("5 versions kept")
    assert store.versions.get("v1.4.0").origin["name"] == "v1.2.0"
    assert Registry(settings, store).verify("v1.4.0") == []
    watched.check()


def test_foreign_titles_and_notes_are_shown_as_they_are(
    settings: Settings, store: Store, watched: Watched
) -> None:
    data = states.named(states.nasty_dataset(), "nasty")
    states.add_dataset(store, data)
    names = [train_version(settings, p, dataset="nasty").name for p in ("biases", "popular")]
    Registry(settings, store).annotate(names[0], states.NASTY[0])
    Registry(settings, store).tag(names[0], add=[states.NASTY[1]])
    watched.open(f"Compare?versions={names[0]}&versions={names[1]}&view=Lists")
    expect(watched.page.get_by_text("of 10 were rated later")).to_have_count(2)
    shown = watched.page.get_by_test_id("stMain").inner_text()
    assert any(title in shown for title in states.NASTY)
    watched.open(f"Versions?version={names[0]}")
    expect(watched.page.get_by_label(f"Notes on {names[0]}")).to_have_value(states.NASTY[0])
    assert watched.page.title() == "Versions · movierec"
    watched.check()
