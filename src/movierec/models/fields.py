"""Fields of hyperparameters: declared in one place, read by commands, forms, checks and sweeps."""

from __future__ import annotations

import math
from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo

__all__ = ["bounds", "bounds_text", "search_range", "setting", "unit", "validation_message"]

_LOW, _HIGH = {"ge": "≥", "gt": ">"}, {"le": "≤", "lt": "<"}


def setting(
    default: Any,
    description: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    unit: str = "",
    search: str | None = None,
) -> Any:
    """Declare a hyperparameter; the bounds are pydantic's.

    `unit` stands beside the input in a form. `search` is where a sweep looks unless it is told:
    the bounds say what is allowed, the range what is worth the time, about a factor of three to
    ten around the default and what papers use.
    """
    notes: dict[str, Any] = {"unit": unit, "search": search}
    return Field(
        default, description=description, ge=ge, gt=gt, le=le, lt=lt, json_schema_extra=notes
    )


def unit(field: FieldInfo) -> str:
    """Return the unit of a field; empty where it has none."""
    return str(_notes(field).get("unit", ""))


def search_range(field: FieldInfo) -> str | None:
    """Return the range that a sweep searches by default, as it is typed; None for none."""
    found: str | None = _notes(field).get("search")
    return found


def bounds(field: FieldInfo) -> tuple[float, float]:
    """Return the lowest and the highest value of a number, infinite where there is no bound."""
    limits = _limits(field)
    low = [value for sign, value in limits if sign in _LOW.values()]
    high = [value for sign, value in limits if sign in _HIGH.values()]
    return float((low or [-math.inf])[0]), float((high or [math.inf])[0])


def bounds_text(field: FieldInfo) -> str:
    """Return the bounds of a number as "≥ 1, ≤ 8"; empty where there are none."""
    return ", ".join(f"{sign} {value:,}" for sign, value in _limits(field))


def _limits(field: FieldInfo) -> list[tuple[str, float]]:
    signs = (_LOW | _HIGH).items()
    found = [(sign, getattr(item, name, None)) for item in field.metadata for name, sign in signs]
    return [(sign, value) for sign, value in found if value is not None]


def _notes(field: FieldInfo) -> dict[str, Any]:
    notes = field.json_schema_extra
    return notes if isinstance(notes, dict) else {}


def validation_message(text: str) -> str:
    """Return what a validator of ours said, without what pydantic puts before it."""
    return text.replace("Value error, ", "")
