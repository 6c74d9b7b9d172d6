"""What inference answers with: plain facts, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Reason", "Recommendation", "SimilarMovie", "SimilarityBasis"]

Reason: TypeAlias = Literal["known", "no-ratings", "fallback"]
SimilarityBasis: TypeAlias = Literal["vectors", "ratings"]


@dataclass(frozen=True)
class Recommendation:
    """One line of a user's list.

    `rank` starts at 1. `score` is what the list is sorted by, in the model's own unit;
    `predicted_rating` is in stars, None where nothing predicts one. `reason` says where
    the list comes from:

    - "known": the model ranked for a user whose ratings it knows;
    - "no-ratings": the model ranked for a user it has no rating of, from what else it knows
      (the user's features, or what people like in general);
    - "fallback": the model can tell nothing about this user, the list is the most popular
      movies and the score is the number of ratings.
    """

    rank: int
    movie_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    score: float
    predicted_rating: float | None
    reason: Reason


@dataclass(frozen=True)
class SimilarMovie:
    """One line of a movie's neighbours; `similarity` is a cosine, 1 for the same direction.

    `basis` is "vectors" where the model has a vector per movie, else "ratings": the share of
    raters two movies have in common.
    """

    rank: int
    movie_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    similarity: float
    basis: SimilarityBasis
