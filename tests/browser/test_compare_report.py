"""The report in a real browser that has no network: it draws, says nothing wrong, and prints."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from movierec.comparison.metrics import PAIRED
from movierec.comparison.sentences import delta_text, value_text
from movierec.ui.compare.report import write_report
from tests.support.comparisons import NAMES, comparison, records
from tests.unit.ui.compare.test_report import ERRORS, hostile

PATIENCE = 30.0  # seconds; machines that run tests are busy
SHOWN = (
    "[...document.querySelectorAll('[data-figure]')].filter(p => !p.closest('details:not([open])'))"
)
DRAWN = f"{SHOWN}.every(p => p.classList.contains('mr-drawn') && p.querySelector('svg'))"


class Opened:
    """A page of a report, and all that went wrong on it."""

    def __init__(self, page: Page, report: Path) -> None:
        self.page = page
        self.trouble: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("request", self._asked)
        self.address = report.as_uri()
        page.goto(self.address)
        self.drawn()

    def drawn(self) -> None:
        self.until(DRAWN)

    def until(self, expression: str) -> None:
        """Wait for something to be true; Playwright's own wait is eval, which the page forbids."""
        deadline = time.monotonic() + PATIENCE
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            self.page.wait_for_timeout(50)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.trouble.append(f"asked for {request.url}")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return write_report(folder / "report.html", comparison(), records(), ERRORS)


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page without a network; parametrise indirectly with (colour scheme, width)."""
    scheme, width = getattr(request, "param", ("light", 1200))
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, offline=True
    )
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("page", [("light", 1200), ("dark", 420)], indirect=True)
def test_every_figure_is_drawn_without_a_word_of_trouble(page: Page, report: Path) -> None:
    opened = Opened(page, report)
    assert page.evaluate(f"{SHOWN}.length") == page.locator("[data-figure]").count() > 8
    # wide tables scroll within themselves, the page does not
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    text, background = page.evaluate(
        "[document.querySelector('svg .xtick text, svg .ytick text').style.fill,"
        " getComputedStyle(document.body).backgroundColor]"
    )
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (text, background) == (
        ("rgb(230, 237, 241)", "rgb(15, 23, 29)")
        if is_dark
        else ("rgb(20, 33, 43)", "rgb(255, 255, 255)")
    )
    assert opened.trouble == []


def test_the_numbers_on_the_screen_are_those_of_the_comparison(page: Page, report: Path) -> None:
    opened, found = Opened(page, report), comparison()
    table = page.locator("table").first
    for row, name in enumerate(NAMES, start=1):
        cells = table.locator("tr").nth(row).locator("td").all_inner_texts()
        for metric, cell in zip(PAIRED, cells, strict=True):
            assert value_text(metric.key, found.values[name][metric.key]) in cell
            if name != found.baseline:
                change = found.pairs[name].difference(metric.key)
                assert delta_text(metric.key, change.delta) in cell
    assert opened.trouble == []


def test_what_is_folded_is_drawn_when_it_is_opened(page: Page, report: Path) -> None:
    folded = report.with_name("folded.html")
    folded.write_text(report.read_text("utf-8").replace("<details open>", "<details>"), "utf-8")
    opened = Opened(page, folded)
    groups = page.locator("details").first
    assert groups.locator("[data-figure]").count() == 1
    assert groups.locator("[data-figure] svg").count() == 0
    groups.locator("summary").first.click()
    opened.until(f"{SHOWN}.length === document.querySelectorAll('[data-figure]').length")
    opened.drawn()
    assert groups.locator("[data-figure] svg").first.bounding_box()["width"] > 300
    assert opened.trouble == []


def test_on_paper_it_is_light_and_no_wider_than_the_page(browser: Browser, report: Path) -> None:
    context = browser.new_context(
        color_scheme="dark", viewport={"width": 1400, "height": 900}, offline=True
    )
    try:
        opened = Opened(context.new_page(), report)
        page = opened.page
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        opened.until(f"{SHOWN}.every(p => p.querySelector('svg').clientWidth <= 720)")
        fill = "document.querySelector('svg .xtick text').style.fill"
        opened.until(f"{fill} === 'rgb(20, 33, 43)'")
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        opened.until(f"{fill} === 'rgb(230, 237, 241)'")
        assert page.pdf(format="A4").startswith(b"%PDF")
        assert opened.trouble == []
    finally:
        context.close()


def test_hostile_text_stays_text(page: Page, tmp_path: Path) -> None:
    opened = Opened(page, write_report(tmp_path / "hostile.html", hostile(), records()))
    assert page.title() == "Compare v1.0.0, v1.1.0, v1.2.0"
    assert page.locator("h1").inner_text() != "hit"
    assert page.locator(".ytick text", has_text="document.title").count() > 0
    assert opened.trouble == []
