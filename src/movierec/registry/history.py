"""Where a rollback leads, read from how `current` moved."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from movierec.store import PromotionRecord

__all__ = ["PROMOTED", "ROLLED_BACK", "SAVED", "previous_of"]

SAVED, PROMOTED, ROLLED_BACK = "saved", "promoted", "rolled back"


def previous_of(
    moves: Sequence[PromotionRecord], current: str | None, there: Collection[str]
) -> str | None:
    """Return the version that was current before and is still `there`; moves newest first.

    A rollback takes moves back: a second one leads further back, not forward again.
    """
    stack: list[str] = []
    for move in reversed(moves):
        if not stack and move.previous is not None:
            stack.append(move.previous)
        if move.how == ROLLED_BACK and move.version in stack:
            while stack[-1] != move.version:
                stack.pop()
        elif move.version is not None:
            stack.append(move.version)
    return next((name for name in reversed(stack) if name != current and name in there), None)
