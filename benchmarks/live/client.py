"""A client of the API that costs little: many connections, each asking again when answered."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httptools

__all__ = ["Asked", "Load", "ask_for", "get", "post"]

Told = Callable[["Asked", int, bytes], None]


@dataclass(frozen=True)
class Asked:
    """A request: its bytes, and what a check of the answer may want to know of it."""

    data: bytes
    path: str
    user: str = ""


@dataclass
class Load:
    """What was seen: seconds of each answer, how many of each status, what went wrong."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    took: float = 0.0

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.took

    @property
    def errors(self) -> int:
        """Answers that are not 200, and connections that broke."""
        return len(self.failures) + self.statuses.total() - self.statuses[200]


def get(path: str, host: str, user: str = "") -> Asked:
    """Return a GET."""
    return Asked(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode(), path, user)


def post(path: str, host: str, body: bytes) -> Asked:
    """Return a POST of JSON."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return Asked(head.encode() + body, path)


async def ask_for(
    seconds: float, port: int, requests: Iterator[Asked], *, connections: int = 64,
    told: Told | None = None,
) -> Load:  # fmt: skip
    """Ask on every connection, one request after another, for so long; return what was seen."""
    load, loop = Load(), asyncio.get_running_loop()
    begun = time.monotonic()
    make = partial(_Connection, load, requests, begun + seconds, told)
    opened = [await loop.create_connection(make, "127.0.0.1", port) for _ in range(connections)]
    await asyncio.gather(*(protocol.done for _, protocol in opened))
    load.took = time.monotonic() - begun
    return load


class _Connection(asyncio.Protocol):
    """One connection; `done` is set when the time is over and the last answer is there."""

    transport: Any  # uvloop's is no asyncio.Transport
    asked: Asked

    def __init__(
        self, load: Load, requests: Iterator[Asked], end: float, told: Told | None
    ) -> None:
        self.load, self.requests, self.end, self.told = load, requests, end, told
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.parser, self.body, self.sent = httptools.HttpResponseParser(self), b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        now = time.monotonic()
        status = self.parser.get_status_code()
        self.load.seconds.append(now - self.sent)
        self.load.statuses[status] += 1
        if self.told is not None:
            self.told(self.asked, status, self.body)
        if now < self.end:
            # not from inside the parser: it has not finished this answer yet
            asyncio.get_running_loop().call_soon(self._ask)
        else:
            self.done.set_result(None)
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.load.failures.append(f"{self.asked.path}: {error or 'the server hung up'}")
            self.done.set_result(None)

    def _ask(self) -> None:
        if self.done.done():
            return
        self.parser, self.body = httptools.HttpResponseParser(self), b""
        self.asked = next(self.requests)
        self.sent = time.monotonic()
        self.transport.write(self.asked.data)
