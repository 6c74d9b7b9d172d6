"""Letting this machine's folders follow the rows that several machines share. Hold the lock.

Other machines keep and delete versions too: a version without a folder here is nothing unusual,
and a copy whose row is gone was deleted elsewhere. What was never pushed is work of this machine,
and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from movierec.errors import ArtifactError
from movierec.folders import clear_abandoned, discard, is_locked, set_aside, sync
from movierec.registry.files import problems_of
from movierec.registry.folder import (
    ModelsFolder,
    clear_alias,
    is_expired,
    point_alias,
    read_alias,
    unlisted_record,
)
from movierec.registry.manifest import read_manifest
from movierec.registry.names import CURRENT, TRASH, is_folder
from movierec.registry.shared.transfer import Copies
from movierec.runtime import own_user
from movierec.store import VersionRecord
from movierec.store.records import Move

__all__ = ["PUSHING", "reconcile_shared"]

PUSHING = ".keeping"  # the lock of a process that pushes


def reconcile_shared(
    folder: ModelsFolder, copies: Copies, delete: Callable[[VersionRecord], None]
) -> list[str]:
    """Repair what can be repaired here; return a line for each thing done.

    `delete` deletes a version for good.
    """
    lines = [
        f"Removed {leftover}, left by a process that was killed."
        for leftover in clear_abandoned(folder.root)
    ]
    lines += _settle_trash(folder, copies)
    if not is_locked(folder.root, PUSHING):  # else the process that pushes lists it
        lines += _adopt(folder, copies)
    lines += _unmark_missing(folder)
    lines += _empty_trash(folder, delete)
    lines += folder.forget_measurements()
    lines += _follow(folder, copies)
    return lines


def _settle_trash(folder: ModelsFolder, copies: Copies) -> Iterator[str]:
    """Move folders to where their rows say they are."""
    trash, listed, trashed = folder.root / TRASH, folder.listed(), folder.trashed()
    for name in sorted(trashed & folder.names()):
        trash.mkdir(exist_ok=True)
        yield from _moved(folder, copies, folder.root / name, trash / name)
    for name in sorted(listed & folder.names_in_trash()):
        yield from _moved(folder, copies, trash / name, folder.root / name)
    folder.remove_empty_trash()


def _moved(folder: ModelsFolder, copies: Copies, source: Path, target: Path) -> Iterator[str]:
    if not target.exists():
        source.rename(target)
        sync(folder.root)
        where = "into" if target.parent.name == TRASH else "out of"
        yield f"Moved {source.name} {where} the trash, as another machine did."
    elif copies.holds(source):
        yield from _dropped(folder, source, "was there twice")


def _adopt(folder: ModelsFolder, copies: Copies) -> Iterator[str]:
    """Take up work of this machine that is not listed; drop copies of what was deleted."""
    known = folder.listed() | folder.trashed()
    deleted = {*folder.versions.names_ever()} - known
    until = datetime.now(UTC) + folder.trash_time
    folders = (
        (folder.root, folder.names(), None),
        (folder.root / TRASH, folder.names_in_trash(), until),
    )
    for parent, names, trashed_until in folders:
        for name in sorted(names - known):
            path = parent / name
            if name in deleted and copies.holds(path):
                yield from _dropped(folder, path, "was deleted on another machine")
                copies.forget(name)
            elif problems := problems_of(path):
                yield f"{name} is not taken up: {problems[0]}"
            else:
                folder.versions.add(unlisted_record(read_manifest(path), trashed_until))
                known.add(name)
                yield f"Took up {name}, which lay here and was not listed."


def _dropped(folder: ModelsFolder, path: Path, why: str) -> Iterator[str]:
    aside = set_aside(path, into=folder.root)
    if aside is not None:
        discard(aside)
        yield f"Removed this machine's copy of {path.name}, which {why}."


def _unmark_missing(folder: ModelsFolder) -> Iterator[str]:
    """A folder that is not here tells nothing: `movierec doctor` looks whether it is there."""
    for record in [*folder.versions.summaries(()), *folder.versions.trashed()]:
        if record.is_missing:
            folder.versions.set_missing(record.name, is_missing=False)
            yield f"{record.name} is no longer said to be missing."


def _empty_trash(folder: ModelsFolder, delete: Callable[[VersionRecord], None]) -> Iterator[str]:
    for record in folder.versions.trashed():
        if is_expired(record):
            try:
                delete(record)
            except ArtifactError as error:
                yield f"{record.name} stays in the trash: {error.message}"
            else:
                yield f"Deleted {record.name}: its time in the trash was over."


def _follow(folder: ModelsFolder, copies: Copies) -> Iterator[str]:
    """Let `current` lead where the database says, if that version is here; else it stays."""
    clear_alias(folder.root)
    current = folder.versions.current()
    if current is None:
        yield from _choose_current(folder, copies)
    elif read_alias(folder.root) != current.name and is_folder(folder.root / current.name):
        yield from _pointed(folder, current.name)


def _choose_current(folder: ModelsFolder, copies: Copies) -> Iterator[str]:
    """Make the newest version current where none is; others can have it, as its copy is here."""
    names = [record.name for record in folder.versions.summaries(())]
    found = next((name for name in names if copies.holds(folder.root / name)), None)
    if found is not None:
        folder.versions.set_current(found, Move("repaired", own_user()))
        yield f"The database now calls {found} current."
        yield from _pointed(folder, found)


def _pointed(folder: ModelsFolder, name: str) -> Iterator[str]:
    try:
        point_alias(folder.root, name)
        yield f"`{CURRENT}` now leads to {name}."
    except ArtifactError as error:
        yield str(error)
