"""Options of several commands, and options made from the fields of pydantic models."""

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

__all__ = [
    "ALIASES",
    "RENAMED",
    "DataOption",
    "DatasetOption",
    "DeviceOption",
    "JsonOption",
    "QueueOption",
    "SetOption",
    "VersionArgument",
    "VersionsArgument",
    "YesOption",
    "accept",
    "assignment",
    "confirm",
    "given",
    "json_or_text",
]

# two models have a seed; the split's name is the option's own
RENAMED: Mapping[str, str] = {"name": "split", "seed": "split_seed"}
ALIASES: Mapping[str, str] = {"learning_rate": "--lr"}

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the facts as JSON and nothing else.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
QueueOption = Annotated[
    bool, typer.Option("--queue", help="Leave it to the worker, like the dashboard does.")
]
DatasetOption = Annotated[str | None, typer.Option(help="Data set; default: the newest.")]
DataOption = Annotated[str | None, typer.Option(help="Name of the data set; default: the newest.")]
VersionArgument = Annotated[str, typer.Argument(help="A version such as v1.2.0, or current.")]
VersionsArgument = Annotated[list[str], typer.Argument(help="Two versions or more.")]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter of a baseline; repeatable."),
]


def accept(
    *models: type[BaseModel],
    renamed: Mapping[str, str] = RENAMED,
    aliases: Mapping[str, str] = ALIASES,
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
    fields: Mapping[str, Any], model: type[BaseModel], renamed: Mapping[str, str] = RENAMED
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
    return name, json_or_text(value)


def json_or_text(text: str) -> Any:
    """Return what a text means as JSON; the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def confirm(question: str, *, yes: bool) -> None:
    """Ask on stderr before something is lost, unless `--yes` answers; "no" ends the command."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def _parameter(name: str, field: FieldInfo, alias: str | None) -> inspect.Parameter:
    kind: Any = field.annotation
    long = f"--{name.replace('_', '-')}"
    flags = [f"{long}/--no-{long[2:]}" if kind is bool else long, *([alias] if alias else [])]
    option = typer.Option(*flags, help=_help(field), show_default=False)
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
