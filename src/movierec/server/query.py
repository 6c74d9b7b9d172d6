"""Questions in the query of an address.

FastAPI's own models of a query cost 0.3 ms a request, more than an answer: each field is looked
up by its type again for every request. Here pydantic checks what the standard library took apart.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

__all__ = ["in_query", "of_query"]

Question = TypeVar("Question", bound=BaseModel)

_MOST_FIELDS = 3_000


def of_query(kind: type[Question], request: Request) -> Question:
    """Return what a request's query asks.

    Raises:
        RequestValidationError: a value cannot be used, is missing, unknown or given twice.

    """
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise _invalid("", f"There are more than {_MOST_FIELDS} values") from None
    values = _gathered(pairs, _lists(kind))
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        found = [{**each, "loc": ("query", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from error


def _gathered(pairs: list[tuple[str, str]], lists: frozenset[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise _invalid(name, "It is given twice")
        else:
            values[name] = value
    return values


def in_query(kind: type[BaseModel]) -> dict[str, Any]:
    """Return what the OpenAPI schema says of a question in a query."""
    schema = kind.model_json_schema()
    parameters = []
    for name, field in schema["properties"].items():
        facts = {key: value for key, value in field.items() if key not in ("title", "description")}
        parameters.append(
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "description": field.get("description", ""),
                "schema": facts,
            }
        )
    return {"parameters": parameters}


@cache
def _lists(kind: type[BaseModel]) -> frozenset[str]:
    """Return the fields that may be given several times."""
    fields = kind.model_fields.items()
    return frozenset(name for name, field in fields if _is_list(field.annotation))


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _invalid(name: str, message: str) -> RequestValidationError:
    where = ("query", name) if name else ("query",)
    return RequestValidationError([{"type": "value_error", "loc": where, "msg": message}])
