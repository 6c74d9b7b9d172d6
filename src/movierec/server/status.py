"""The endpoints about the API itself: health, version, metrics, documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from jinja2 import Environment
from markupsafe import Markup, escape

from movierec.plain import plain
from movierec.server.encoding import encoded
from movierec.server.metrics import CONTENT_TYPE
from movierec.server.requests import HealthQuestion, VersionQuestion, in_query, of_query
from movierec.server.responses import HealthReply, VersionReply
from movierec.server.served_version import ServedVersion
from movierec.server.service import Service

__all__ = ["add_page", "status_routes"]

_TEMPLATE = Path(__file__).with_name("docs.html.j2")
_LIMITS = {"minimum": "≥", "maximum": "≤"}
JSON = "application/json"


def status_routes(service: Service) -> APIRouter:
    """Return the endpoints about the service itself."""
    router = APIRouter()

    @router.get("/health", response_model=HealthReply, openapi_extra=in_query(HealthQuestion))
    async def health(request: Request) -> Response:
        """Say whether the API can answer; 200 as long as the process runs, unless `ready`."""
        question = of_query(HealthQuestion, request)
        facts = await _health(service)
        status = 503 if question.ready and not facts["ready"] else 200
        return Response(encoded(facts), status, media_type=JSON)

    @router.get("/version", response_model=VersionReply, openapi_extra=in_query(VersionQuestion))
    async def version(request: Request) -> Response:
        """Say which version answers, what it was trained on, and how good it was."""
        question = of_query(VersionQuestion, request)
        served, chosen = await service.choose(question.version, None)
        current = (await service.choose(None, None))[0].name
        return Response(encoded(_facts(service, served, chosen, current)), media_type=JSON)

    @router.get("/metrics", response_class=Response, responses={200: {"content": _TEXT}})
    async def metrics() -> Response:
        """Return what Prometheus reads."""
        return Response(service.metrics.text(), media_type=None, headers=_METRICS)

    return router


def add_page(app: FastAPI) -> None:
    """Serve a page that is read without the internet at /docs."""

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return Response(_page(request.app.openapi()), media_type="text/html")

    @app.get("/", include_in_schema=False)
    async def start() -> Response:
        return Response(status_code=307, headers={"location": "docs"})


_METRICS = {"content-type": CONTENT_TYPE}
_TEXT: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}


async def _health(service: Service) -> dict[str, Any]:
    name, problem = None, None
    try:
        name = (await service.choose(None, None))[0].name
    except Exception as error:  # /health shows any problem
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


def _facts(service: Service, served: ServedVersion, chosen: str, current: str) -> dict[str, Any]:
    record, dataset = served.record, served.version.dataset
    return {
        "version": served.name,
        "chosen": chosen,
        "model": record.model,
        "preset": record.preset,
        "created_at": record.created_at.isoformat(),
        "is_current": served.name == current,
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


def _page(schema: Mapping[str, Any]) -> str:
    """Return the page: every path with its parameters and answers."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"with_code": _with_code, "fields": partial(_fields, schema)}
    template = environment.from_string(_TEMPLATE.read_text("utf-8"))
    return template.render(info=schema["info"], paths=schema["paths"])


def _with_code(text: str) -> Markup:
    """Return a text as HTML, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _fields(schema: Mapping[str, Any], operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of an operation's query and body, the required ones first."""
    found = [
        (each["name"], {**each["schema"], "description": each["description"]}, each["required"])
        for each in operation.get("parameters", ())
    ]
    content = operation.get("requestBody", {}).get("content", {})
    if JSON in content:
        body = _resolved(schema, content[JSON]["schema"])
        required = body.get("required", ())
        found += [(name, field, name in required) for name, field in body["properties"].items()]
    return [
        {
            "name": name, "type": _type(schema, field), "description": _description(field),
            "is_required": is_required,
        }
        for name, field, is_required in sorted(found, key=lambda each: not each[2])
    ]  # fmt: skip


def _description(field: Mapping[str, Any]) -> str:
    """Return the description of a field, or of its type beside null."""
    inner = [each.get("description", "") for each in field.get("anyOf", ())]
    return field.get("description") or next(filter(None, inner), "")


def _type(schema: Mapping[str, Any], field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        inner = _resolved(schema, field).get("properties", {})
        return "{" + ", ".join(inner) + "}"
    if "anyOf" in field:
        return " or ".join(_type(schema, each) for each in field["anyOf"])
    if "enum" in field:
        return " or ".join(map(json.dumps, field["enum"]))
    name = str(field.get("type", "any"))
    if name == "array":
        name = f"list of {_type(schema, field['items'])}"
    limits = [f"{sign} {field[key]}" for key, sign in _LIMITS.items() if key in field]
    if field.get("default") not in (None, []):
        limits.append(f"default {json.dumps(field['default'])}")
    return f"{name} ({', '.join(limits)})" if limits else name


def _resolved(schema: Mapping[str, Any], field: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema that a `$ref` leads to."""
    if "$ref" not in field:
        return field
    found: Mapping[str, Any] = schema["components"]["schemas"][field["$ref"].rsplit("/", 1)[-1]]
    return found
