"""Versions change while a real `movierec serve` is asked all the time."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from movierec.settings import Settings
from tests.integration.server.test_serve import serving
from tests.support.project import process_environment
from tests.support.serving import fresh

PATIENCE = 120.0
THREADS = 4
LENGTH = 5
MOVES = [
    (["promote", "v1.1.0", "--override", "a test"], "v1.1.0"),
    (["rollback"], "v1.0.0"),
    (["promote", "v1.4.0", "--override", "a test"], "v1.4.0"),
]


class Asking:
    """Threads that ask for lists until they are told to stop; what was wrong with the answers."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.address = url.removeprefix("http://")
        self.users = fresh(settings).dataset.users.ids.tolist()
        self.lists = {
            name: self._lists(settings, name) for name in {version for _, version in MOVES}
        }
        self.wrong: list[str] = []
        self.versions: Counter[str] = Counter()
        self.ended = threading.Event()

    def work(self, first: int) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        try:
            while not self.ended.is_set():
                self._ask(connection, self.users[first % len(self.users)])
                first += THREADS
        except (OSError, http.client.HTTPException) as error:
            self.wrong.append(repr(error))
        finally:
            connection.close()

    def wait_for(self, version: str) -> None:
        """Return when a version has given 20 more answers."""
        before, end = self.versions[version], time.monotonic() + PATIENCE
        while self.versions[version] < before + 20 and time.monotonic() < end:
            time.sleep(0.01)
        assert self.versions[version] >= before + 20, f"{version} does not answer"

    def _ask(self, connection: http.client.HTTPConnection, user: str) -> None:
        connection.request("GET", f"/recommend?user={user}&k={LENGTH}")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            self.wrong.append(f"{answer.status} {body[:200]!r}")
            return
        told = json.loads(body)
        version, lines = told["version"], told["recommendations"]
        self.versions[version] += 1
        found = [(line["version"], line["movie"]) for line in lines]
        if found != [(version, movie) for movie in self.lists[version][user]]:
            self.wrong.append(f"{user}: {version} {found}")

    def _lists(self, settings: Settings, name: str) -> dict[str, list[str]]:
        version = fresh(settings, name)
        return {
            user: [line.movie_id for line in version.recommend(user, LENGTH)] for user in self.users
        }


@contextmanager
def asked(url: str, settings: Settings) -> Iterator[Asking]:
    asking = Asking(url, settings)
    threads = [threading.Thread(target=asking.work, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield asking
    finally:
        asking.ended.set()
        for thread in threads:
            thread.join()


def move(settings: Settings, words: list[str]) -> None:
    """Call the command line as another program does."""
    done = subprocess.run(
        [sys.executable, "-m", "movierec", "versions", *words],
        env={**os.environ, **process_environment(settings)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_no_answer_fails_or_mixes_versions_while_current_moves(trained: Settings):
    with serving(trained, "--no-access-log") as server:
        with asked(server.url(), trained) as asking:
            asking.wait_for("v1.0.0")
            for words, version in MOVES:
                move(trained, words)
                asking.wait_for(version)
        assert asking.wrong == []
        assert {*asking.versions} == {"v1.0.0", "v1.1.0", "v1.4.0"}
        different = [u for u in asking.users if len({str(v[u]) for v in asking.lists.values()}) > 1]
        assert len(different) > 10  # else a mixture of versions could not be told
