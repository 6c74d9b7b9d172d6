"""Queries and bodies of requests: checked once, here, with bounds that the OpenAPI schema shows."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from movierec.data.catalogue import MAX_ID, usable_id
from movierec.inference.filters import Filters, RankBy

__all__ = [
    "ExplainQuestion",
    "Features",
    "FeedbackGiven",
    "HealthQuestion",
    "NewcomerQuestion",
    "RecommendQuestion",
    "ScoreQuestion",
    "SimilarQuestion",
    "VersionQuestion",
    "in_query",
    "of_query",
]

Question = TypeVar("Question", bound=BaseModel)

_MOST_FIELDS = 3_000
LONG = 100  # of a diverse list, whose movies are chosen one by one
MOST = 1_000  # of a list, of movies, of ratings


def _usable(text: str) -> str:
    is_text = not any("\ud800" <= letter <= "\udfff" for letter in text)  # half a character
    if not (is_text and usable_id(text)):
        raise ValueError("No id has such characters")
    return text


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


ID_PATTERN = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$"  # `usable_id` for the schema
_ID_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_ID, "pattern": ID_PATTERN}
Id = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ID),
    AfterValidator(_usable),
    WithJsonSchema({**_ID_SCHEMA, "examples": ["196"]}),
]
NO_TRUTH = BeforeValidator(_no_truth)  # after the bounds, or the schema loses them
Name = Annotated[
    str,
    Field(
        pattern=r"^(current|v[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6})$",
        max_length=24,
        description="a version, or current; left out: the user's own",
        examples=["current"],
    ),
]
Length = Annotated[int, Field(ge=1, le=MOST, description="length of the list"), NO_TRUTH]
Year = Annotated[int, Field(ge=1, le=9999), NO_TRUTH]
Genres = Annotated[list[Id], Field(max_length=100)]
Stars = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1000, le=1000)]


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VersionQuestion(_Question):
    """Which version."""

    version: Name | None = None


class _UserQuestion(VersionQuestion):
    user: Id


class _ListQuestion(VersionQuestion):
    """How a list is made."""

    k: Length = 10
    by: Annotated[RankBy, Field(description="sorted by the model's score or its stars")] = "ranking"
    diversity: Annotated[
        float, Field(ge=0, le=1, allow_inf_nan=False, description="0: the plain list")
    ] = 0.0
    exclude_seen: Annotated[bool, Field(description="without movies the user has rated")] = True
    distribution: Annotated[bool, Field(description="with the probability of each rating")] = False
    genres: Annotated[Genres, Field(description="at least one of them")] = []
    without_genres: Annotated[Genres, Field(description="none of them")] = []
    year_from: Year | None = None
    year_to: Year | None = None
    min_ratings: Annotated[
        int,
        Field(ge=0, le=1_000_000_000, description="known ratings of a movie, at least"),
        NO_TRUTH,
    ] = 0
    exclude: Annotated[list[Id], Field(max_length=MOST, description="movies left out")] = []

    @property
    def filters(self) -> Filters:
        """What the list is limited to."""
        return Filters(
            tuple(self.genres),
            tuple(self.without_genres),
            self.year_from,
            self.year_to,
            self.min_ratings,
            tuple(self.exclude),
        )

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of `LoadedVersion.recommend_for`, without the person."""
        return {
            "k": self.k,
            "by": self.by,
            "diversity": self.diversity,
            "exclude_seen": self.exclude_seen,
            "filters": self.filters,
        }

    @property
    def takes_long(self) -> bool:
        """Whether it takes so long that others should be answered meanwhile: tens of ms."""
        return self.diversity > 0 and self.k > LONG

    @property
    def is_plain(self) -> bool:
        """Whether the list is what the model says, with nothing left out but what was seen."""
        return (
            self.by == "ranking"
            and not self.diversity
            and self.exclude_seen
            and self.filters == Filters()
        )


class RecommendQuestion(_ListQuestion):
    """Who wants a list, and of what."""

    user: Id


class Features(_Question):
    """What is known of a person beside ratings."""

    age: Annotated[float, Field(strict=True, ge=0, le=150, allow_inf_nan=False)] | None = None
    gender: Id | None = None
    occupation: Id | None = None


class NewcomerQuestion(_ListQuestion):
    """Somebody who was not in training: ratings by movie, and what else is known."""

    # a query has only text, JSON has numbers: there `true` is none
    model_config = ConfigDict(strict=True)

    ratings: Annotated[
        dict[Id, Stars],
        Field(max_length=MOST, description="stars by movie id", examples=[{"1": 5, "50": 4}]),
    ]
    features: Features | None = None
    user: Annotated[
        Id | None, Field(description="any name: the same one is always answered by the same share")
    ] = None
    explain: Annotated[
        int, Field(ge=0, le=10, description="how many of the first lines say why"), NO_TRUTH
    ] = 0


class ScoreQuestion(_UserQuestion):
    """Which movies are scored for whom."""

    movies: Annotated[list[Id], Field(min_length=1, max_length=MOST, examples=[["1", "50"]])]


class SimilarQuestion(VersionQuestion):
    """Which movie's neighbours; a user's share says which version answers."""

    movie: Annotated[Id, Field(examples=["50"])]
    k: Length = 10
    user: Id | None = None


class ExplainQuestion(_UserQuestion):
    """Why which movie, or why not, for whom."""

    movie: Annotated[Id, Field(examples=["50"])]
    most: Annotated[int, Field(ge=1, le=50, description="ratings named, at most"), NO_TRUTH] = 5


class FeedbackGiven(_UserQuestion):
    """A thumb; without a version it counts for the one that answers this user."""

    movie: Annotated[Id, Field(examples=["50"])]
    liked: Annotated[bool, Field(strict=True)]
    rank: Annotated[int, Field(ge=1, le=MOST), NO_TRUTH] | None = None


class HealthQuestion(_Question):
    """Whether only an API that can answer is well."""

    ready: Annotated[bool, Field(description="503 instead of 200 while nothing can answer")] = False


def of_query(kind: type[Question], request: Request) -> Question:
    """Return a request's query as a question.

    Raises:
        RequestValidationError: a value cannot be used, is missing, unknown or given twice.

    """
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise _invalid("", f"There are more than {_MOST_FIELDS} values") from None
    values = _gathered(pairs, _lists(kind))
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        found = [{**each, "loc": ("query", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from error


def _gathered(pairs: list[tuple[str, str]], lists: frozenset[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise _invalid(name, "It is given twice")
        else:
            values[name] = value
    return values


def in_query(kind: type[BaseModel]) -> dict[str, Any]:
    """Return what the OpenAPI schema says of a question in a query."""
    schema = kind.model_json_schema()
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "description": field.pop("description", ""),
                "schema": {key: value for key, value in field.items() if key != "title"},
            }
            for name, field in schema["properties"].items()
        ]
    }


@cache
def _lists(kind: type[BaseModel]) -> frozenset[str]:
    """Return the fields that may be given several times."""
    fields = kind.model_fields.items()
    return frozenset(name for name, field in fields if _is_list(field.annotation))


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _invalid(name: str, message: str) -> RequestValidationError:
    where = ("query", name) if name else ("query",)
    return RequestValidationError([{"type": "value_error", "loc": where, "msg": message}])
