"""Pages as Chromium paints them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from movierec.errors import MovierecError

__all__ = ["chromium", "first_paints", "settled", "watching"]

NAMES = ("chromium", "google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 120_000  # ms
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
# Milliseconds from the navigation to the frame after the one that paints the page's heading.
_WATCH = """
new MutationObserver((_, observer) => {
  const heading = document.querySelector("h1");
  if (!heading || !heading.getClientRects().length) return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a headless Chromium; MovierecError when none is installed."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        raise MovierecError("No Chromium is installed.", hint="`make dev` installs it.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


def first_paints(browser: Browser, url: str, times: int, *, again: bool = False) -> list[float]:
    """Return seconds from each navigation to a page until its heading is painted.

    Each is somebody's first visit, or, with `again`, one whose browser has kept the files.
    """
    seconds = []
    context = _context(browser)
    if again:
        _painted(context, url)
    for _ in range(times):
        if not again:
            context.close()
            context = _context(browser)
        seconds.append(_painted(context, url))
    context.close()
    return seconds


def settled(browser: Browser, urls: Sequence[str]) -> list[float]:
    """Return seconds from each navigation till all of the page is there and its script has ended.

    Each is somebody's visit whose browser has kept the files.
    """
    context = _context(browser)
    _painted(context, urls[0])
    seconds = [_ended(context, url) for url in urls]
    context.close()
    return seconds


@contextmanager
def watching(browser: Browser, url: str, tabs: int) -> Iterator[None]:
    """Keep a page open in several browsers' tabs."""
    contexts = [_context(browser) for _ in range(tabs)]
    for context in contexts:
        page = context.new_page()
        page.goto(url)
        page.wait_for_function("window.painted", timeout=PATIENCE)
    yield
    for context in contexts:
        context.close()


def _ended(context: BrowserContext, url: str) -> float:
    page = context.new_page()
    started = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function("window.painted", timeout=PATIENCE)
    page.locator(IDLE).wait_for(state="attached")
    seconds = time.perf_counter() - started
    page.close()
    return seconds


def _context(browser: Browser) -> BrowserContext:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, locale="en-GB")
    context.set_default_timeout(PATIENCE)
    context.add_init_script(_WATCH)
    return context


def _painted(context: BrowserContext, url: str) -> float:
    page = context.new_page()
    page.goto(url, wait_until="commit")
    page.wait_for_function("window.painted", timeout=PATIENCE)
    milliseconds: float = page.evaluate("window.painted")
    page.close()
    return milliseconds / 1000
