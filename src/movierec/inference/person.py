"""A person whom a version answers, a user of its data or a newcomer, and their predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from movierec.data.dataset import FloatArray, IntArray
from movierec.inference.results import Reason
from movierec.models.factors import FactorModel
from movierec.models.protocol import Recommender
from movierec.models.residuals import ResidualModel

__all__ = [
    "Person",
    "stars_and_probabilities",
    "stars_of",
]


def stars_of(person: Person, movies: IntArray, *, clipped: bool = True) -> FloatArray:
    """Return predicted stars of movies, (n,); unclipped ones tell apart what the scale cannot."""
    model, users = person.recommender, np.full(len(movies), person.index)
    if clipped or not isinstance(model, FactorModel | ResidualModel):
        return model.predict(users, movies)
    factors = model.factors if isinstance(model, ResidualModel) else model
    return factors.unclipped(model.raw(users, movies))


def stars_and_probabilities(
    person: Person, movies: IntArray
) -> tuple[FloatArray, FloatArray | None]:
    """Return predicted stars, (n,), and the probability of each rating, (n, L), or None."""
    model, users = person.recommender, np.full(len(movies), person.index)
    if not isinstance(model, FactorModel | ResidualModel):
        return model.predict(users, movies), None
    factors = model.factors if isinstance(model, ResidualModel) else model
    raw = model.raw(users, movies)
    return factors.stars(raw), factors.probabilities(raw) if factors.has_distribution else None


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
