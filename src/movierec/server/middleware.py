"""The middleware of every request: id, key, limits, time, metrics and access log."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO, TypeAlias

from movierec.server.encoding import Answer
from movierec.server.errors import RequestError
from movierec.server.keys import (
    BodyTooLargeError,
    Buckets,
    KeyRing,
    Message,
    Receive,
    read_body,
    replayed,
)
from movierec.server.metrics import Metrics

__all__ = ["ACCESS", "OPEN", "Limits", "Middleware", "configure"]

ACCESS = "movierec.server.access"

# attributes of every record; the others were given with `extra`
_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "taskName"}

Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Any, Receive, Send], Awaitable[None]]

OPEN = ("/", "/health", "/docs", "/openapi.json")  # answered without a key
_LONGEST_ID = 100
_log = logging.getLogger(__name__)
_access = logging.getLogger(ACCESS)


@dataclass(frozen=True)
class Limits:
    """Limits of a request; `seconds` are those of its body and its answer together."""

    body: int
    seconds: float


class Middleware:
    """Pure ASGI: Starlette's own middleware class costs more than an answer."""

    def __init__(
        self,
        app: App,
        *,
        keys: KeyRing,
        buckets: Buckets,
        limits: Limits,
        metrics: Metrics,
        paths: frozenset[str],
    ) -> None:
        self._app = app
        self._keys = keys
        self._buckets = buckets
        self._limits = limits
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = _RequestContext(scope, send)
        try:
            await self._answer(context, receive)
        finally:
            self._record(context)

    async def _answer(self, context: _RequestContext, receive: Receive) -> None:
        try:
            self._admit(context)
            async with asyncio.timeout(self._limits.seconds):
                buffered = await self._buffered(context, receive)
                if buffered is not None:
                    await self._app(context.scope, buffered, context.send)
        except RequestError as error:
            await context.send_error(error)
        except BodyTooLargeError:
            most = f"A body may have {self._limits.body:,} bytes."
            await context.send_error(RequestError(413, "too_large", "The body is too large.", most))
        except TimeoutError:
            await context.send_error(self._too_late(context))
        except Exception:
            _log.exception("request failed", extra={"request": context.id, "path": context.path})
            hint = f"The server's log tells more of request {context.id}."
            failure = RequestError(500, "failed", "The server failed to answer.", hint)
            await context.send_error(failure)

    def _admit(self, context: _RequestContext) -> None:
        context.key = self._keys.find(context.given_key())
        wait = self._buckets.wait(context.key or context.client)
        if wait:
            context.wait = wait
            hint = f"Ask again in {wait} seconds."
            raise RequestError(429, "too_many_requests", "There were too many requests.", hint)
        if self._keys and context.key is None and context.path not in OPEN:
            hint = "Send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
            raise RequestError(401, "no_key", "This needs a key of the API.", hint)

    async def _buffered(self, context: _RequestContext, receive: Receive) -> Receive | None:
        """Return a `receive` of the body, read and checked; None where the client has left."""
        if context.scope["method"] in ("GET", "HEAD"):
            return receive
        length = context.header(b"content-length") or b"0"
        if length.isdigit() and int(length[:20]) > self._limits.body:
            raise BodyTooLargeError
        body = await read_body(receive, self._limits.body)
        context.has_body = True
        return None if body is None else replayed(body, receive)

    def _too_late(self, context: _RequestContext) -> RequestError:
        seconds = f"{self._limits.seconds:g} seconds"
        if context.scope["method"] in ("GET", "HEAD") or context.has_body:
            status, message = 503, f"There was no answer within {seconds}."
        else:
            status, message = 408, f"The body was not there within {seconds}."
        return RequestError(status, "timeout", message, "Try again.")

    def _record(self, context: _RequestContext) -> None:
        seconds = time.perf_counter() - context.started
        path = context.path if context.path in self._paths else "other"
        self._metrics.requested(path, context.status, seconds)
        if _access.isEnabledFor(logging.INFO):
            _access.info("request", extra=context.facts(path, seconds))


class _RequestContext:
    """One request and its answer."""

    def __init__(self, scope: Any, send: Send) -> None:
        self.scope = scope
        self.started = time.perf_counter()
        self.path: str = scope["path"]
        self.key: str | None = None
        self.status = 499  # until an answer starts: the client left
        self.wait = 0
        self.has_body = False
        self._send = send
        given = self.header(b"x-request-id") or b""
        is_fit = 0 < len(given) <= _LONGEST_ID and given.isascii()
        self.id = given.decode() if is_fit and given.decode().isprintable() else os.urandom(8).hex()

    @property
    def client(self) -> str:
        """The address of the client."""
        client = self.scope.get("client")
        return f"address {client[0]}" if client else "unknown"

    def header(self, name: bytes) -> bytes | None:
        """Return a header's value."""
        for key, value in self.scope["headers"]:
            if key == name:
                found: bytes = value
                return found
        return None

    def given_key(self) -> bytes | None:
        """Return the request's API key."""
        kind, _, key = (self.header(b"authorization") or b"").partition(b" ")
        return key.strip() if kind.lower() == b"bearer" else self.header(b"x-api-key")

    async def send(self, message: Message) -> None:
        """Send a part of the answer, with the request's id in its headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self.id.encode())]
        await self._send(message)

    async def send_error(self, error: RequestError) -> None:
        """Answer with an error, unless an answer has begun: then it ends broken."""
        if self.status != 499:
            raise error
        headers = {"retry-after": str(self.wait)} if self.wait else {}
        if error.status == 401:
            headers = {"www-authenticate": "Bearer"}
        if not self.has_body and self.scope["method"] not in ("GET", "HEAD"):
            headers["connection"] = "close"  # what is left of the body need not be read
        await error.response(headers)(self.scope, _nothing, self.send)

    def facts(self, path: str, seconds: float) -> dict[str, Any]:
        """Return the fields of the access log; no key, no query, as that names users."""
        facts: dict[str, Any] = {
            "method": self.scope["method"],
            "path": path,
            "status": self.status,
            "ms": round(1000 * seconds, 3),
            "request": self.id,
            "key": self.key,
        }
        answer: Answer | None = self.scope.get("movierec")
        if answer is not None:
            facts |= {"version": answer.version, "reason": answer.reason}
        return facts


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, event, and the fields given with `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        facts |= {k: v for k, v in vars(record).items() if k not in _USUAL}
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False, default=str)


def configure(level: str = "info", *, access: bool = True, stream: TextIO | None = None) -> None:
    """Send the logs of movierec and uvicorn to stderr; `access`: a line per request, too."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("movierec", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
    logging.getLogger(ACCESS).setLevel(logging.NOTSET if access else logging.CRITICAL)
