"""The dashboard measured: first paint, a long history, many pages beside a training, many versions.

python benchmarks/dashboard.py all

`paint`, `runs`, `load`, `waits` and `compare` measure one part; what a report has of the others
stays. All of it takes about a quarter of an hour and wants a machine with nothing else to do.
`views` opens every view of a project as it is, with its data set of any size, and is no part of
`all`:

python benchmarks/dashboard.py views --home FOLDER --only Recommend
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit
from live import compare, load, views, waiting
from live.browser import chromium, first_paints
from live.figures import summary
from live.page import page
from live.report import measure
from live.rows import add_finished_runs
from live.server import Server
from live.sessions import opened_seconds
from playwright.sync_api import Browser

from movierec.errors import MovierecError
from movierec.settings import Settings, project_root
from movierec.store import open_store
from movierec.workflows.data import fetch_and_import

DATA_SET = "ml-100k"
FIRST_EPOCHS = 10  # of the version that Home shows
RUNS, EPOCHS = 5000, 200
LIBRARIES = {"streamlit": streamlit.__version__}
HISTORY = {"Train": "view=Runs"}  # pages in whose views the history is


@dataclass(frozen=True)
class Bench:
    """What each part works with; `times` is how often each page is opened."""

    settings: Settings
    options: argparse.Namespace

    @property
    def times(self) -> int:
        """How often each page is opened."""
        return int(self.options.times)


def main() -> int:
    """Measure what was asked for, write the report and its page, say where they are."""
    options = _options()

    def bench(settings: Settings) -> Bench:
        if options.part != "views":
            _prepare(settings)
        return Bench(settings, options)

    parts = PARTS if options.part == "all" else PARTS | {"views": _views}
    return measure(options, parts, "dashboard", bench, page, LIBRARIES)


def _options() -> argparse.Namespace:
    folder = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=[*PARTS, "views", "all"])
    parser.add_argument("--out", type=Path, default=folder / "dashboard.json")
    parser.add_argument("--page", type=Path, default=folder / "DASHBOARD.md")
    parser.add_argument("--times", type=int, default=10, help="openings of each page")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the training")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each part of a round")
    parser.add_argument("--home", type=Path, help="project folder; default: a new one, deleted")
    parser.add_argument("--only", default="", help="views whose names begin so")
    options = parser.parse_args()
    if options.part == "views" and options.home is None:
        parser.error("views are those of a project: name its folder with --home")
    return options


def _prepare(settings: Settings) -> None:
    """Import the data set and train a version, unless that is there already."""
    fetch_and_import(settings, DATA_SET)
    with open_store(settings) as store:
        if store.versions.current() is not None:
            return
    command = [sys.executable, "-m", "movierec", "train", "--epochs", str(FIRST_EPOCHS)]
    done = subprocess.run(
        command, env=_environment(settings), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MovierecError("The first version could not be trained.", hint=done.stderr[-500:])


def _environment(settings: Settings) -> dict[str, str]:
    return os.environ | {"MOVIEREC_HOME": str(settings.home)}


def _pages() -> list[str]:
    """Return every page as in its address; Home is the empty one."""
    found = sorted(file.stem for file in (project_root() / "pages").glob("*.py"))
    return ["", *found]


def _paint(bench: Bench) -> dict[str, Any]:
    found = {}
    with chromium() as browser:
        for name in _pages():
            with Server(bench.settings) as server:
                url = f"{server.address}/{name}"
                cold = first_paints(browser, url, 1)[0]
                found[name or "Home"] = {
                    "cold": round(cold, 4),
                    **_opened(bench, browser, server, name),
                    "again": summary(first_paints(browser, url, bench.times, again=True)),
                }
    return {"pages": found}


def _opened(
    bench: Bench, browser: Browser, server: Server, name: str, query: str = ""
) -> dict[str, Any]:
    url = f"{server.address}/{name}" + (f"?{query}" if query else "")
    return {
        "first": summary(first_paints(browser, url, bench.times)),
        "script": summary(opened_seconds(server.address, name, query, bench.times)),
    }


def _runs(bench: Bench) -> dict[str, Any]:
    with open_store(bench.settings) as store:
        missing = RUNS - store.runs.count(["failed", "cancelled", "interrupted", "succeeded"])
        if missing > RUNS // 2:
            add_finished_runs(store, DATA_SET, RUNS, EPOCHS)
    pages = [(name, "") for name in _pages()]
    pages += [(name, query) for name, query in HISTORY.items() if (name, "") in pages]
    found = {}
    with chromium() as browser, Server(bench.settings) as server:
        for name, query in pages:
            first_paints(browser, f"{server.address}/{name}", 1)  # warm
            label = (name or "Home") + (f"?{query}" if query else "")
            found[label] = _opened(bench, browser, server, name, query)
    size = (bench.settings.database_path or Path()).stat().st_size
    return {"runs": RUNS, "epochs": EPOCHS, "megabytes": round(size / 1e6, 1), "pages": found}


def _load(bench: Bench) -> dict[str, Any]:
    options = bench.options
    measured = load.Load(rounds=options.rounds, seconds=options.seconds, times=bench.times)
    live = "Train" if "Train" in _pages() else ""
    with ExitStack() as stack:
        server = stack.enter_context(Server(bench.settings))
        store = stack.enter_context(open_store(bench.settings))
        browser = stack.enter_context(chromium())
        for name in dict.fromkeys((live, "")):
            first_paints(browser, f"{server.address}/{name}", 1)  # warm
        return load.measure(load.Bench(bench.settings, store, server, browser, measured, live))


def _compare(bench: Bench) -> dict[str, Any]:
    """Ten versions side by side and 500 kept, in a project of their own: no other part has them."""
    with tempfile.TemporaryDirectory(prefix="movierec-versions-") as folder:
        settings = Settings(home=Path(folder))
        _prepare(settings)
        with chromium() as browser:
            return compare.measure(settings, browser, _environment(settings), bench.times)


def _waits(bench: Bench) -> dict[str, Any]:
    return waiting.measure(bench.settings)


def _views(bench: Bench) -> dict[str, Any]:
    with chromium() as browser:
        return views.measure(
            bench.settings, browser, bench.times, lambda name: name.startswith(bench.options.only)
        )


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "paint": _paint, "load": _load, "runs": _runs, "waits": _waits, "compare": _compare,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
