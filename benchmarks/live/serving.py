"""The API under load: how many answers, how soon, at which memory, and while versions change."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import uvloop

from live.client import Asked, Load, ask_for, get, post
from live.figures import summary
from live.server import Api, Hello, Server
from movierec.errors import MovierecError
from movierec.inference import load_version
from movierec.settings import Settings

__all__ = ["Bench", "load", "soak", "start", "swap"]

SERVER_CORE, CLIENT_CORE = 0, 1
CONNECTIONS = 64
LENGTH = 10
MIXTURE = {"recommend": 80, "similar": 10, "score": 5, "newcomer": 4, "explain": 1}
LOOK_SECONDS = 5.0
PAUSE_SECONDS = 2.0  # between a promotion and the next
Lists = Mapping[str, Mapping[str, list[str]]]  # movies by version and user


@dataclass(frozen=True)
class Bench:
    """A project with versions, and for how many seconds each part asks."""

    settings: Settings
    seconds: float
    soak_seconds: float
    versions: tuple[str, str]


@dataclass
class Seen:
    """What the answers of a load said."""

    lists: Lists
    versions: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def check(self, asked: Asked, status: int, body: bytes) -> None:
        """Note an answer that is not wholly of the version it names."""
        if status != 200:
            self.wrong.append(f"{asked.path}: {status} {body[:200]!r}")
            return
        answer = json.loads(body)
        version, lines = answer["version"], answer["recommendations"]
        self.versions[version] += 1
        movies = [line["movie"] for line in lines]
        named = {line["version"] for line in lines}
        if named != {version} or movies != self.lists[version][asked.user]:
            self.wrong.append(f"{asked.path}: {version} {named} {movies}")


def start(bench: Bench, times: int = 7) -> dict[str, Any]:
    """Return seconds from starting the program to its first list, with files read before."""
    seconds = []
    for _ in range(times):
        begun = time.monotonic()
        with Api(bench.settings) as server:
            found = _asked(server, 0.0, _lists(server, ["196"]), connections=1)
            seconds.append(time.monotonic() - begun)
            if found.errors:
                raise MovierecError(f"The API answers {found.statuses}.")
    return {"seconds": summary(seconds[1:])}


def load(bench: Bench) -> dict[str, Any]:
    """Return the load of lists alone and of everything mixed, beside a bare server's."""
    users = _users(bench)
    found: dict[str, Any] = {"connections": CONNECTIONS, "users": len(users)}
    with Hello(bench.settings, SERVER_CORE) as bare:
        found["bare"] = _told(_asked(bare, bench.seconds / 4, _same(bare, "/")))
    with Api(bench.settings, SERVER_CORE) as server:
        for name, requests in (
            ("lists", _lists(server, users)),
            ("mixed", _mixed(bench, server, users)),
        ):
            _asked(server, 3.0, requests)
            before = _megabytes(server)
            found[name] = _told(_asked(server, bench.seconds, requests))
            found[name]["megabytes"] = [before, _megabytes(server)]
    with Hello(bench.settings, SERVER_CORE) as bare:
        found["bare again"] = _told(_asked(bare, bench.seconds / 4, _same(bare, "/")))
    return found


def soak(bench: Bench) -> dict[str, Any]:
    """Return the memory while everything mixed is asked for a long time."""
    users = _users(bench)
    with Api(bench.settings, SERVER_CORE) as server, _watched(server) as memory:
        told = _told(_asked(server, bench.soak_seconds, _mixed(bench, server, users)))
    begun = [each for second, each in memory if 60 <= second < 120]
    ended = [each for second, each in memory if second >= bench.soak_seconds - 60]
    return {
        **told, "seconds": bench.soak_seconds, "memory": memory,
        "second minute": _mean(begun), "last minute": _mean(ended),
    }  # fmt: skip


def swap(bench: Bench) -> dict[str, Any]:
    """Return what was answered while the current version was promoted and rolled back."""
    users = _users(bench)
    seen = Seen({name: _expected(bench.settings, name) for name in bench.versions})
    with Api(bench.settings, SERVER_CORE) as server, _swapping(bench) as swaps:
        found = _asked(server, bench.seconds, _lists(server, users), told=seen.check)
    return {
        **_told(found), "swaps": len(swaps), "failed swaps": [said for said in swaps if said],
        "answers by version": dict(sorted(seen.versions.items())),
        "wrong": len(seen.wrong), "first wrong": seen.wrong[:3],
    }  # fmt: skip


def _asked(
    server: Server, seconds: float, requests: Iterator[Asked], *, connections: int = CONNECTIONS,
    told: Any = None,
) -> Load:  # fmt: skip
    """Ask from the other core, in a loop of uvloop's."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            asked = ask_for(seconds, server.port, requests, connections=connections, told=told)
            return runner.run(asked)
    finally:
        os.sched_setaffinity(0, {SERVER_CORE, CLIENT_CORE})


def _told(found: Load) -> dict[str, Any]:
    times = sorted(found.seconds)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        "requests": len(times),
        "per_second": round(found.per_second, 1),
        "ms": {k: round(1000 * times[int(v * (len(times) - 1))], 2) for k, v in shares.items()},
        "errors": found.errors,
        "statuses": {str(status): n for status, n in sorted(found.statuses.items())},
        "failures": found.failures[:3],
    }


def _lists(server: Server, users: list[str]) -> Iterator[Asked]:
    """Yield questions for users' lists, in an order of chance that is the same each time."""
    rng, host = random.Random(0), f"localhost:{server.port}"
    known = {user: get(f"/recommend?user={user}&k={LENGTH}", host, user) for user in users}
    while True:
        yield known[rng.choice(users)]


def _same(server: Server, path: str) -> Iterator[Asked]:
    while True:
        yield get(path, f"localhost:{server.port}")


def _mixed(bench: Bench, server: Server, users: list[str]) -> Iterator[Asked]:
    """Yield questions of every kind; newcomers have ten ratings, and no two are alike."""
    rng, host = random.Random(0), f"localhost:{server.port}"
    movies = load_version(bench.versions[0], bench.settings).dataset.movies.ids.tolist()
    kinds, weights = [*MIXTURE], [*MIXTURE.values()]
    while True:
        user, movie = rng.choice(users), rng.choice(movies)
        match rng.choices(kinds, weights)[0]:
            case "recommend":
                yield get(f"/recommend?user={user}&k={LENGTH}", host, user)
            case "similar":
                yield get(f"/similar?movie={movie}&k={LENGTH}", host)
            case "score":
                told = {"user": user, "movies": rng.sample(movies, 20)}
                yield post("/score", host, json.dumps(told).encode())
            case "newcomer":
                told = {"ratings": {m: rng.randint(1, 5) for m in rng.sample(movies, 10)}}
                yield post("/newcomer", host, json.dumps(told).encode())
            case _:
                yield get(f"/explain?user={user}&movie={movie}", host)


def _users(bench: Bench) -> list[str]:
    users: list[str] = load_version(bench.versions[0], bench.settings).dataset.users.ids.tolist()
    return users


def _expected(settings: Settings, name: str) -> dict[str, list[str]]:
    """Return every user's list by a version, asked in this process."""
    version = load_version(name, settings)
    return {
        user: [line.movie_id for line in version.recommend(user, LENGTH)]
        for user in version.dataset.users.ids.tolist()
    }


@contextmanager
def _swapping(bench: Bench) -> Iterator[list[str]]:
    """Promote and roll back by the command line all the time; yield what went wrong with each."""
    said: list[str] = []
    ended = threading.Event()

    def work() -> None:
        turn = 0
        while not ended.wait(PAUSE_SECONDS):
            said.append(_moved(bench, turn))
            turn += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield said
    finally:
        ended.set()
        thread.join()


def _moved(bench: Bench, turn: int) -> str:
    """Move `current`: back and forth, each second time by a rollback."""
    command = [sys.executable, "-m", "movierec", "versions"]
    name = bench.versions[1 - turn % 2]
    command += ["rollback"] if turn % 2 else ["promote", name, "--override", "load"]
    environment = os.environ | {"MOVIEREC_HOME": str(bench.settings.home)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip
    return done.stderr[-300:] if done.returncode else ""


@contextmanager
def _watched(server: Server) -> Iterator[list[tuple[float, float]]]:
    """Note the server's memory every few seconds: (seconds, megabytes)."""
    seen: list[tuple[float, float]] = []
    ended, begun = threading.Event(), time.monotonic()

    def work() -> None:
        while not ended.wait(LOOK_SECONDS):
            seen.append((round(time.monotonic() - begun, 1), _megabytes(server)))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _megabytes(server: Server) -> float:
    return round(psutil.Process(server.process.pid).memory_info().rss / 1e6, 1)


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 1) if values else float("nan")
