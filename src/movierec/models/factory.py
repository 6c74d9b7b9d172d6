"""Every baseline by name, and every kind of model brought back from its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from movierec.errors import ArtifactError, HyperparameterError, NotFoundError
from movierec.models.arrays import NamedArrays
from movierec.models.baselines import ease, implicit, knn, lightgcn, myfm, simple, surprise
from movierec.models.baselines.base import BaselineKind
from movierec.models.factors import FactorModel
from movierec.models.protocol import Estimator, Recommender
from movierec.models.residuals import ResidualModel

__all__ = [
    "BASELINES",
    "GRAPHSAGE",
    "BaselineKind",
    "baseline_kind",
    "load_recommender",
    "make_baseline",
]

GRAPHSAGE = "graphsage"


# a new baseline is a file with `BASELINES` of its own and its name here, in the order of lists
_FILES = (simple, surprise, knn, ease, implicit, lightgcn, myfm)
BASELINES: Mapping[str, BaselineKind] = MappingProxyType(
    {kind.name: kind for file in _FILES for kind in file.BASELINES}
)


def baseline_kind(name: str) -> BaselineKind:
    """Return the baseline of this name; NotFoundError lists the names there are."""
    try:
        return BASELINES[name]
    except KeyError:
        raise NotFoundError(
            f"There is no baseline {name!r}.", hint=f"Choose one of {', '.join(BASELINES)}."
        ) from None


def make_baseline(name: str, hyperparameters: Mapping[str, Any] | None = None) -> Estimator:
    """Return the estimator of a baseline; what is not set has its default.

    Raises:
        NotFoundError: there is no baseline of this name.
        HyperparameterError: a value is unknown, of the wrong type or out of bounds.

    """
    kind = baseline_kind(name)
    try:
        values = kind.hyperparameters(**(hyperparameters or {}))
    except ValidationError as error:
        raise _refusal(kind, error) from error
    return kind.estimator(values)


def load_recommender(kind: str, arrays: NamedArrays) -> Recommender:
    """Bring a model back from what its `arrays()` gave: a baseline's name, or "graphsage".

    Raises:
        ArtifactError: the kind is unknown, or an array is missing or does not fit.

    """
    if kind == GRAPHSAGE:
        graphsage = ResidualModel if "residual_kernel" in arrays else FactorModel
        return graphsage.from_arrays(arrays)
    if kind not in BASELINES:
        raise ArtifactError(
            f"This version is of the unknown kind {kind!r}.",
            hint="It may come from a newer movierec; update and try again.",
        )
    return BASELINES[kind].from_arrays(arrays)


def _refusal(kind: BaselineKind, error: ValidationError) -> HyperparameterError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    known = ", ".join(kind.hyperparameters.model_fields) or "nothing"
    unknown = first["type"] == "extra_forbidden"
    cause = "it has no such hyperparameter" if unknown else first["msg"]
    return HyperparameterError(
        f"{kind.label}: {name} = {first['input']!r} cannot be used: {cause}.",
        hint=f"What can be set: {known}.",
    )
