"""Every error as one JSON object: {"error": {"code", "message", "hint", "where"}}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from movierec.errors import (
    ArtifactError,
    DataError,
    EvaluationError,
    MovierecError,
    NotFoundError,
    StoreError,
)
from movierec.models.fields import validation_message
from movierec.server.encoding import encoded

__all__ = ["RequestError", "add_handlers", "error_response"]

JSON = "application/json"
_SHOWN = 100  # characters of a value that cannot be used
_HINT = "/docs shows what can be asked."

_STATUS: dict[type[MovierecError], tuple[int, str]] = {
    NotFoundError: (404, "not_found"),
    EvaluationError: (422, "not_possible"),
    ArtifactError: (503, "version_unusable"),
    StoreError: (503, "database_unavailable"),
    DataError: (503, "data_unusable"),
}


class RequestError(Exception):
    """A request that is answered with an error of this status."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """Return the error's answer."""
        return error_response(self.status, self.code, self.message, self.hint, headers=headers)


def error_response(
    status: int,
    code: str,
    message: str,
    hint: str = "",
    *,
    where: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error as an answer."""
    body = encoded({"error": {"code": code, "message": message, "hint": hint, "where": where}})
    return Response(body, status, headers=headers, media_type=JSON)


def add_handlers(app: FastAPI) -> None:
    """Give every error of an app the one shape."""
    for kind in (MovierecError, RequestError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _handled)


async def _handled(_request: Request, error: Exception) -> Response:
    match error:
        case RequestError():
            return error.response()
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            return _http(error)
        case MovierecError():
            return _known(error)
    raise error


def _known(error: MovierecError) -> Response:
    for kind, (status, code) in _STATUS.items():
        if isinstance(error, kind):
            return error_response(status, code, error.message, error.hint)
    raise error


def _invalid(error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = _location(first)
    if first["type"] == "json_invalid":
        cause = first["ctx"]["error"]
        return error_response(400, "bad_json", "The body is no JSON.", cause, where="body")
    message = f"{where}: {validation_message(first['msg'])}."
    return error_response(422, "invalid", message, _others(error.errors()), where=where)


def _others(errors: Sequence[Any]) -> str:
    if len(errors) == 1:
        return _HINT
    rest = sorted({_location(each) for each in errors[1:]})
    return f"Also wrong: {', '.join(rest[:10])}."


def _location(error: Mapping[str, Any]) -> str:
    """Return the dotted path of a value that cannot be used."""
    return ".".join(_printable(part) for part in error["loc"])


def _printable(part: object) -> str:
    text = str(part)[:_SHOWN]
    return text if text.isprintable() else ascii(text)[1:-1]


def _http(error: HTTPException) -> Response:
    phrase = HTTPStatus(error.status_code).phrase
    message = {
        404: "There is nothing at this path.",
        405: "This path does not answer to this method.",
        400: "The body cannot be read.",
    }.get(error.status_code, f"{phrase}.")
    code = phrase.lower().replace(" ", "_")
    return error_response(error.status_code, code, message, _HINT, headers=error.headers)
