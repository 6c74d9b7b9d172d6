"""`movierec serve` as a process: started, asked, told to end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from movierec.store import open_store
from tests.support.project import movierec, one_line, process_environment

PATIENCE = 60.0


class Server:
    """A running `movierec serve` and what it wrote."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def lines(self) -> list[dict]:
        text = self.log.read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]

    def url(self) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(r'"url": "(http://[\d.:]+)"', self.log.read_text()):
                return found[1]
            time.sleep(0.02)
        pytest.fail(f"It did not start: {self.log.read_text()}")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(settings, *options: str, **more: str) -> Iterator[Server]:
    log = settings.home / "serve.log"
    command = [sys.executable, "-m", "movierec", "serve", "--port", "0", *options]
    environment = {**os.environ, **process_environment(settings), **more}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stderr=stream)
        try:
            yield Server(process, log)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def test_a_server_answers_follows_current_and_ends_in_good_order(trained):
    with (
        serving(trained) as server,
        httpx.Client(base_url=server.url(), timeout=PATIENCE) as client,
    ):

        def version():
            content = client.get("/recommend", params={"user": "u1"}).raise_for_status().json()
            return content["version"]

        assert version() == "v1.0.0"
        newcomer = client.post("/newcomer", json={"ratings": {"m1": 5}, "explain": 1})
        assert newcomer.json()["reason"] == "newcomer"
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "numpy" in maps
        assert "torch" not in maps
        asked = 2
        said = movierec(trained, "versions", "promote", "v1.1.0", "--override", "a test")
        assert said.code == 0, said.err
        end = time.monotonic() + PATIENCE
        while version() != "v1.1.0":
            asked += 1
            assert time.monotonic() < end
        client.headers["Connection"] = "close"
        said = movierec(trained, "versions", "rollback")
        assert said.code == 0, said.err
        assert version() == "v1.0.0"  # both are in memory: the very next question
        asked += 2
        assert server.end() == 0
        lines = server.lines()
        requests = [line for line in lines if line["event"] == "request"]
        assert {line["status"] for line in requests} == {200}
        assert len(requests) == asked
        assert {line["level"] for line in lines} == {"info"}
    with open_store(trained) as store:
        counts = {row.version: row.lists for row in store.served.by_day()}
    assert sum(counts.values()) == asked
    assert set(counts) == {"v1.0.0", "v1.1.0"}


def test_several_processes_share_a_port(trained):
    split = "v1.1.0=0.5,current=0.5"
    with serving(trained, "--workers", "2", "--split", split, "--no-access-log") as server:
        url, found = server.url(), {}
        for number in range(40):
            user = f"u{number % 20}"
            answer = httpx.get(
                f"{url}/recommend", params={"user": user}, timeout=PATIENCE
            ).raise_for_status()
            assert found.setdefault(user, answer.json()["version"]) == answer.json()["version"]
        assert set(found.values()) == {"v1.0.0", "v1.1.0"}
        server.end()
        assert "request" not in {line["event"] for line in server.lines()}
    with open_store(trained) as store:
        assert sum(row.lists for row in store.served.by_day()) == 40


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--split", "v1.0.0=0.3"], "add up to 1"),
        (["--host", "0.0.0.0"], "MOVIEREC_API_KEYS"),
        (["--port", "70000"], "65535"),
        (["--workers", "0"], "--workers"),
        (["--log-level", "loud"], "loud"),
        (["--host", "nowhere.invalid"], "MOVIEREC_API_KEYS"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(settings, options, words):
    said = movierec(settings, "serve", *options)
    assert said.code == 2
    assert words in one_line(said)


def test_without_the_extra_it_says_how_to_get_it(settings):
    program = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from movierec.cli.main import app, run\n"
        "sys.exit(run(app, ['serve']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env={**os.environ, **process_environment(settings)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "uvicorn" in done.stderr
    assert "make api" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_in_words(trained):
    with serving(trained) as server:
        port = server.url().rpartition(":")[2]
        done = subprocess.run(
            [sys.executable, "-m", "movierec", "serve", "--port", port],
            capture_output=True, text=True, check=False, timeout=PATIENCE,
            env={**os.environ, **process_environment(trained)},
        )  # fmt: skip
        assert done.returncode == 2
        assert f"port {port}" in done.stderr
        assert "Traceback" not in done.stderr
