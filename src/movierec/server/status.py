"""The endpoints about the API itself: health, version, metrics, documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from movierec.plain import plain
from movierec.server.encoding import encoded
from movierec.server.metrics import CONTENT_TYPE
from movierec.server.requests import HealthQuestion, VersionQuestion, in_query, of_query
from movierec.server.responses import HealthReply, VersionReply
from movierec.server.served_version import ServedVersion
from movierec.server.service import Service

__all__ = [
    "add_page",
    "page_of",
    "status_routes",
]

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;"
    "padding:.2rem .6rem;border-bottom:1px solid #ddd}code,pre{background:#f4f4f4;"
    "padding:.1rem .3rem;overflow:auto}h2{margin-top:2.5rem}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}"
    "code,pre{background:#222}td,th{border-color:#333}a{color:#8bf}}"
)


_LIMITS = {"minimum": "≥", "maximum": "≤"}


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


def page_of(schema: Mapping[str, Any]) -> str:
    """Return the page: every path with what it takes and what it answers."""
    info = schema["info"]
    parts = [part for path in schema["paths"].items() for part in _path(schema, *path)]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{_prose(info)}</p>"
        "<p>The same for programs: <a href='openapi.json'>openapi.json</a></p>"
        f"{''.join(parts)}</body></html>"
    )


def _path(schema: Mapping[str, Any], path: str, methods: Mapping[str, Any]) -> Iterator[str]:
    for method, what in methods.items():
        yield f"<h2 id='{escape(path[1:])}'><code>{method.upper()} {escape(path)}</code></h2>"
        yield f"<p>{_prose(what)}</p>"
        yield _table(schema, _fields(schema, what))
        replies = [
            f"<tr><td>{status}</td><td>{_link(reply)}</td></tr>"
            for status, reply in sorted(what["responses"].items())
        ]
        yield f"<details><summary>Answers</summary><table>{''.join(replies)}</table></details>"


def _prose(what: Mapping[str, Any]) -> str:
    """Return a description, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(what.get("description", "")))


def _fields(schema: Mapping[str, Any], what: Mapping[str, Any]) -> list[tuple[str, Any, bool]]:
    """Return name, schema and whether it is needed, of the query or the body."""
    found = [
        (each["name"], {**each["schema"], "description": each.get("description", "")}, needed)
        for each in what.get("parameters", ())
        for needed in [each.get("required", False)]
    ]
    body = what.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        of_body = _resolved(schema, body["schema"])
        needed_ones = of_body.get("required", ())
        found += [(n, f, n in needed_ones) for n, f in of_body.get("properties", {}).items()]
    return found


def _table(schema: Mapping[str, Any], fields: list[tuple[str, Any, bool]]) -> str:
    if not fields:
        return ""
    rows = [
        f"<tr><td><code>{escape(name)}</code>{' (needed)' if needed else ''}</td>"
        f"<td>{escape(_kind(schema, field))}</td>"
        f"<td>{escape(_words(field))}</td></tr>"
        for name, field, needed in sorted(fields, key=lambda each: not each[2])
    ]
    return f"<table><tr><th>Name</th><th>Value</th><th></th></tr>{''.join(rows)}</table>"


def _words(field: Mapping[str, Any]) -> str:
    """Return what is said of a field, or of what it may be beside null."""
    inner = [each.get("description", "") for each in field.get("anyOf", ())]
    return field.get("description") or next(filter(None, inner), "")


def _kind(schema: Mapping[str, Any], field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        inner = _resolved(schema, field).get("properties", {})
        return "{" + ", ".join(inner) + "}"
    if "anyOf" in field:
        return " or ".join(_kind(schema, each) for each in field["anyOf"])
    if "enum" in field:
        return " or ".join(map(json.dumps, field["enum"]))
    words = str(field.get("type", "any"))
    if words == "array":
        words = f"list of {_kind(schema, field['items'])}"
    limits = [f"{sign} {field[key]}" for key, sign in _LIMITS.items() if key in field]
    if field.get("default") not in (None, []):
        limits.append(f"default {json.dumps(field['default'])}")
    return f"{words} ({', '.join(limits)})" if limits else words


def _link(reply: Mapping[str, Any]) -> str:
    return escape(str(reply.get("description", "")))


def _resolved(schema: Mapping[str, Any], field: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in field:
        return field
    found: Mapping[str, Any] = schema["components"]["schemas"][field["$ref"].rsplit("/", 1)[-1]]
    return found
