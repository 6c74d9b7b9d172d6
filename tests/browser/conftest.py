"""A real Streamlit server on its own port, and a real browser that watches for trouble."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from movierec.settings import Settings
from movierec.store import Store
from tests.conftest import refuse_user_paths
from tests.support import states
from tests.support.browser_server import Server

BROWSERS = ("chromium", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
# After a deep link Streamlit first looks for itself below the page's path.
PATIENCE = 30_000  # ms, for whatever should appear; machines that run tests are busy
EXPECTED_404 = ("/_stcore/health", "/_stcore/host-config")


@dataclass
class Watched:
    """A page, and everything that went wrong on it."""

    page: Page
    address: str
    trouble: list[str] = field(default_factory=list)

    def open(self, path: str = "") -> None:
        self.page.goto(f"{self.address}/{path}")
        self.settle()

    def settle(self) -> None:
        """Wait until the page's script has run; not for a page that polls."""
        self.page.wait_for_selector(
            '[data-testid="stApp"][data-test-script-state="notRunning"]'
            '[data-test-connection-state="CONNECTED"]',
            timeout=60_000,
        )

    def check(self) -> None:
        assert self.page.get_by_test_id("stException").count() == 0
        assert not self.trouble

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith(EXPECTED_404):
            self.trouble.append(message.text)

    def on_request(self, request: Request) -> None:
        if not request.url.startswith(
            (self.address, "data:", "blob:", self.address.replace("http", "ws"))
        ):
            self.trouble.append(f"asked the internet for {request.url}")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a project folder that the tests of one module share, as they share a server."""
    root = tmp_path_factory.mktemp("project")
    return refuse_user_paths(Settings(home=root, device="cpu"), root)


@pytest.fixture(scope="module")
def store(settings: Settings) -> Iterator[Store]:
    with states.opened(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    """The address of a real server of the shared project folder."""
    server = Server(settings)
    try:
        server.start()
        yield server.address
    finally:
        server.stop()


@pytest.fixture
def watched(address: str, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A page of this test's server; parametrise indirectly with (colour scheme, width)."""
    scheme, width = getattr(request, "param", ("light", 1400))
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, locale="en-GB"
    )
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page = Watched(context.new_page(), address)
    page.page.on("console", page.on_console)
    page.page.on("request", page.on_request)
    page.page.on("pageerror", lambda error: page.trouble.append(str(error)))
    yield page
    context.close()
