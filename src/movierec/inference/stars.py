"""Predicted ratings of one person, with their distribution, from one look at the model."""

from __future__ import annotations

import numpy as np

from movierec.data.dataset import FloatArray, IntArray
from movierec.inference.person import Person
from movierec.models.factors import FactorModel
from movierec.models.residuals import ResidualModel

__all__ = ["chances_of", "stars_of"]


def stars_of(person: Person, movies: IntArray, *, clipped: bool = True) -> FloatArray:
    """Return predicted stars of movies, (n,); unclipped ones tell apart what the scale cannot."""
    model, users = person.recommender, np.full(len(movies), person.index)
    if clipped or not isinstance(model, FactorModel | ResidualModel):
        return model.predict(users, movies)
    factors = model.factors if isinstance(model, ResidualModel) else model
    return factors.unclipped(model.raw(users, movies))


def chances_of(person: Person, movies: IntArray) -> tuple[FloatArray, FloatArray | None]:
    """Return predicted stars, (n,), and the probability of each rating, (n, L), or None."""
    model, users = person.recommender, np.full(len(movies), person.index)
    if not isinstance(model, FactorModel | ResidualModel):
        return model.predict(users, movies), None
    factors = model.factors if isinstance(model, ResidualModel) else model
    raw = model.raw(users, movies)
    return factors.stars(raw), factors.probabilities(raw) if factors.has_distribution else None
