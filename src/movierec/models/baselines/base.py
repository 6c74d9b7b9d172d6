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
from movierec.models.protocol import Estimator, Recommender

__all__ = ["BaselineHyperparameters", "BaselineKind", "bench_module"]


class BaselineHyperparameters(BaseModel):
    """Base of them all, and all there is to set for a model that has nothing to set."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
