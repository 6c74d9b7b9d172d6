"""The application, and listening: one process, or several that share a port."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from movierec.errors import SettingsError
from movierec.server.ab_split import ABSplit
from movierec.server.errors import add_handlers
from movierec.server.keys import Buckets, read_keys
from movierec.server.middleware import OPEN, Limits, Middleware, configure
from movierec.server.responses import ErrorReply
from movierec.server.routes import routes
from movierec.server.service import Service
from movierec.server.status import add_page, status_routes
from movierec.settings import Settings, load_settings
from movierec.store import open_store

__all__ = [
    "Serving",
    "app_of_worker",
    "make_app",
    "serve",
]

DESCRIPTION = (
    "Who should see what, why, and what is like what. Every answer is of one version wholly and "
    "names it; `reason` says what it rests on: known, no-ratings, newcomer or fallback."
)
_PATHS = frozenset(
    [*OPEN, "/recommend", "/newcomer", "/score", "/similar", "/explain", "/feedback", "/version",
     "/metrics"]
)  # fmt: skip
_ERRORS: dict[int, str] = {
    400: "The body cannot be read",
    401: "A key is needed",
    404: "No such version, movie or genre",
    408: "The body took too long",
    413: "The body is too large",
    422: "A value cannot be used",
    429: "Too many requests",
    503: "No version is ready, or the database is not there",
}


def make_app(settings: Settings | None = None) -> FastAPI:
    """Return the API of a project; its database is opened here, its versions when it starts.

    Raises:
        SettingsError: keys or shares cannot be used.
        StoreError: the database cannot be opened.

    """
    settings = settings or load_settings()
    keys = read_keys(settings)
    service = Service(settings, ABSplit.parse(settings.api_traffic, settings.api_salt))

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        await service.open()
        yield
        await service.close()

    app = FastAPI(
        title="movierec",
        version=version("movierec"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        responses={n: {"model": ErrorReply, "description": text} for n, text in _ERRORS.items()},
    )
    app.state.service = service
    app.include_router(status_routes(service))
    app.include_router(routes(service))
    add_page(app)
    add_handlers(app)
    app.add_middleware(
        Middleware,
        keys=keys,
        buckets=Buckets(settings.api_rate),
        limits=Limits(settings.api_body_limit, settings.api_timeout),
        metrics=service.metrics,
        paths=_PATHS,
    )
    if keys:
        app.openapi = _with_keys(app.openapi)  # type: ignore[method-assign]
    return app


def _with_keys(openapi: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Return a function that makes the schema and adds how a key is sent."""

    def with_keys() -> dict[str, Any]:
        schema = openapi()
        schema["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        for path, methods in schema["paths"].items():
            if path not in OPEN:
                for what in methods.values():
                    what["security"] = [{"bearer": []}, {"key": []}]
        return schema

    return with_keys


GRACE = 5  # seconds that requests under way get when the server ends
BACKLOG = 1024
_LOG = "MOVIEREC_SERVE_LOG"  # passes the log's options to the processes of workers
_log = logging.getLogger(__name__)
_APP = "movierec.server.run:app_of_worker"


@dataclass(frozen=True)
class Serving:
    """How a server runs, beside the settings."""

    workers: int = 1
    log_level: str = "info"
    access_log: bool = True


def serve(settings: Settings, serving: Serving) -> None:
    """Answer requests until SIGTERM or Ctrl-C; requests under way are finished first.

    Requests that come while the first version is loaded wait for it.

    Raises:
        SettingsError: keys, shares or the address cannot be used.
        StoreError: the database cannot be opened.

    """
    _check(settings)
    configure(serving.log_level, access=serving.access_log)
    several = serving.workers > 1
    with _listening(settings) as listener, suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, _leave)  # uvicorn calls it when it has ended in good order
        app = _for_workers(settings, serving) if several else make_app(settings)
        config = _config(app, serving)
        if several:
            Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])


def _config(app: FastAPI | str, serving: Serving) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=serving.workers > 1,
        workers=serving.workers,
        loop="uvloop" if os.name == "posix" else "auto",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE,
    )


def _listening(settings: Settings) -> socket.socket:
    """Return a socket that listens, and say where."""
    host, port = settings.api_host, settings.api_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"The API cannot listen on {host}, port {port}: {why}.",
            hint="Choose another with --host and --port; --port 0 takes any that is free.",
        ) from error
    shown = f"[{host}]" if ":" in host else host
    _log.info("listening", extra={"url": f"http://{shown}:{listener.getsockname()[1]}"})
    return listener


def app_of_worker() -> FastAPI:
    """Return the app of one of several processes: its settings are in the environment."""
    level, _, access = os.environ.get(_LOG, "info").partition(",")
    configure(level, access=not access)
    return make_app(load_settings())


def _for_workers(settings: Settings, serving: Serving) -> str:
    """Put the options of workers into the environment that they inherit."""
    os.environ[_LOG] = serving.log_level + ("" if serving.access_log else ",silent")
    os.environ["MOVIEREC_API_TRAFFIC"] = settings.api_traffic
    open_store(settings).close()  # a problem of the database is reported once, here
    return _APP


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _check(settings: Settings) -> None:
    ABSplit.parse(settings.api_traffic, settings.api_salt)
    if read_keys(settings) or settings.api_open or _is_local(settings.api_host):
        return
    raise SettingsError(
        f"Without keys the API does not listen on {settings.api_host}, where other machines "
        "reach it.",
        hint="Set MOVIEREC_API_KEYS, or MOVIEREC_API_OPEN=true if anybody may ask.",
    )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
