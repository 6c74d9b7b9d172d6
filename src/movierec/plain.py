"""Values as strict JSON, which every language and database reads back alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

import numpy as np

from movierec.metadata import VersionMetadata

__all__ = ["plain", "plain_dict", "without_nul"]


def plain(value: Any) -> Any:
    """Return the value as JSON's own types.

    NumPy scalars and arrays become numbers and lists, tuples and sets lists, paths and
    datetimes text, dataclasses and a version's metadata objects. NaN and infinity, which JSON
    does not have, become None: not measured.

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
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, VersionMetadata):
        return plain_dict(value.as_dict())
    if is_dataclass(value) and not isinstance(value, type):
        return plain_dict(asdict(value))
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def without_nul(text: str) -> str:
    """Return text that every database can keep: PostgreSQL has no NUL in texts."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
