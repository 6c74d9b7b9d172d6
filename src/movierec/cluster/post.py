"""Where workers leave what the process that started them should know. Imports nothing heavy."""

from __future__ import annotations

from typing import Any

__all__ = ["Post"]


class Post:
    """What the workers tell the process that started them, in order; an actor of Ray."""

    def __init__(self) -> None:
        self._events: list[tuple[str, tuple[Any, ...]]] = []

    def put(self, name: str, *facts: Any) -> None:
        """Add an event."""
        self._events.append((name, facts))

    def take(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Return the events since the last time."""
        events, self._events = self._events, []
        return events
