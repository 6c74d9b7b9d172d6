"""How long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "silent"]

Progress: TypeAlias = Callable[[str, float], None]  # a stage's text, and the share done from 0 to 1


def silent(stage: str, done: float) -> None:
    """Report progress to nobody."""
