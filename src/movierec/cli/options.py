"""Command line options made from pydantic models: names, bounds and help texts in one place."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from movierec.errors import HyperparameterError
from movierec.models.fields import bounds_text
from movierec.workflows.requests import EngineName

__all__ = ["AddressOption", "EngineOption", "WorkersOption", "accept", "assignment", "given"]

EngineOption = Annotated[
    EngineName, typer.Option(help="Where it is worked on: in this process, or by workers on Ray.")
]
WorkersOption = Annotated[int, typer.Option(help="With --engine ray: how many work at a time.")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="With --engine ray: a cluster; default: one started for the run."
    ),
]


def accept(
    *models: type[BaseModel],
    renamed: Mapping[str, str],
    aliases: Mapping[str, str],
    without: tuple[str, ...] = (),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option per field of the models, in place of its `**fields`.

    Every option defaults to None, "as the preset has it". `renamed` maps a field to its
    option's name where two models share one; `aliases` adds short forms.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        made = [
            _parameter(renamed.get(name, name), field, aliases.get(name))
            for model in models
            for name, field in model.model_fields.items()
            if name not in without
        ]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *made)]
        command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
        return command

    return decorate


def given(
    fields: Mapping[str, Any], model: type[BaseModel], renamed: Mapping[str, str]
) -> dict[str, Any]:
    """Return the values of a model's fields that were given on the command line."""
    values = {name: fields.get(renamed.get(name, name)) for name in model.model_fields}
    return {name: value for name, value in values.items() if value is not None}


def assignment(text: str) -> tuple[str, Any]:
    """Split NAME=VALUE; the value is JSON where it can be read so, else text.

    Raises:
        HyperparameterError: there is no "=".

    """
    name, equals, value = text.partition("=")
    if not equals:
        raise HyperparameterError(
            f"--set {text} names no value.", hint="Write it as --set NAME=VALUE."
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _parameter(name: str, field: FieldInfo, alias: str | None) -> inspect.Parameter:
    kind: Any = field.annotation
    long = f"--{name.replace('_', '-')}"
    flags = [f"{long}/--no-{long[2:]}" if kind is bool else long, *([alias] if alias else [])]
    option = typer.Option(
        *flags,
        help=_help(field),
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _help(field: FieldInfo) -> str:
    text = field.description or ""
    limits = bounds_text(field)
    return f"{text} ({limits})" if limits else text
