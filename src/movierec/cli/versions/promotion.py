"""`movierec versions`: which one is current, and how that changed."""

from __future__ import annotations

from typing import Annotated

import typer

from movierec.cli.output import JsonOption, emit
from movierec.cli.versions.common import Name, opened
from movierec.cli.versions.tables import history_table
from movierec.settings import load_settings

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Give a group the commands that move `current`."""
    for command in (promote, rollback, history):
        app.command()(command)


def promote(
    name: Name,
    guard: Annotated[
        list[str] | None,
        typer.Option(help="A metric that may not get worse; repeatable. Default: the settings'."),
    ] = None,
    override: Annotated[
        str | None,
        typer.Option(
            help="Promote it whatever the checks find, for this reason.", metavar="REASON"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version the current one, unless it is worse for sure or its files are not whole."""
    from movierec.workflows.promote import promote as promote_checked

    guards = guard or load_settings().promotion_guards
    with opened() as (registry, _):
        record = promote_checked(registry, name, guards=guards, override=override)
        moves = registry.promotion.history()
    facts = {"current": record.name, "move": moves[0] if moves else None}
    emit(as_json, facts, lambda: f"{record.name} is current.")


def rollback(as_json: JsonOption = False) -> None:
    """Make the version current again that was so before; once more leads further back."""
    with opened() as (registry, _):
        record = registry.promotion.rollback()
    emit(as_json, {"current": record.name}, lambda: f"{record.name} is current again.")


def history(as_json: JsonOption = False) -> None:
    """List how current moved, newest first: when, to what, by whom and why."""
    with opened() as (registry, _):
        moves = registry.promotion.history()
    emit(as_json, moves, lambda: history_table(moves))
