"""What a sweep tries: a range or a list per hyperparameter, read from the models' own fields."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from movierec.errors import HyperparameterError
from movierec.models.factory import BASELINES
from movierec.models.fields import search_range, validation_message
from movierec.models.graphsage.hyperparameters import PRESETS
from movierec.workflows.requests import hyperparameter_fields

__all__ = [
    "DEFAULT_SEARCH",
    "Choices",
    "Dimension",
    "Range",
    "search_space",
]

_PLAIN = ConfigDict(frozen=True, extra="forbid")
_HINT = "Write it as --search NAME, NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=A,B,C."

# The usual search of a preset; that of a baseline is everything it has a range for.
DEFAULT_SEARCH: Mapping[str, Sequence[str]] = {
    "report": ("learning_rate", "hidden_dim", "num_layers", "dropout", "batch_size"),
    "default": (
        "learning_rate", "weight_decay", "hidden_dim", "dropout", "feature_dropout",
        "ranking_weight", "target_fraction",
    ),
}  # fmt: skip
_ANY_PRESET = ("learning_rate", "hidden_dim", "num_layers", "dropout")


class Range(BaseModel):
    """Numbers from `low` to `high`, both included; `log`: every factor is as likely."""

    model_config = _PLAIN

    low: float
    high: float
    log: bool = False
    whole: bool = Field(False, description="whole numbers only")

    @model_validator(mode="after")
    def _check_ends(self) -> Self:
        if not self.low < self.high:
            raise ValueError("the lower end must be below the upper one")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic range starts above 0")
        return self

    @property
    def values(self) -> tuple[Any, ...]:
        """The values that must be allowed for all of them to be: both ends."""
        return (round(self.low), round(self.high)) if self.whole else (self.low, self.high)

    @property
    def text(self) -> str:
        """The range as it is typed."""
        low, high = self.values
        return f"{low!r}..{high!r}{':log' * self.log}"

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def draw(self, rng: np.random.Generator) -> Any:
        """Return a random value."""
        low, high = (math.log(e) if self.log else e for e in (self.low, self.high))
        value = rng.uniform(low, high)
        value = min(max(math.exp(value) if self.log else value, self.low), self.high)
        return round(value) if self.whole else value


class Choices(BaseModel):
    """Values with no order between them."""

    model_config = _PLAIN

    values: tuple[bool | int | float | str, ...]

    @model_validator(mode="after")
    def _check_several(self) -> Self:
        if len(set(self.values)) < 2 or len(set(self.values)) != len(self.values):
            raise ValueError("a list needs two or more values, all different")
        return self

    @property
    def text(self) -> str:
        """The list as it is typed."""
        return ",".join(v if isinstance(v, str) else json.dumps(v) for v in self.values)

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def draw(self, rng: np.random.Generator) -> Any:
        """Return a random value."""
        return self.values[rng.integers(len(self.values))]


Dimension = Range | Choices


def search_space(
    preset: str, texts: Sequence[str] = (), fixed: Mapping[str, Any] | None = None
) -> dict[str, Dimension]:
    """Return what `NAME`, `NAME=LOW..HIGH[:log]` and `NAME=A,B,C` ask for.

    Without texts it is the preset's usual search, less the names that are fixed.

    Raises:
        HyperparameterError: a text cannot be read, or names what the model does not have,
            does not allow or that is fixed.

    """
    fixed = fixed or {}
    wanted = texts or [name for name in _usual(preset) if name not in fixed]
    space: dict[str, Dimension] = {}
    for text in wanted:
        name, equals, values = text.partition("=")
        if name in space:
            raise HyperparameterError(f"{name} is searched twice.", hint="Give it once.")
        space[name] = _dimension(preset, name, values if equals else None)
    _check(preset, space, fixed)
    return space


def _check(preset: str, space: Mapping[str, Dimension], fixed: Mapping[str, Any]) -> None:
    """Refuse what is fixed as well, and values that the model does not allow."""
    if not space:
        raise HyperparameterError(
            f"There is nothing to search for {preset}.", hint="Name something with --search."
        )
    for name, dimension in space.items():
        field = _field(preset, name)
        if name in fixed:
            raise HyperparameterError(
                f"{name} is both searched and fixed at {fixed[name]!r}.", hint="Leave out one."
            )
        for value in dimension.values:
            _require_allowed(name, field, value)


def _usual(preset: str) -> Sequence[str]:
    if preset in PRESETS:
        return DEFAULT_SEARCH.get(preset, _ANY_PRESET)
    fields = hyperparameter_fields(preset)
    return [name for name, field in fields.items() if search_range(field)]


def _field(preset: str, name: str) -> FieldInfo:
    fields = hyperparameter_fields(preset)
    if name not in fields:
        label = BASELINES[preset].label if preset in BASELINES else "A GraphSAGE"
        raise HyperparameterError(
            f"{label} has no hyperparameter {name!r} to search.",
            hint=f"It has {', '.join(fields) or 'none'}.",
        )
    return fields[name]


def _dimension(preset: str, name: str, values: str | None) -> Dimension:
    field = _field(preset, name)
    if values is None:
        return _usual_dimension(name, field)
    try:
        return _read(field, values)
    except ValidationError as error:
        cause = validation_message(error.errors(include_url=False)[0]["msg"])
        raise _unusable(name, values, cause) from error
    except ValueError as error:
        raise _unusable(name, values, str(error)) from error


def _usual_dimension(name: str, field: FieldInfo) -> Dimension:
    usual, kind = search_range(field), _kind(field)
    if usual is not None:
        return _read(field, usual)
    if kind is bool:
        return Choices(values=(False, True))
    if get_origin(kind) is Literal:
        return Choices(values=get_args(kind))
    raise HyperparameterError(f"{name} has no usual range to search.", hint=_HINT)


def _read(field: FieldInfo, values: str) -> Dimension:
    """Read `LOW..HIGH`, `LOW..HIGH:log` or `A,B,C` as values of the field's type."""
    kind = _kind(field)
    low, dots, rest = values.partition("..")
    if not dots:
        return Choices(values=tuple(_value(kind, item.strip()) for item in values.split(",")))
    if kind not in (int, float):
        raise ValueError("only numbers have a range")
    high, colon, word = rest.partition(":")
    if colon and word != "log":
        raise ValueError(f"{word!r} is not log")
    ends = {"low": _value(kind, low), "high": _value(kind, high)}
    return Range(**ends, log=bool(colon), whole=kind is int)


def _value(kind: Any, text: str) -> Any:
    if kind is bool:
        try:
            return {"true": True, "false": False}[text.lower()]
        except KeyError:
            raise ValueError(f"{text!r} is neither true nor false") from None
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"{text!r} is no {'whole ' * (kind is int)}number") from None
    return next((value for value in get_args(kind) if str(value) == text), text)


def _kind(field: FieldInfo) -> Any:
    """Return the type of a field; of an optional one, the type that is not None."""
    kind = field.annotation
    if get_origin(kind) in (Union, UnionType):
        kind = next(item for item in get_args(kind) if item is not type(None))
    return kind


def _require_allowed(name: str, field: FieldInfo, value: Any) -> None:
    kind: Any = Annotated[field.annotation, field]
    try:
        TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"]
        raise _unusable(name, repr(value), f"{message[0].lower()}{message[1:]}") from error


def _unusable(name: str, values: str, cause: str) -> HyperparameterError:
    return HyperparameterError(f"{name} = {values} cannot be searched: {cause}.", hint=_HINT)
