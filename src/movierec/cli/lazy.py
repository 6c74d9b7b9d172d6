"""Commands whose modules are imported when they are called, not to list their names.

The modules bring pandas, SQLAlchemy or torch along; help and completion need none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

__all__ = ["Entry", "add_lazily", "lazy_group"]


@dataclass(frozen=True)
class Entry:
    """Where a command is, as "module:attribute", and the line that lists show of it."""

    target: str
    help: str


def lazy_group(entries: Mapping[str, Entry]) -> type[TyperGroup]:
    """Return a kind of group that looks its commands up in `entries` when they are called."""

    class LazyGroup(TyperGroup):
        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            name, command, rest = super().resolve_command(ctx, args)
            entry = entries.get(name or "")
            return name, _load(name or "", entry) if entry else command, rest

    return LazyGroup


def add_lazily(app: typer.Typer, entries: Mapping[str, Entry]) -> None:
    """List the commands in an app whose group is a `lazy_group` of the same entries."""
    for name, entry in entries.items():
        app.command(name, help=entry.help)(_listed_only)


def _listed_only() -> None:
    """Stand for a command in lists; `resolve_command` puts the real one in its place."""


def _load(name: str, entry: Entry) -> Any:
    module, _, attribute = entry.target.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return get_command(alone)
