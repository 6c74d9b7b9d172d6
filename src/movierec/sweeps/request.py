"""The request of a sweep as plain data, and its checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from movierec.errors import HyperparameterError
from movierec.models.factory import BASELINES
from movierec.models.graphsage.hyperparameters import RANKING_LOSSES, hyperparameters
from movierec.sweeps.space import Dimension, search_space
from movierec.workflows.requests import (
    EngineOptions,
    TrainRequest,
    error_text,
    full_hyperparameters,
)

__all__ = ["Metric", "SweepRequest"]

Metric = Literal["val_rmse", "val_ndcg_10"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,79}", re.ASCII)
_PROBES = 64  # random points of the space of which one must be allowed


class SweepRequest(BaseModel):
    """One sweep: which model on which data, what varies, what is measured on validation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: TrainRequest = Field(
        default_factory=TrainRequest, description="what all trials share"
    )
    search: tuple[str, ...] = Field(
        (), description="NAME, NAME=LOW..HIGH[:log] or NAME=A,B,C; empty: the preset's usual search"
    )
    metric: Metric | None = Field(None, description="None: what the preset is there for")
    name: str | None = Field(None, description="None: the preset's name and a number")
    trials: int = Field(20, ge=1, le=100_000, description="trials to add")
    engine: EngineOptions = Field(
        default_factory=EngineOptions,
        description="where trials are done; ray: as many as it has workers",
    )
    prune: bool = Field(True, description="stop trials that lag behind at the same epoch")

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str | None) -> str | None:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError("a sweep's name has letters, digits, '.', '_' and '-', at most 80")
        return name

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """Make a request and check everything in it that can be checked without the data.

        Raises:
            HyperparameterError: a field, a range or every combination cannot be used.

        """
        try:
            request = cls(**fields)
        except ValidationError as error:
            raise HyperparameterError(
                error_text(error), hint="`movierec sweep --help` lists every option."
            ) from error
        return request.complete()

    def complete(self) -> Self:
        """Return the request with its search and metric written out, once it makes sense.

        Raises:
            HyperparameterError: a range or every combination cannot be used.

        """
        training = self.training
        self.engine.check()
        if training.engine.is_ray:
            raise HyperparameterError(
                "A trial is one process's work: the sweep has the engine, not its trainings.",
                hint="Give the engine beside the training, not in it.",
            )
        if training.members > 1 or training.refit:
            raise HyperparameterError(
                "A sweep compares single models on validation: no members, no refit.",
                hint="Train the best with them afterwards.",
            )
        space = self.space
        _require_a_point(training, space)
        metric = self.metric or _usual_metric(training)
        _require_measured(training, space, metric)
        search = tuple(f"{name}={dimension.text}" for name, dimension in space.items())
        return self.model_copy(update={"search": search, "metric": metric})

    @property
    def space(self) -> dict[str, Dimension]:
        """What varies, by name."""
        training = self.training
        return search_space(training.preset, self.search, training.hyperparameters)

    def on(self, device: str | None) -> Self:
        """Return the same sweep on another device; None is the one of the settings."""
        training = self.training.model_copy(update={"device": device})
        return self.model_copy(update={"training": training})

    def trial(self, point: Mapping[str, Any]) -> TrainRequest:
        """Return the training of one point of the space."""
        values = {**self.training.hyperparameters, **point}
        return self.training.model_copy(update={"hyperparameters": values})


def _require_a_point(training: TrainRequest, space: Mapping[str, Dimension]) -> None:
    """Refuse a space none of whose points the model allows, with what it says of the first."""
    first: HyperparameterError | None = None
    for values in _points(space):
        merged = {**training.hyperparameters, **values}
        try:
            full_hyperparameters(training.model_copy(update={"hyperparameters": merged}))
        except HyperparameterError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise HyperparameterError(
            f"No combination can be trained: {first.message}", hint=first.hint
        ) from first


def _points(space: Mapping[str, Dimension]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [{name: part.draw(rng) for name, part in space.items()} for _ in range(_PROBES)]


def _usual_metric(training: TrainRequest) -> Metric:
    """Return what the preset's monitor watches; of a loss, the metric it stands for."""
    if not training.is_graphsage:
        return "val_rmse" if _rates(training) else "val_ndcg_10"
    monitor = _values(training)["monitor"]
    if monitor == "val_ndcg_10" or not _rates(training):
        return "val_ndcg_10"
    return "val_rmse"


def _require_measured(
    training: TrainRequest, space: Mapping[str, Dimension], metric: Metric
) -> None:
    if metric == "val_rmse" and "loss_type" not in space and not _rates(training):
        raise HyperparameterError(
            f"metric = val_rmse: {training.preset} predicts no ratings as it is set.",
            hint="Use --metric val_ndcg_10.",
        )


def _rates(training: TrainRequest) -> bool:
    """Return whether the model predicts ratings, as far as its fixed values say."""
    if not training.is_graphsage:
        return BASELINES[training.preset].predicts_ratings
    return _values(training)["loss_type"] not in RANKING_LOSSES


def _values(training: TrainRequest) -> dict[str, Any]:
    return {**hyperparameters(training.preset).model_dump(), **training.hyperparameters}
