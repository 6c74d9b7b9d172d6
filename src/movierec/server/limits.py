"""How much one client may ask, and how large a question may be."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

__all__ = ["Buckets", "Message", "Receive", "TooLarge", "read_body", "replayed"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]

MOST_CLIENTS = 10_000


class TooLarge(Exception):  # noqa: N818
    """A body went over its limit."""


class Buckets:
    """A bucket of tokens per client: a minute's worth at first, filled at the same rate.

    The clients seen longest ago are forgotten beyond 10,000, which only gives them a full bucket.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> int:
        """Take a token and return 0, or return in how many whole seconds there is one."""
        if not self._size:
            return 0
        now = self._clock()
        left, since = self._left.pop(client, (self._size, now))
        left = min(self._size, left + (now - since) * self._per_second)
        is_free = left >= 1
        self._left[client] = (left - 1 if is_free else left, now)
        if len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)
        return 0 if is_free else max(1, math.ceil((1 - left) / self._per_second))


async def read_body(receive: Receive, most: int) -> bytes | None:
    """Return a request's whole body, None where the client left before its end.

    Raises:
        TooLarge: it has more than `most` bytes.

    """
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise TooLarge
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was already read, and then what follows it."""
    waiting = [body]

    async def receive_again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return receive_again
