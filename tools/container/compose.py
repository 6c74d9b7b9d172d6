"""What compose.yaml says of its services, as far as ours uses it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from tools.bootstrap.checks import SetupError

__all__ = ["Service", "read_services"]

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


@dataclass(frozen=True)
class Service:
    """One service: what it runs, with which values, and how one sees that it is well."""

    name: str
    image: str
    target: str  # the stage that the image is made of; empty: it is somebody else's
    command: list[str]
    environment: dict[str, str]
    volumes: dict[str, str]
    hostname: str = ""
    needs: dict[str, str] = field(default_factory=dict)
    health: list[str] = field(default_factory=list)
    is_watched: bool = True


def read_services(path: Path, values: Mapping[str, str]) -> dict[str, Service]:
    """Return the services by name, with values in place of `${NAME}`.

    Raises:
        SetupError: a value that has to be given is not; it tells which and why.

    """
    told = yaml.safe_load(_filled(path.read_text("utf-8"), values))
    return {name: _service(name, each) for name, each in told["services"].items()}


def _service(name: str, told: Mapping[str, Any]) -> Service:
    health = told.get("healthcheck", {})
    test = list(health.get("test", []))
    volumes = dict(each.split(":", 1) for each in told.get("volumes", []))
    needs = {key: each["condition"] for key, each in told.get("depends_on", {}).items()}
    return Service(
        name=name, image=told["image"], target=told.get("build", {}).get("target", ""),
        command=list(told.get("command", [])),
        environment={key: str(value) for key, value in told.get("environment", {}).items()},
        volumes=volumes, hostname=told.get("hostname", name), needs=needs,
        health=["sh", "-c", *test[1:]] if test[:1] == ["CMD-SHELL"] else test[1:],
        is_watched=not health.get("disable", False),
    )  # fmt: skip


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: _value(found, values), text)


def _value(found: re.Match[str], values: Mapping[str, str]) -> str:
    name, kind, rest = found.groups()
    if value := values.get(name):
        return value
    if kind == "?":
        raise SetupError(f"{name}: {rest}")
    return rest or ""
