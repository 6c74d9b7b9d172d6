"""`movierec serve` as a process of its own, on a home: what it describes and answers."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.program import environment_of

__all__ = ["Ask", "described", "served"]

PATIENCE = 60.0
# a path below the address, and what is posted to it, if anything
Ask = Callable[[str, Any], Any]


@contextmanager
def served(home: Path) -> Iterator[Ask]:
    """Serve a home until the block ends; yield what asks it."""
    command = [sys.executable, "-m", "movierec", "serve", "--port=0"]
    log = home.parent / "serve.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment_of(home), cwd=home, stderr=stream)
    try:
        url = _url(log)
        yield lambda path, content=None: _answer(f"{url}/{path}", content)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()
        process.wait()


def described(ask: Ask) -> dict[str, Any]:
    """Return the paths with their parameters and codes, and the fields of every schema."""
    told = ask("openapi.json", None)
    return {
        "paths": {
            f"{method} {path}": {
                "parameters": [each["name"] for each in facts.get("parameters", ())],
                "codes": [*facts["responses"]],
            }
            for path, methods in told["paths"].items()
            for method, facts in methods.items()
        },
        "fields": {name: _fields(schema) for name, schema in told["components"]["schemas"].items()},
    }


def _fields(schema: dict[str, Any]) -> list[str]:
    return [*schema.get("properties", schema.get("enum", ()))]


def _url(log: Path) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := re.search(r'"url": "(http://[\d.:]+)"', log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def _answer(url: str, content: Any) -> Any:
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answered:
        return json.load(answered)
