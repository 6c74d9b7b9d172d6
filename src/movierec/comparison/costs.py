"""What versions cost, and which of them no other beats in cost and quality both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from movierec.comparison.metrics import number_of
from movierec.comparison.results import Cost
from movierec.store import VersionRecord

__all__ = ["costs_of", "pareto_front"]


def pareto_front(points: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Return the names that no other beats, cheapest first.

    `points` holds a cost (less is better) and a gain (more is better) by name. One is beaten by
    another that is no worse in either and better in one; of equal ones all are on the front.
    Those with NaN are left out.
    """
    known = {n: p for n, p in points.items() if not any(map(math.isnan, p))}
    order = sorted(known, key=lambda name: (known[name][0], -known[name][1]))
    front: list[str] = []
    for name in order:
        cost, gain = known[name]
        last = known[front[-1]] if front else (math.nan, -math.inf)
        if gain > last[1] or (cost, gain) == last:
            front.append(name)
    return tuple(front)


def costs_of(records: Sequence[VersionRecord]) -> tuple[Cost, ...]:
    """Return what each version took to train and what it takes to keep."""
    return tuple(
        Cost(
            record.name,
            number_of(record.metadata.durations.total),
            record.parameters,
            number_of(record.metadata.peak_memory_mb),
            record.size_bytes,
        )
        for record in records
    )
