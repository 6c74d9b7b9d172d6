"""What inference answers with: recommendations, similar movies, explanations and their sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

__all__ = [
    "Basis",
    "Cause",
    "Explanation",
    "Reason",
    "Recommendation",
    "SimilarMovie",
    "SimilarityBasis",
    "sentence",
]

MOST_NAMED = 3


def sentence(found: Explanation) -> Explanation:
    """Return the explanation with its sentence."""
    parts = [_causes(found), _genre(found), _popularity(found)]
    return replace(found, sentence=" ".join(part for part in parts if part))


def _causes(found: Explanation) -> str:
    if found.basis == "none":
        if found.reason == "fallback" or not found.rank:
            return "Nothing is known of them, so popularity alone speaks."
        return "Their own ratings do not move this version's order."
    if not found.causes:
        return "No rating of theirs speaks for it."
    named = _listed(found.causes[:MOST_NAMED])
    if found.basis == "alike":
        return f"Much like what they liked: {named}."
    return f"Because of {named}."


def _genre(found: Explanation) -> str:
    if not found.shared_genres or found.basis == "none":
        return ""
    genre, share = found.shared_genres[0]
    return f"{share:.0%} of what they liked is {genre} too." if share >= 0.1 else ""


def _popularity(found: Explanation) -> str:
    if found.popularity_share is None or found.basis == "none":
        return ""
    if found.rank_without is None:
        return ""
    return f"Without any rating it would stand at {found.rank_without:,} instead of {found.rank:,}."


def _listed(causes: Sequence[Cause]) -> str:
    words = [f"{cause.stars:g} ★ for {_titled(cause)}" for cause in causes]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _titled(cause: Cause) -> str:
    return cause.title if cause.year is None else f"{cause.title} ({cause.year})"


Reason: TypeAlias = Literal["known", "no-ratings", "newcomer", "fallback"]
SimilarityBasis: TypeAlias = Literal["vectors", "ratings"]
Basis: TypeAlias = Literal["left-out", "alike", "none"]


@dataclass(frozen=True)
class Recommendation:
    """One line of a user's list.

    `rank` starts at 1. `score` is what the list is sorted by before diversity, in the model's own
    unit, or in stars where it was ranked by predicted rating; `predicted_rating` is in stars,
    None where nothing predicts one. `reason` says where the list comes from:

    - "known": the model ranked for a user whose ratings it knows;
    - "no-ratings": the model ranked for a user it has no rating of, from what else it knows
      (the user's features, or what people like in general);
    - "newcomer": the model ranked for somebody who was not in training, from the ratings and
      features given with the question, without training again;
    - "fallback": the model can tell nothing about this user, the list is the most popular
      movies and the score is the number of ratings.

    `distribution` is the probability of every rating on the scale, lowest first, where the
    version has one.
    """

    rank: int
    movie_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    score: float
    predicted_rating: float | None
    reason: Reason
    version: str = ""
    distribution: tuple[float, ...] | None = None


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
    version: str = ""


@dataclass(frozen=True)
class Cause:
    """One of the user's own ratings that speaks for a movie, or against it.

    `effect` is the movie's score with this rating less its score without it, relative to the mean
    over all movies (a constant per user ranks nothing), in the model's unit; None where it cannot
    be left out without training again. `stars_effect` is the same of the predicted rating, in
    stars. `similarity` is that of the two movies, `raters_of_both` how many users rated both: the
    neighbours through whom the one reaches the other in the graph.
    """

    movie_id: str
    title: str
    year: int | None
    stars: float
    effect: float | None
    stars_effect: float | None
    similarity: float | None
    shared_genres: tuple[str, ...]
    raters_of_both: int


@dataclass(frozen=True)
class Explanation:
    """Why a movie is recommended to somebody, or is not.

    `basis` says what the causes are:

    - "left-out": the user's ratings that raise the score most, found by leaving out each in turn
      and computing the user's vector again (`against`: those that lower it most);
    - "alike": the model cannot leave out a rating without training again; the causes are the
      user's liked movies that are most similar to this one, without effects;
    - "none": nothing is known of this user.

    `together` is the change of the score if all of `causes` were not there. `rank` is the movie's
    place among all that the user has not rated, `rank_without` the place it would have for
    somebody with the same features and no rating. `popularity` is the share of users who rated
    the movie, 0 to 1; `popularity_share` how much of the score, above the mean movie's, is there
    without any of the user's ratings: 0 to 1, None where the score is not above the mean.
    `shared_genres` has, for each of the movie's genres, the share of the user's liked movies that
    have it too.
    """

    version: str
    user_id: str | None
    movie_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    reason: Reason
    basis: Basis
    score: float
    predicted_rating: float | None
    rank: int | None
    rank_without: int | None
    causes: tuple[Cause, ...]
    against: tuple[Cause, ...]
    together: float | None
    shared_genres: tuple[tuple[str, float], ...]
    popularity: float
    popularity_share: float | None
    sentence: str
