"""What every baseline's file says of it, and how it reaches optional packages."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict

from movierec.errors import TrainingError
from movierec.models.arrays import NamedArrays
from movierec.models.fields import setting
from movierec.models.protocol import Estimator, Recommender

__all__ = [
    "BaselineHyperparameters",
    "BaselineKind",
    "bench_module",
    "l2_penalty",
    "passes",
    "step_size",
    "vector_length",
]


class BaselineHyperparameters(BaseModel):
    """Base of them all, and all there is to set for a model that has nothing to set."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def vector_length(default: int, search: str) -> Any:
    """Declare the length of the vectors of a matrix factorization."""
    text = "length of the user and movie vectors"
    return setting(default, text, ge=1, le=1000, unit="numbers", search=search)


def passes(default: int, search: str, *, most: int = 1000) -> Any:
    """Declare a number of epochs."""
    text = "passes over the training ratings"
    return setting(default, text, ge=1, le=most, unit="passes", search=search)


def step_size(default: float, search: str) -> Any:
    """Declare a learning rate."""
    return setting(default, "step of the gradient descent", gt=0, le=1, search=search)


def l2_penalty(default: float, search: str) -> Any:
    """Declare a regularization."""
    return setting(default, "L2 penalty on every parameter", ge=0, le=10, search=search)


@dataclass(frozen=True)
class BaselineKind:
    """One baseline: how it is called, what can be set, how it is made and brought back.

    `tuned`: the best values on the validation part of `random` (docs/PEERS.md), where the defaults
    stay those of the library that the baseline comes from.
    """

    name: str
    label: str
    description: str
    hyperparameters: type[BaselineHyperparameters]
    estimator: Callable[[Any], Estimator]  # takes an instance of `hyperparameters`
    from_arrays: Callable[[NamedArrays], Recommender]
    predicts_ratings: bool
    tuned: Mapping[str, Any] = field(default_factory=dict)


def bench_module(name: str) -> ModuleType:
    """Import a module of a package that only some baselines need.

    Raises:
        TrainingError: the package is not installed, or cannot be loaded on this machine.

    """
    try:
        with warnings.catch_warnings():
            # myfm asks pkg_resources for its own version
            warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
            return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise TrainingError(
            f"This baseline needs the package {package}, which cannot be imported: {error}.",
            hint="Install it with `make bench` or `poetry install --with bench`.",
        ) from error
