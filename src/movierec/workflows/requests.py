"""Requests to train and to measure, as plain data that a run's row can hold.

Imports no torch: the pages call this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from movierec.data.splits import SplitSpec
from movierec.errors import HyperparameterError
from movierec.models.factory import BASELINES, baseline_kind, make_baseline
from movierec.models.fields import validation_message
from movierec.models.graphsage.hyperparameters import PRESETS, SageHyperparameters, hyperparameters

__all__ = [
    "MODELS",
    "MOST_MEMBERS",
    "MOST_VERSIONS",
    "MOST_WORKERS",
    "EngineName",
    "EngineOptions",
    "MeasureRequest",
    "TrainRequest",
    "engine_trouble",
    "error_cause",
    "error_text",
    "full_hyperparameters",
    "hyperparameter_class",
    "hyperparameter_fields",
]

MOST_MEMBERS = 32
MOST_VERSIONS = 50
MOST_WORKERS = 1024
MODELS: tuple[str, ...] = (*PRESETS, *BASELINES)


EngineName = Literal["local", "ray"]


class EngineOptions(BaseModel):
    """Where a training or a sweep is worked on; the result is the same wherever that is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: EngineName = Field("local", description="local: this process; ray: workers on Ray")
    workers: int = Field(1, ge=1, le=MOST_WORKERS, description="processes at work at a time")
    address: str | None = Field(
        None, description="of a Ray cluster, host:port or auto; None: one is started for the run"
    )

    @field_validator("address")
    @classmethod
    def _usable(cls, address: str | None) -> str | None:
        if address is not None and not address.strip():
            raise ValueError("it is empty; leave it out to start a cluster for the run")
        if address is not None and "://" in address:
            raise ValueError("name the cluster's own host and port, as in 10.0.0.1:6379")
        return address

    def check(self) -> None:
        """Raise HyperparameterError where this process is asked for and workers are described."""
        if not self.is_ray and (self.workers > 1 or self.address is not None):
            raise HyperparameterError(
                "Several workers and an address need the engine ray.",
                hint="Add --engine ray, or leave --workers and --address out.",
            )

    @property
    def is_ray(self) -> bool:
        """Whether workers on Ray do the work."""
        return self.name == "ray"

    @property
    def options(self) -> list[str]:
        """The words of a command line that ask for it; none for this process."""
        if not self.is_ray:
            return []
        address = ["--address", self.address] if self.address else []
        return ["--engine", self.name, "--workers", str(self.workers), *address]

    @property
    def facts(self) -> dict[str, Any]:
        """What a run and a version say of it; the address is nobody else's business."""
        return {"engine": self.name, "workers": self.workers} if self.is_ray else {}


class TrainRequest(BaseModel):
    """One training: which model, on which data, split how, with which changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = Field("default", description="a GraphSAGE preset or a baseline")
    dataset: str | None = Field(None, description="name of the data set; the newest if none")
    split: SplitSpec = Field(default_factory=SplitSpec, description="how the ratings are divided")
    hyperparameters: dict[str, Any] = Field(
        default_factory=dict, description="what differs from the preset"
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="seed of weights, dropout and batches")
    device: str | None = Field(None, description="auto, cpu, cuda, cuda:1 or mps; None: settings")
    engine: EngineOptions = Field(
        default_factory=EngineOptions,
        description="where the steps are done: here, or by workers on Ray",
    )
    members: int = Field(
        1, ge=1, le=MOST_MEMBERS, description="models of different seeds, averaged into one"
    )
    refit: bool = Field(
        False, description="train as many steps again on train and validation together"
    )
    make_current: bool | None = Field(None, description="None: only if no version is current")

    @field_validator("preset")
    @classmethod
    def _known(cls, preset: str) -> str:
        if preset not in MODELS:
            raise ValueError(f"there is no model {preset!r}; choose one of {', '.join(MODELS)}")
        return preset

    @property
    def is_graphsage(self) -> bool:
        """Whether the model is a GraphSAGE and not a baseline."""
        return self.preset in PRESETS

    @property
    def label(self) -> str:
        """What a table calls the training: "default", "default, 5 members, refit"."""
        members = f"{self.members} members" if self.members > 1 else ""
        return ", ".join(part for part in (self.preset, members, "refit" * self.refit) if part)

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """Make a request and check everything in it that can be checked without the data.

        Raises:
            HyperparameterError: a field, the split or a hyperparameter cannot be used.

        """
        try:
            request = cls(**fields)
        except ValidationError as error:
            raise HyperparameterError(
                error_text(error),
                hint="`movierec train --help` lists every option with its bounds.",
            ) from error
        request.check()
        return request

    def check(self) -> None:
        """Refuse what the model does not have or allow."""
        self.engine.check()
        if self.is_graphsage:
            hyperparameters(self.preset, **self.hyperparameters)
            return
        if self.members > 1 or self.refit:
            raise HyperparameterError(
                f"Only a GraphSAGE can be averaged or refitted, not the baseline {self.preset}.",
                hint=f"Leave members and refit out, or choose one of {', '.join(PRESETS)}.",
            )
        if self.engine.is_ray:
            raise HyperparameterError(
                f"Only a GraphSAGE is trained by several workers, not the baseline {self.preset}.",
                hint="Leave the engine out: a baseline is fitted in one process.",
            )
        make_baseline(self.preset, self.hyperparameters)


class MeasureRequest(BaseModel):
    """Versions to be measured on ratings that none of them has seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    versions: tuple[str, ...] = Field(description="which versions, each once")

    @field_validator("versions")
    @classmethod
    def _several(cls, versions: tuple[str, ...]) -> tuple[str, ...]:
        twice = [name for place, name in enumerate(versions) if name in versions[:place]]
        if twice:
            raise ValueError(f"{twice[0]} is named twice")
        if not 2 <= len(versions) <= MOST_VERSIONS:
            raise ValueError(f"{len(versions)} named")
        return versions

    @classmethod
    def of(cls, versions: Sequence[str]) -> Self:
        """Make a request; HyperparameterError when there are too few versions, or one twice."""
        try:
            return cls(versions=tuple(versions))
        except ValidationError as error:
            raise HyperparameterError(
                f"These versions can't be measured together: {error_cause(error.errors()[0])}.",
                hint=f"Name 2 to {MOST_VERSIONS} of them, each once.",
            ) from error


def hyperparameter_class(preset: str) -> type[BaseModel]:
    """Return the class of a preset's or baseline's hyperparameters."""
    return SageHyperparameters if preset in PRESETS else baseline_kind(preset).hyperparameters


def hyperparameter_fields(preset: str) -> Mapping[str, FieldInfo]:
    """Return the hyperparameters of a preset or baseline, by name."""
    return hyperparameter_class(preset).model_fields


def full_hyperparameters(training: TrainRequest) -> dict[str, Any]:
    """Return every hyperparameter of a training, those of the preset included.

    Raises:
        HyperparameterError: one is unknown or out of bounds, or two contradict each other.

    """
    changes = training.hyperparameters
    if training.is_graphsage:
        return hyperparameters(training.preset, **changes).model_dump()
    make_baseline(training.preset, changes)
    return hyperparameter_class(training.preset)(**changes).model_dump()


def error_text(error: ValidationError) -> str:
    """Return what is wrong with each field, as "field = value: cause; …"."""
    parts = []
    for item in error.errors(include_url=False):
        name = ".".join(str(part) for part in item["loc"])
        parts.append(f"{name} = {item['input']!r}: {error_cause(item)}")
    return "; ".join(parts) + "."


def error_cause(item: Mapping[str, Any]) -> str:
    """Return what one item of `ValidationError.errors()` says, to stand after a colon."""
    cause = validation_message(item["msg"])
    return cause[:1].lower() + cause[1:]


def engine_trouble(fields: Mapping[str, Any]) -> str:
    """Return what is wrong with the fields of an engine; empty if nothing is."""
    try:
        EngineOptions(**fields).check()
    except ValidationError as error:
        return validation_message(error.errors(include_url=False)[0]["msg"])
    except HyperparameterError as error:
        return error.message
    return ""
