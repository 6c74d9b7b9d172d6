"""Facts as strict JSON: what any reader, in any language and database, gets back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

import numpy as np

__all__ = ["plain", "plain_dict"]


def plain(value: Any) -> Any:
    """Return the value as JSON's own types.

    NumPy scalars and arrays become numbers and lists, tuples and sets lists, dataclasses and
    what has `as_dict` objects, paths and datetimes text. NaN and infinity, which JSON does not
    have, become None: not measured.

    Raises:
        TypeError: JSON has nothing for this type.

    """
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return plain_dict(value)
    return _composite(value)


def plain_dict(facts: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a mapping as a JSON object with text keys."""
    return {str(key): plain(item) for key, item in facts.items()}


def _composite(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [plain(item) for item in sorted(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return plain({item.name: getattr(value, item.name) for item in fields(value)})
    if hasattr(value, "as_dict"):
        return plain(value.as_dict())
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
