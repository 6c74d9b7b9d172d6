"""Long arrays a piece at a time: bounds what is in memory beside them."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["STEP", "steps"]

STEP = 1 << 20  # elements


def steps(size: int) -> Iterator[slice]:
    """Yield slices that cover so many elements."""
    for start in range(0, size, STEP):
        yield slice(start, min(start + STEP, size))
