"""API keys, rate limits, and reading a body of a limited size."""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias

from movierec.errors import SettingsError
from movierec.settings import Settings

__all__ = [
    "BodyTooLargeError",
    "Buckets",
    "KeyRing",
    "Message",
    "Receive",
    "read_body",
    "read_keys",
    "replayed",
]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]

MOST_CLIENTS = 10_000


class BodyTooLargeError(Exception):
    """A body is larger than its limit."""


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
        BodyTooLargeError: it has more than `most` bytes.

    """
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise BodyTooLargeError
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


SHORTEST = 16  # characters; shorter ones can be guessed
SHOWN = 8  # hexadecimal digits of a key's hash in logs


class KeyRing:
    """The valid keys; it holds their hashes alone."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._hashes = [_hash(key.encode()) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def find(self, given: bytes | None) -> str | None:
        """Return the short hash of a valid key, None for any other.

        It is compared with every key, whether an earlier one fits or not.
        """
        if given is None:
            return None
        hashed = _hash(given)
        fits = [hmac.compare_digest(hashed, known) for known in self._hashes]
        return hashed.hex()[:SHOWN] if any(fits) else None


def read_keys(settings: Settings) -> KeyRing:
    """Return the keys of the settings and of their file.

    Raises:
        SettingsError: the file cannot be read, or a key is too short or not plain ASCII; the
            message does not show it.

    """
    keys = settings.api_keys.get_secret_value().split(",")
    keys += _lines(settings)
    stripped = [key.strip() for key in keys if key.strip()]
    for key in stripped:
        _check(key)
    return KeyRing(stripped)


def _lines(settings: Settings) -> list[str]:
    if not settings.api_keys_file:
        return []
    path = settings.home / settings.api_keys_file
    return [line for line in _read(path).splitlines() if not line.lstrip().startswith("#")]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The API's keys cannot be read from {path}: {getattr(error, 'strerror', error)}.",
            hint="Correct MOVIEREC_API_KEYS_FILE: a text file with one key per line.",
        ) from error


def _check(key: str) -> None:
    if len(key) < SHORTEST or not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError(
            f"One of the API's keys has fewer than {SHORTEST} characters, or others than letters, "
            "digits and signs.",
            hint="Make one with `openssl rand -hex 24` and set it in MOVIEREC_API_KEYS.",
        )


def _hash(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
