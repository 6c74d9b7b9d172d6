"""Models of the answers, for the OpenAPI schema: answers are encoded directly and not validated.

A test compares every answer with these.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from movierec.inference import results
from movierec.inference.results import Reason, SimilarityBasis

__all__ = [
    "ErrorReply",
    "ExplainReply",
    "FeedbackReply",
    "HealthReply",
    "ListReply",
    "NewcomerReply",
    "ScoreReply",
    "SimilarReply",
    "VersionReply",
]

# how the version was chosen: by the request, by the user's share, or as the current one
Why = Literal["asked", "share", "current"]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _VersionedReply(_Reply):
    version: str
    chosen: Why


class _UserReply(_VersionedReply):
    user: str
    reason: Reason


_Model = TypeVar("_Model", bound=BaseModel)


def _shaped_like(shape: type) -> Callable[[type[_Model]], type[_Model]]:
    """Give a reply the fields that a dataclass has and it does not name; ids lose their `_id`."""
    hints = {name.removesuffix("_id"): kind for name, kind in get_type_hints(shape).items()}

    def complete(reply: type[_Model]) -> type[_Model]:
        own = {name: (info.annotation, info) for name, info in reply.model_fields.items()}
        fields: dict[str, Any] = {name: own.get(name, (kind, ...)) for name, kind in hints.items()}
        return create_model(
            reply.__name__, __base__=reply.__bases__, __doc__=reply.__doc__, __module__=__name__,
            **fields | own,
        )  # fmt: skip

    return complete


class _Movie(_Reply):
    movie: str
    title: str
    year: int | None
    genres: list[str]


class ListLine(_Movie):
    """One recommended movie; `score` in the model's unit, `predicted_rating` in stars."""

    rank: int
    score: float
    predicted_rating: float | None
    version: str
    distribution: list[float] | None = None


class ListReply(_UserReply):
    """A user's list."""

    recommendations: list[ListLine]


@_shaped_like(results.Cause)
class Cause(_Reply):
    """A rating that speaks for a movie, or against it."""


@_shaped_like(results.Explanation)
class ExplainReply(_Movie):
    """Why a movie, or why not."""

    chosen: Why | None = None
    causes: list[Cause]
    against: list[Cause]
    shared_genres: dict[str, float]


class NewcomerLine(ListLine):
    """One recommended movie, with its explanation where the request wants it."""

    explanation: ExplainReply | None = None


class NewcomerReply(_VersionedReply):
    """A newcomer's list."""

    user: str | None
    reason: Reason
    recommendations: list[NewcomerLine]


class Score(_Reply):
    """What a movie is worth to a user."""

    movie: str
    score: float
    predicted_rating: float | None


class ScoreReply(_UserReply):
    """Scores in the order of the question."""

    scores: list[Score]


class Neighbour(_Movie):
    """One movie like another."""

    rank: int
    similarity: float
    basis: SimilarityBasis
    version: str


class SimilarReply(_VersionedReply):
    """A movie's neighbours."""

    movie: str
    similar: list[Neighbour]


class FeedbackReply(_VersionedReply):
    """The thumb as it was kept."""

    user: str
    movie: str
    liked: bool
    rank: int | None
    at: datetime


class Share(_Reply):
    """A version's share of the users."""

    version: str
    share: float


class Data(_Reply):
    """What a version was trained on."""

    name: str
    fingerprint: str
    users: int
    movies: int


class VersionReply(_VersionedReply):
    """What answers."""

    model: str
    preset: str
    created_at: datetime
    is_current: bool
    data: Data
    split: str
    metrics: dict[str, Any]
    traffic: list[Share]


class HealthReply(_Reply):
    """Whether the API can answer."""

    status: Literal["ok", "degraded", "not ready"]
    ready: bool
    version: str | None
    loaded: list[str]
    database: Literal["ok", "unavailable"]
    problem: str | None


class Problem(_Reply):
    """What is wrong, where, and what to do."""

    code: str
    message: str
    hint: str
    where: str | None


class ErrorReply(_Reply):
    """Every error."""

    error: Problem
