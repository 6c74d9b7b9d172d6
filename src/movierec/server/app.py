"""The application: endpoints behind the middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from movierec.server.ab_split import ABSplit
from movierec.server.errors import add_handlers
from movierec.server.keys import Buckets, read_keys
from movierec.server.middleware import OPEN, Limits, Middleware
from movierec.server.responses import ErrorReply
from movierec.server.routes import routes
from movierec.server.service import Service
from movierec.server.status import add_page, status_routes
from movierec.settings import Settings, load_settings

__all__ = ["make_app"]

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
