"""Long arrays: the positions of each user's or movie's ratings, and reading a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "STEP",
    "Grouping",
    "group",
    "steps",
]

STEP = 1 << 20  # elements


def steps(size: int) -> Iterator[slice]:
    """Yield slices that cover so many elements."""
    for start in range(0, size, STEP):
        yield slice(start, min(start + STEP, size))


@dataclass(frozen=True, eq=False)
class Grouping:
    """Positions of ratings, sorted by one of their indices and in source order below it.

    Shapes:
        start: (n_groups + 1,) int64; order: (n_ratings,) int32, int64 beyond 2^31. The
        positions of group g are order[start[g]:start[g + 1]].
    """

    start: npt.NDArray[np.int64]
    order: npt.NDArray[Any]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many ratings each group has, (n_groups,)."""
        counts: npt.NDArray[np.int64] = np.diff(self.start)
        return counts

    def positions(self, index: int) -> npt.NDArray[Any]:
        """Return the positions of one group's ratings."""
        found: npt.NDArray[Any] = self.order[self.start[index] : self.start[index + 1]]
        return found


def group(indices: npt.NDArray[np.int64], size: int) -> Grouping:
    """Return the grouping of ratings by these indices, which are below `size`."""
    start = np.zeros(size + 1, np.int64)
    np.cumsum(np.bincount(indices, minlength=size), out=start[1:])
    return Grouping(start, _order(indices))


def _order(indices: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    n = len(indices)
    if n >= 1 << 31:
        return np.argsort(indices, kind="stable")
    if (indices[1:] >= indices[:-1]).all():  # as GroupLens writes its files
        return np.arange(n, dtype=np.int32)
    # index above position in one number: NumPy sorts those many times as fast as it argsorts
    keys = indices << 32
    for step in steps(n):
        keys[step] |= np.arange(step.start, step.stop)
    keys.sort()
    return keys.astype(np.int32)  # the lower half of each number
