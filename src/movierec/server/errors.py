"""What is wrong, in one shape: {"error": {"code", "message", "hint", "where"}}."""

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
    validation_message,
)
from movierec.server.encoding import encoded

__all__ = ["Refused", "add_handlers", "error_body", "refusal"]

JSON = "application/json"
_SHOWN = 100  # characters of a value that was refused

_STATUS: dict[type[MovierecError], tuple[int, str]] = {
    NotFoundError: (404, "not_found"),
    EvaluationError: (422, "not_possible"),
    ArtifactError: (503, "version_unusable"),
    StoreError: (503, "database_unavailable"),
    DataError: (503, "data_unusable"),
}


class Refused(Exception):  # noqa: N818
    """An answer that is an error, with its status."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """Return it as an answer."""
        return refusal(self.status, self.code, self.message, self.hint, headers=headers)


def error_body(code: str, message: str, hint: str = "", where: str | None = None) -> bytes:
    """Return the bytes of an error."""
    return encoded({"error": {"code": code, "message": message, "hint": hint, "where": where}})


def refusal(
    status: int,
    code: str,
    message: str,
    hint: str = "",
    *,
    where: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error as an answer."""
    body = error_body(code, message, hint, where)
    return Response(body, status, headers=headers, media_type=JSON)


def add_handlers(app: FastAPI) -> None:
    """Give every error of an app the one shape."""
    app.add_exception_handler(MovierecError, _known)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _known(_request: Request, error: Exception) -> Response:
    if not isinstance(error, MovierecError):
        raise error
    for kind, (status, code) in _STATUS.items():
        if isinstance(error, kind):
            return refusal(status, code, error.message, error.hint)
    raise error


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return error.response()


async def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(_shown(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return refusal(400, "bad_json", "The body is no JSON.", first["ctx"]["error"], where="body")
    message = validation_message(first["msg"])
    return refusal(422, "invalid", f"{where}: {message}.", _others(error.errors()), where=where)


def _others(errors: Sequence[Any]) -> str:
    if len(errors) == 1:
        return "/docs shows what can be asked."
    rest = sorted({".".join(_shown(part) for part in each["loc"]) for each in errors[1:]})
    return f"Also wrong: {', '.join(rest[:10])}."


def _shown(part: object) -> str:
    text = str(part)[:_SHOWN]
    return text if text.isprintable() else ascii(text)[1:-1]


async def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    words = HTTPStatus(error.status_code).phrase
    message = {
        404: "There is nothing at this path.",
        405: "This path does not answer to this method.",
        400: "The body cannot be read.",
    }.get(error.status_code, f"{words}.")
    code = words.lower().replace(" ", "_")
    hint = "/docs shows what can be asked."
    return refusal(error.status_code, code, message, hint, headers=error.headers)
