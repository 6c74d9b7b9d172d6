"""`movierec versions push` and `pull`: versions that several machines share."""

from __future__ import annotations

from typing import Annotated

import typer

from movierec.cli.output import JsonOption, console, emit, progress_bar
from movierec.cli.versions.tables import opened
from movierec.registry import Registry
from movierec.registry.names import listed
from movierec.settings import Settings
from movierec.store import open_store

__all__ = ["add_to", "tell_what_waits"]


def add_to(app: typer.Typer) -> None:
    """Add these commands to `movierec versions`."""
    for command in (push, pull):
        app.command()(command)


def push(
    names: Annotated[
        list[str] | None, typer.Argument(help="Versions; without any, those that wait.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put versions into MOVIEREC_ARTIFACTS_URL, from where every machine can fetch them.

    A new version is pushed when it is kept; what could not be pushed then waits. One that is
    named is pushed again, which mends what was changed there.
    """
    with opened() as (registry, _), progress_bar("Pushing") as tell:
        pushed, place = registry.push(names or (), tell), registry.location
    said = f"{listed(pushed)} {_is(pushed)} in {place}." if pushed else "No version waits."
    emit(as_json, {"pushed": pushed, "location": place}, lambda: said)


def pull(
    names: Annotated[
        list[str] | None, typer.Argument(help="Versions; without any, the current one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch versions from MOVIEREC_ARTIFACTS_URL; a damaged copy here is replaced.

    Whatever needs a version fetches it by itself: this is for before, and for repairs.
    """
    with opened() as (registry, _), progress_bar("Fetching") as tell:
        here = [registry.pull(name, tell).name for name in names or ["current"]]
        place = registry.location
    said = f"{listed(here)} {_is(here)} on this machine, whole."
    emit(as_json, {"here": here, "location": place}, lambda: said)


def tell_what_waits(settings: Settings, name: str) -> None:
    """Say on stderr that a version which was just kept could not be pushed, if so."""
    if not settings.artifacts_url:
        return
    with open_store(settings) as store:
        is_alone = name in Registry(settings, store).waiting()
    if is_alone:
        message = (
            f"{name} could not be pushed: it lies on this machine alone and is not current. "
            "Try again: movierec versions push"
        )
        console(stderr=True).print(message, markup=False, soft_wrap=True)


def _is(names: list[str]) -> str:
    return "are" if len(names) > 1 else "is"
