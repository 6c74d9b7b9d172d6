"""Versions side by side: ten compared, and five hundred in the registry, until all is drawn."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from playwright.sync_api import Browser, BrowserContext

from live.figures import summary
from live.server import Server
from live.sessions import opened_seconds
from movierec.errors import MovierecError
from movierec.settings import Settings
from movierec.store import open_store

__all__ = ["measure"]

COMPARED, KEPT = 10, 500
PATIENCE = 120_000  # ms
# As somebody has them: seeds of one training, changes to it, baselines.
_TRAININGS = (
    *(["--epochs", "10", "--seed", str(seed)] for seed in range(4)),
    ["--epochs", "10", "--dropout", "0.4"],
    ["--epochs", "10", "--hidden-dim", "32"],
    ["--preset", "report", "--epochs", "10"],
    *(["--preset", name] for name in ("ease", "svd", "biases", "popular")),
)
QUIET = 1000  # ms in which nothing more is asked for or drawn
# The moment from which on the script has ended and every chart that it asked for is drawn.
_WATCH = """
const whole = () => {
  const app = document.querySelector('[data-testid="stApp"]');
  const charts = [...document.querySelectorAll('[data-testid="stPlotlyChart"]')];
  return app?.dataset.testScriptState === "notRunning"
    && app.dataset.testConnectionState === "CONNECTED"
    && document.querySelector("h1")
    && charts.every((chart) => chart.querySelector(".main-svg"));
};
new MutationObserver(() => {
  if (!whole()) window.wholeAt = undefined;
  else window.wholeAt ??= performance.now();
}).observe(document, { attributes: true, childList: true, subtree: true });
"""
_IS_WHOLE = f"window.wholeAt && performance.now() - window.wholeAt > {QUIET}"


def measure(settings: Settings, browser: Browser, environment: dict[str, str], times: int) -> Any:
    """Return seconds until pages are whole, with ten versions compared and with 500 kept."""
    names = _versions(settings, environment)
    query = "&".join(f"versions={name}" for name in names[:COMPARED])
    pages = {
        f"Compare, {COMPARED} versions": f"Compare?{query}&baseline={names[0]}",
        "Compare, 2 versions": f"Compare?versions={names[0]}&versions={names[1]}",
        "Versions": "Versions",
    }
    found = {"few": _measured(settings, browser, pages, times), "compared": COMPARED}
    _many(settings)
    return found | {"many": _measured(settings, browser, pages, times), "kept": KEPT}


def _versions(settings: Settings, environment: dict[str, str]) -> list[str]:
    """Train what is missing; return the versions, the oldest first."""
    with open_store(settings) as store:
        there = len(store.versions.names_ever())
    for options in _TRAININGS[max(0, there - 1) :]:
        command = [sys.executable, "-m", "movierec", "train", *options]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MovierecError("A version could not be trained.", hint=done.stderr[-500:])
    with open_store(settings) as store:
        return [record.name for record in store.versions.summaries(())][::-1]


def _many(settings: Settings) -> None:
    """List versions like the real ones until there are 500; their folders are not needed."""
    with open_store(settings) as store:
        real = store.versions.list()
        for place in range(len(real), KEPT):
            like, name = real[place % len(real)], f"v9.{place}.0"
            metadata = like.metadata.with_facts(model_version=name)
            now = datetime.now(UTC)
            record = replace(like, name=name, created_at=now, run_id=None, metadata=metadata)
            store.versions.add(record)


def _measured(
    settings: Settings, browser: Browser, pages: dict[str, str], times: int
) -> dict[str, Any]:
    found = {}
    with Server(settings) as server:
        for label, path in pages.items():
            url = f"{server.address}/{path}"
            page, _, query = path.partition("?")
            context = browser.new_context(viewport={"width": 1400, "height": 900}, locale="en-GB")
            context.set_default_timeout(PATIENCE)
            context.add_init_script(_WATCH)
            cold = _whole(context, url)
            found[label] = {
                "first": round(cold, 4),
                "again": summary([_whole(context, url) for _ in range(times)]),
                "link": summary(_by_link(context, url, page, times)),
                "script": summary(opened_seconds(server.address, page, query, times)),
            }
            context.close()
    return found


def _whole(context: BrowserContext, url: str) -> float:
    """Return seconds from the navigation until the script has ended and every chart is drawn."""
    page = context.new_page()
    page.goto(url, wait_until="commit")
    page.wait_for_function(_IS_WHOLE)
    milliseconds: float = page.evaluate("window.wholeAt")
    page.close()
    return milliseconds / 1000


def _by_link(context: BrowserContext, url: str, name: str, times: int) -> list[float]:
    """Return seconds from the click on a page's link in the sidebar, coming from Data."""
    page = context.new_page()
    page.goto(url)
    page.wait_for_function(_IS_WHOLE)
    links = page.get_by_test_id("stSidebar")
    seconds = []
    for _ in range(times):
        links.get_by_role("link", name="Data", exact=True).click()
        page.wait_for_url("**/Data*")
        page.wait_for_function(_IS_WHOLE)
        page.evaluate("window.wholeAt = undefined; window.clickedAt = performance.now()")
        links.get_by_role("link", name=name, exact=True).click()
        page.wait_for_url(f"**/{name}*")
        page.wait_for_function(_IS_WHOLE)
        seconds.append(page.evaluate("window.wholeAt - window.clickedAt") / 1000)
    page.close()
    return seconds
