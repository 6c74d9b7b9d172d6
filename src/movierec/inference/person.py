"""Whom a version answers: a user of its data, or somebody who was never in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from movierec.data.dataset import FloatArray, IntArray
from movierec.inference.results import Reason
from movierec.models.protocol import Recommender

__all__ = ["Person"]


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody with the ratings a version may know of them.

    `recommender` answers for row `index`: the version's own for its users, one of this person
    alone for a newcomer. With the reason "fallback" it says nothing about this person.

    Shapes:
        seen: (n,) movie indices; stars: (n,) their ratings.
    """

    user_id: str | None
    recommender: Recommender
    index: int
    seen: IntArray
    stars: FloatArray
    reason: Reason
    features: dict[str, Any] | None = None
