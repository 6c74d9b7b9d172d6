"""What does the work of a training or a sweep: this process, or the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from movierec.errors import HyperparameterError, SettingsError

__all__ = [
    "HINT",
    "MOST_WORKERS",
    "Engine",
    "EngineName",
    "engine_trouble",
    "has_ray",
    "require_ray",
]

EngineName = Literal["local", "ray"]
MOST_WORKERS = 1024
HINT = "Install it: `make ray`, or movierec with its extra `ray`."


class Engine(BaseModel):
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


def engine_trouble(fields: Mapping[str, Any]) -> str:
    """Return what is wrong with the fields of an engine; empty if nothing is."""
    try:
        Engine(**fields).check()
    except ValidationError as error:
        return str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
    except HyperparameterError as error:
        return error.message
    return ""


def has_ray() -> bool:
    """Return whether Ray is installed, without importing it."""
    return find_spec("ray") is not None


def require_ray() -> None:
    """Raise SettingsError unless Ray is installed."""
    if not has_ray():
        raise SettingsError("The engine ray needs the package ray, which is missing.", hint=HINT)
