"""The endpoints about the API itself: health, version, metrics, documentation."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from movierec.server.encoding import encoded, plain
from movierec.server.metrics import CONTENT_TYPE
from movierec.server.page import page_of
from movierec.server.query import in_query, of_query
from movierec.server.requests import HealthQuestion, VersionQuestion
from movierec.server.responses import HealthReply, VersionReply
from movierec.server.served_version import ServedVersion
from movierec.server.service import Service

__all__ = ["add_page", "status_routes"]

JSON = "application/json"


def status_routes(service: Service) -> APIRouter:
    """Return the endpoints that tell of a service."""
    router = APIRouter()

    @router.get("/health", response_model=HealthReply, openapi_extra=in_query(HealthQuestion))
    async def health(request: Request) -> Response:
        """Say whether the API can answer; 200 as long as the process runs, unless `ready`."""
        asked = of_query(HealthQuestion, request)
        facts = await _health(service)
        return Response(
            encoded(facts), 503 if asked.ready and not facts["ready"] else 200, media_type=JSON
        )

    @router.get("/version", response_model=VersionReply, openapi_extra=in_query(VersionQuestion))
    async def version(request: Request) -> Response:
        """Say which version answers, what it was trained on, and how good it was."""
        asked = of_query(VersionQuestion, request)
        held, chosen = await service.held(asked.version, None)
        current = (await service.held(None, None))[0].name
        return Response(encoded(_facts(service, held, chosen, current)), media_type=JSON)

    @router.get("/metrics", response_class=Response, responses={200: {"content": _TEXT}})
    async def metrics() -> Response:
        """Return what Prometheus reads."""
        return Response(service.metrics.text(), media_type=None, headers=_METRICS)

    return router


def add_page(app: FastAPI) -> None:
    """Serve a page that is read without the internet at /docs."""

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return Response(page_of(request.app.openapi()), media_type="text/html")

    @app.get("/", include_in_schema=False)
    async def start() -> Response:
        return Response(status_code=307, headers={"location": "docs"})


_METRICS = {"content-type": CONTENT_TYPE}
_TEXT: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}


async def _health(service: Service) -> dict[str, Any]:
    name, problem = None, None
    try:
        name = (await service.held(None, None))[0].name
    except Exception as error:  # whatever it is, this is where it is told
        problem = str(error)
    is_there = await service.database_answers()
    problem = problem or service.versions.problem
    well = "ok" if is_there and not problem else "degraded"
    return {
        "status": well if name else "not ready",
        "ready": name is not None,
        "version": name,
        "loaded": service.versions.names,
        "database": "ok" if is_there else "unavailable",
        "problem": problem,
    }


def _facts(service: Service, held: ServedVersion, chosen: str, current: str) -> dict[str, Any]:
    record, dataset = held.record, held.version.dataset
    return {
        "version": held.name,
        "chosen": chosen,
        "model": record.model,
        "preset": record.preset,
        "created_at": record.created_at.isoformat(),
        "is_current": held.name == current,
        "data": {
            "name": record.dataset_name,
            "fingerprint": record.fingerprint,
            "users": dataset.n_users,
            "movies": dataset.n_movies,
        },
        "split": record.split_label,
        "metrics": plain(record.metadata.metrics),
        "traffic": [{"version": v, "share": s} for v, s in service.traffic.shares],
    }
