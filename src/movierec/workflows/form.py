"""What a training's form asks: fields, groups and complaints, read from the models' own fields."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from movierec.data.splits import SplitName, SplitSpec
from movierec.models.factory import BASELINES
from movierec.models.fields import bounds, bounds_text, unit
from movierec.models.graphsage.formulas import AGGREGATORS
from movierec.models.graphsage.hyperparameters import PRESETS
from movierec.workflows.requests import (
    TrainRequest,
    error_cause,
    full_hyperparameters,
    hyperparameter_class,
    hyperparameter_fields,
)

__all__ = [
    "FormField",
    "FormGroup",
    "changes",
    "complaints",
    "describe",
    "groups",
    "label",
    "split_fields",
    "split_trouble",
]

Kind = Literal["int", "float", "bool", "choice", "several"]
_TYPES: Mapping[Any, Kind] = {int: "int", float: "float", bool: "bool"}

_SPLIT_UNITS: Mapping[str, str] = {
    "test_fraction": "share", "validation_fraction": "share", "last_n": "ratings",
    "given": "ratings",
}  # fmt: skip
_LABELS: Mapping[str, str] = {
    "early_stopping_patience": "Patience", "test_fraction": "Test part",
    "validation_fraction": "Validation", "given": "Given", "last_n": "Newest",
    "graph_ratings": "Largest graph",
}  # fmt: skip

# What one usually turns first comes first and unfolded; the rest is grouped by what it is about.
_FIRST = (
    "hidden_dim", "num_layers", "aggregator", "dropout", "loss_type", "learning_rate", "epochs",
    "early_stopping_patience",
)  # fmt: skip
_GROUPS: Mapping[str, Sequence[str]] = {
    "Graph and layers": (
        "messages", "liking_exponent", "weights", "readout", "head", "ranking_dim",
        "normalisation", "feature_layers", "feature_bands",
    ),
    "Against overfitting": (
        "feature_dropout", "weight_decay", "weight_average", "shrinkage", "gradient_clip",
    ),
    "What is learned": ("ordinal_weight", "ranking_weight", "sampled_movies", "residuals"),
    "Steps": ("optimizer", "schedule", "batch_size", "target_fraction", "hiding", "graph_ratings"),
    "When to stop": ("monitor", "min_delta"),
}  # fmt: skip
_OF_SPLIT: Mapping[str, Sequence[str]] = {
    "random": ("test_fraction", "validation_fraction", "seed"),
    "temporal": ("test_fraction", "validation_fraction"),
    "leave-last-n": ("last_n", "validation_fraction", "seed"),
    "cold-users": ("given", "validation_fraction", "seed"),
}
_ML_100K_RATINGS = 100_000


@dataclass(frozen=True)
class FormField:
    """One input: its name in every file and command, what it takes and what it starts from.

    `low` and `high` are the bounds of numbers, infinite where there is none; `options` what a
    choice, or a choice of several joined by "+", offers.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    low: float = -math.inf
    high: float = math.inf
    options: tuple[Any, ...] = ()
    unit: str = ""
    title: str = ""

    @property
    def label(self) -> str:
        """What the input is called, with its unit."""
        return (self.title or label(self.name)) + (f" ({self.unit})" if self.unit else "")


@dataclass(frozen=True)
class FormGroup:
    """Fields that belong together; the first group of a form has no title."""

    title: str
    fields: tuple[FormField, ...]


def label(name: str) -> str:
    """Return what an input is called: "Hidden dim" for "hidden_dim"."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def describe(preset: str) -> str:
    """Return what a preset or baseline is, in a line."""
    texts = {
        "default": "GraphSAGE whose messages carry the rating; the strongest here",
        "report": "GraphSAGE of the first report: three layers, maximum of the neighbours",
    }
    if preset in texts:
        return texts[preset]
    kind = BASELINES[preset]
    return f"{kind.label}. {kind.description}"


@cache
def groups(preset: str) -> tuple[FormGroup, ...]:
    """Return the hyperparameters of a preset or baseline, with the preset's values as defaults.

    Raises:
        NotFoundError: there is no such model.

    """
    kinds = hyperparameter_fields(preset)
    start = _start(preset)
    made = {name: _field(name, field, start[name]) for name, field in kinds.items()}
    if preset not in PRESETS:
        return (FormGroup("", tuple(made.values())),) if made else ()
    steps = "target_fraction" if start["target_fraction"] else "batch_size"
    named = {"": (*_FIRST, steps), **_GROUPS}
    known = {name for names in named.values() for name in names}
    named["More"] = tuple(name for name in made if name not in known)
    found = []
    for title, names in named.items():
        fields = tuple(made.pop(name) for name in names if name in made)
        found += [FormGroup(title, fields)] if fields else []
    return tuple(found)


def split_fields(name: SplitName) -> tuple[FormField, ...]:
    """Return what can be set of a split."""
    names = _OF_SPLIT.get(name, ("validation_fraction", "seed"))
    fields, start = SplitSpec.model_fields, SplitSpec(name=name).model_dump()
    return tuple(_field(each, fields[each], start[each]) for each in names)


def changes(preset: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that differ from the preset's."""
    start = _start(preset)
    return {name: value for name, value in values.items() if value != start.get(name)}


def complaints(preset: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong, by the field beside which it should stand; empty if nothing is.

    What is wrong between fields stands beside each that the complaint names.
    """
    found: dict[str, str] = {}
    try:
        hyperparameter_class(preset)(**values)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            names = [str(part) for part in item["loc"]] or _named_in(item["msg"], values)
            found |= dict.fromkeys(names[:1] if item["loc"] else names, error_cause(item))
    return found


def split_trouble(name: str, n_ratings: int, *, has_times: bool) -> str:
    """Return why a data set cannot be split so, as far as its size and times tell; else ""."""
    if name[:1] == "u" and n_ratings != _ML_100K_RATINGS:
        return f"{name} is a fold of MovieLens 100K; this data set has {n_ratings:,} ratings"
    if name in ("temporal", "leave-last-n", "cold-users") and not has_times:
        return f"{name} needs the time of each rating, which this data set does not have"
    return ""


@cache
def _start(preset: str) -> dict[str, Any]:
    return full_hyperparameters(TrainRequest(preset=preset))


def _field(name: str, field: FieldInfo, default: Any) -> FormField:
    limits = bounds_text(field)
    text = (field.description or "") + (f" ({limits})" if limits else "")
    text = f"{text[:1].upper()}{text[1:]}. In commands and files: {name}."
    if name == "aggregator":
        return FormField(name, "several", default, text, options=tuple(AGGREGATORS))
    if get_origin(field.annotation) is Literal:
        return FormField(name, "choice", default, text, options=get_args(field.annotation))
    measured_in = unit(field) or _SPLIT_UNITS.get(name, "")
    return FormField(
        name, _TYPES[field.annotation], default, text, *bounds(field), unit=measured_in
    )


def _named_in(message: str, values: Mapping[str, Any]) -> list[str]:
    words = set(re.findall(r"\w+", message))
    return [name for name in values if name in words] or ["preset"]
