"""How long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "part_of", "silent"]

Progress: TypeAlias = Callable[[str, float], None]  # a stage's text, and the share done from 0 to 1


def silent(stage: str, done: float) -> None:
    """Report progress to nobody."""


def part_of(report: Progress, start: float, end: float) -> Progress:
    """Return a progress whose 0 to 1 are these two shares of another one."""
    return lambda stage, done: report(stage, start + (end - start) * done)
