"""A training and many open pages beside each other: what each costs the other."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser
from sqlalchemy import func, select

from live.browser import first_paints, watching
from live.figures import summary
from live.server import Server, cpu_by_process
from live.sessions import opened_seconds
from movierec import jobs
from movierec.errors import MovierecError
from movierec.settings import Settings
from movierec.store import RunRecord, Store
from movierec.store.tables import EpochRow

__all__ = ["Bench", "Load", "measure"]

MANY = 2000  # epochs, so that the training lasts as long as it is measured
LOOK_SECONDS = 0.05
START_SECONDS = 180.0
SESSIONS = Path(__file__).with_name("sessions.py")


@dataclass(frozen=True)
class Load:
    """How many pages are open and for how long each part of a round is measured, in seconds."""

    browsers: int = 3
    sessions: int = 17
    rounds: int = 3
    seconds: float = 10.0
    times: int = 10


@dataclass
class Polled:
    """What sessions without a browser saw while they polled, and their process."""

    pid: int | None = None
    polls: list[float] = field(default_factory=list)
    late: int = 0
    received: int = 0


@dataclass(frozen=True)
class Bench:
    """What every part of the measurement needs."""

    settings: Settings
    store: Store
    server: Server
    browser: Browser
    load: Load
    page: str


def measure(bench: Bench) -> dict[str, Any]:
    """Return pages with nobody polling, the rounds with a training, and pages under load."""
    idle = _pages(bench)
    with _training(bench) as run:
        with _sessions(bench, 1) as one:
            time.sleep(2 * bench.load.seconds)
        rounds = [_round(bench, run) for _ in range(bench.load.rounds)]
        with _everybody(bench):
            loaded = _pages(bench)
    return {
        "page": bench.page or "Home", "browsers": bench.load.browsers,
        "sessions": bench.load.sessions, "idle": idle, "loaded": loaded,
        "polls_of_one": summary(one.polls), **_summed(rounds),
    }  # fmt: skip


def _pages(bench: Bench) -> dict[str, dict[str, Any]]:
    """Return how long the page and Home take to open: painted by a browser, and their scripts."""
    found = {}
    for page in dict.fromkeys((bench.page, "")):
        paints = first_paints(bench.browser, f"{bench.server.address}/{page}", bench.load.times)
        script = opened_seconds(bench.server.address, page, "", bench.load.times)
        found[page or "Home"] = {"paint": summary(paints), "script": summary(script)}
    return found


def _round(bench: Bench, run: RunRecord) -> list[dict[str, Any]]:
    """Measure the training alone, beside sessions without browsers, alone, beside browsers too."""
    everyone = bench.load.sessions + bench.load.browsers
    return [
        _part("alone", bench, run),
        _part("sessions", bench, run, lambda: _sessions(bench, everyone)),
        _part("alone", bench, run),
        _part("browsers", bench, run, lambda: _everybody(bench)),
    ]


def _part(
    name: str, bench: Bench, run: RunRecord, company: Callable[[], Any] | None = None
) -> dict[str, Any]:
    with ExitStack() as stack:
        polled = stack.enter_context(company()) if company else Polled()
        roots = {"server": bench.server.process.pid, "training": _worker(bench.store)}
        roots |= {"sessions": polled.pid} if polled.pid else {}
        before, started = cpu_by_process(roots), time.monotonic()
        pace = _pace(bench, run)
        seconds, after = time.monotonic() - started, cpu_by_process(roots)
    cores: dict[str, float] = {}
    for pid, (owner, spent) in after.items():
        cores[owner] = cores.get(owner, 0.0) + (spent - before.get(pid, (owner, 0.0))[1]) / seconds
    return {"name": name, "pace": pace, "cores": cores, "polled": polled}


def _pace(bench: Bench, run: RunRecord) -> float:
    """Return seconds per epoch, from the first one that ends here to the last."""
    ends: list[tuple[float, int]] = []
    end = time.monotonic() + bench.load.seconds
    while time.monotonic() < end or len(ends) < 3:
        if time.monotonic() > end + START_SECONDS:
            raise MovierecError(f"Run {run.id} does not go on.", hint=f"Look into {run.log_path}.")
        last = _last_epoch(bench.store, run.id)
        if not ends or last != ends[-1][1]:
            ends.append((time.monotonic(), last))
        time.sleep(LOOK_SECONDS)
    (began, first), (ended, last) = ends[1], ends[-1]
    return (ended - began) / (last - first)


def _last_epoch(store: Store, run_id: int) -> int:
    with store.engine.connect() as connection:
        query = select(func.max(EpochRow.epoch)).where(EpochRow.run_id == run_id)
        return connection.scalar(query) or 0


@contextmanager
def _training(bench: Bench) -> Iterator[RunRecord]:
    """Have the worker train the default preset for long; cancel it in the end."""
    run = jobs.submit_train(
        bench.settings, "default", "ml-100k",
        hyperparameters={"epochs": MANY, "early_stopping_patience": MANY},
    )  # fmt: skip
    try:
        _wait(lambda: _last_epoch(bench.store, run.id) >= 3, bench.store, run.id)
        yield run
    finally:
        jobs.cancel(bench.settings, run.id)
        _wait(lambda: not bench.store.runs.active(), bench.store)


def _wait(ready: Callable[[], bool], store: Store, run_id: int | None = None) -> None:
    end = time.monotonic() + START_SECONDS
    while not ready():
        run = None if run_id is None else store.runs.get(run_id)
        ended = run is not None and run.finished_at is not None
        if ended or time.monotonic() > end:
            raise MovierecError(
                "The training does not go as it should.", hint=run.error if run else ""
            )
        time.sleep(0.2)


@contextmanager
def _everybody(bench: Bench) -> Iterator[Polled]:
    url = f"{bench.server.address}/{bench.page}"
    tabs = watching(bench.browser, url, bench.load.browsers)
    with tabs, _sessions(bench, bench.load.sessions) as polled:
        yield polled


@contextmanager
def _sessions(bench: Bench, count: int) -> Iterator[Polled]:
    """Keep the page open in sessions without a browser, in a process of their own."""
    command = [
        sys.executable, str(SESSIONS), bench.server.address, bench.page, "--sessions", str(count),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    polled = Polled(process.pid)
    try:
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            raise MovierecError("The sessions could not open the page.", hint="See above.")
        yield polled
        seen = json.loads(process.communicate(timeout=START_SECONDS)[0])
    finally:
        process.kill()
        process.wait()
    if seen["errors"]:
        raise MovierecError(f"The page showed an error: {seen['errors'][0]}.")
    polled.polls, polled.late, polled.received = seen["polls"], seen["late"], seen["received"]


def _worker(store: Store) -> int:
    return store.queue.workers()[0].pid


def _summed(rounds: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Return each company's polls and costs, and how much slower the training was beside it."""
    found: dict[str, Any] = {"alone": _company([part for parts in rounds for part in parts[::2]])}
    for place, name in ((1, "with_sessions"), (3, "with_browsers")):
        found[name] = _company([parts[place] for parts in rounds])
        slower = [parts[place]["pace"] / parts[place - 1]["pace"] - 1 for parts in rounds]
        found[name]["slower"] = round(median(slower), 4)
        found[name]["slower_in_rounds"] = [round(each, 4) for each in slower]
    return found


def _company(parts: list[dict[str, Any]]) -> dict[str, Any]:
    polls = [seconds for part in parts for seconds in part["polled"].polls]
    owners = {owner for part in parts for owner in part["cores"]}
    return {
        "epoch_seconds": round(median(part["pace"] for part in parts), 4),
        "cores": {
            owner: round(median(part["cores"].get(owner, 0.0) for part in parts), 4)
            for owner in sorted(owners)
        },
        "polls": summary(polls),
        "late": sum(part["polled"].late for part in parts),
        "kilobytes_per_poll": round(
            sum(part["polled"].received for part in parts) / max(1, len(polls)) / 1000, 1
        ),
    }
