"""Letting this machine's folders follow the rows that several machines share. Hold the lock.

Other machines keep and delete versions too: a version without a folder here is nothing unusual,
and a copy whose row is gone was deleted elsewhere. What was never pushed is work of this machine,
and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from movierec.errors import ArtifactError
from movierec.registry.alias import clear_alias, point_alias, read_alias
from movierec.registry.files import problems_of
from movierec.registry.locking import KEEPING, is_locked
from movierec.registry.manifest import read_manifest
from movierec.registry.names import CURRENT, TRASH, is_folder
from movierec.registry.reconcile import add_row, folders, forget_measurements
from movierec.registry.shared.copies import Copies
from movierec.registry.trash import is_expired, tidy
from movierec.runtime import own_user
from movierec.store import Store, VersionRecord
from movierec.store.folders import clear_abandoned, discard, set_aside, sync

__all__ = ["Shared", "reconcile_shared"]


@dataclass(frozen=True)
class Shared:
    """This machine's folder of versions, and what it shares."""

    root: Path
    store: Store
    copies: Copies
    trash_time: timedelta

    def listed(self) -> set[str]:
        """Return the names of the versions that are not in the trash."""
        return {record.name for record in self.store.versions.summaries(())}

    def trashed(self) -> set[str]:
        """Return the names of those that are."""
        return {record.name for record in self.store.versions.trashed()}


def reconcile_shared(place: Shared, remove: Callable[[VersionRecord], None]) -> list[str]:
    """Repair what can be repaired here; return a line for each thing done.

    `remove` deletes a version for good.
    """
    lines = [
        f"Removed {leftover}, left by a process that was killed."
        for leftover in clear_abandoned(place.root)
    ]
    lines += _settle_trash(place)
    if not is_locked(place.root, KEEPING):  # else its keeper lists it
        lines += _adopt(place)
    lines += _unmark_missing(place)
    lines += _empty_trash(place, remove)
    lines += forget_measurements(place.root, place.store.versions)
    lines += _follow(place)
    return lines


def _settle_trash(place: Shared) -> Iterator[str]:
    """Move folders to where their rows say they are."""
    trash, listed, trashed = place.root / TRASH, place.listed(), place.trashed()
    for name in sorted(trashed & folders(place.root)):
        trash.mkdir(exist_ok=True)
        yield from _moved(place, place.root / name, trash / name)
    for name in sorted(listed & folders(trash)):
        yield from _moved(place, trash / name, place.root / name)
    tidy(place.root)


def _moved(place: Shared, source: Path, target: Path) -> Iterator[str]:
    if not target.exists():
        source.rename(target)
        sync(place.root)
        where = "into" if target.parent.name == TRASH else "out of"
        yield f"Moved {source.name} {where} the trash, as another machine did."
    elif place.copies.holds(source):
        yield from _dropped(place, source, "was there twice")


def _adopt(place: Shared) -> Iterator[str]:
    """Take up work of this machine that is not listed; drop copies of what was deleted."""
    known = place.listed() | place.trashed()
    deleted = {*place.store.versions.names_ever()} - known
    until = datetime.now(UTC) + place.trash_time
    for parent, words in ((place.root, {}), (place.root / TRASH, {"trashed_until": until})):
        for name in sorted(folders(parent) - known):
            folder = parent / name
            if name in deleted and place.copies.holds(folder):
                yield from _dropped(place, folder, "was deleted on another machine")
                place.copies.forget(name)
            elif problems := problems_of(folder):
                yield f"{name} is not taken up: {problems[0]}"
            else:
                add_row(place.store.versions, read_manifest(folder), **words)
                known.add(name)
                yield f"Took up {name}, which lay here and was not listed."


def _dropped(place: Shared, folder: Path, why: str) -> Iterator[str]:
    aside = set_aside(folder, into=place.root)
    if aside is not None:
        discard(aside)
        yield f"Removed this machine's copy of {folder.name}, which {why}."


def _unmark_missing(place: Shared) -> Iterator[str]:
    """A folder that is not here tells nothing: `movierec doctor` looks whether it is there."""
    for record in [*place.store.versions.summaries(()), *place.store.versions.trashed()]:
        if record.is_missing:
            place.store.versions.set_missing(record.name, is_missing=False)
            yield f"{record.name} is no longer said to be missing."


def _empty_trash(place: Shared, remove: Callable[[VersionRecord], None]) -> Iterator[str]:
    for record in place.store.versions.trashed():
        if is_expired(record):
            try:
                remove(record)
            except ArtifactError as error:
                yield f"{record.name} stays in the trash: {error.message}"
            else:
                yield f"Deleted {record.name}: its time in the trash was over."


def _follow(place: Shared) -> Iterator[str]:
    """Let `current` lead where the database says, if that version is here; else it stays."""
    clear_alias(place.root)
    current = place.store.versions.current()
    if current is None:
        yield from _choose_current(place)
    elif read_alias(place.root) != current.name and is_folder(place.root / current.name):
        yield from _pointed(place, current.name)


def _choose_current(place: Shared) -> Iterator[str]:
    """Make the newest version current where none is; others can have it, as its copy is here."""
    names = [record.name for record in place.store.versions.summaries(())]
    found = next((name for name in names if place.copies.holds(place.root / name)), None)
    if found is not None:
        place.store.versions.set_current(found, who=own_user())
        yield f"The database now calls {found} current."
        yield from _pointed(place, found)


def _pointed(place: Shared, name: str) -> Iterator[str]:
    try:
        point_alias(place.root, name)
        yield f"`{CURRENT}` now leads to {name}."
    except ArtifactError as error:
        yield str(error)
