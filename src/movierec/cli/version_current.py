"""`movierec versions`: which one is current, and how that changed."""

from __future__ import annotations

import typer

from movierec.cli.output import JsonOption, emit
from movierec.cli.version_rooms import Name, opened
from movierec.cli.version_tables import history_table

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give a group the commands that move `current`."""
    for command in (promote, rollback, history):
        app.command()(command)


def promote(name: Name, as_json: JsonOption = False) -> None:
    """Make a version the current one, after checking its files."""
    with opened() as (registry, _):
        record = registry.promote(name)
    emit(as_json, {"current": record.name}, lambda: f"{record.name} is current.")


def rollback(as_json: JsonOption = False) -> None:
    """Make the version current again that was so before; once more leads further back."""
    with opened() as (registry, _):
        record = registry.rollback()
    emit(as_json, {"current": record.name}, lambda: f"{record.name} is current again.")


def history(as_json: JsonOption = False) -> None:
    """List how current moved, newest first: when, to what, by whom and why."""
    with opened() as (registry, _):
        moves = registry.history()
    emit(as_json, moves, lambda: history_table(moves))
