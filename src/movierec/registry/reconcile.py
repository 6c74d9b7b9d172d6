"""Bringing folders, rows and the alias together again after a process was killed.

The folders are the truth about what there is, the alias about which one is current.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from movierec.errors import ArtifactError
from movierec.folders import REMOVED, clear_abandoned
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
from movierec.registry.names import CURRENT, TRASH
from movierec.runtime import own_user
from movierec.store import VersionRecord
from movierec.store.records import Move

__all__ = ["reconcile"]


def reconcile(folder: ModelsFolder, delete: Callable[[VersionRecord], None]) -> list[str]:
    """Repair what can be repaired; return a line for each thing done. Hold the lock.

    `delete` deletes a version for good.
    """
    lines = [
        *_finish_removals(folder),
        *_settle_trash(folder),
        *_adopt(folder),
        *_mark_missing(folder),
        *_empty_trash(folder, delete),
        *folder.forget_measurements(),
        *_repair_alias(folder),
    ]
    folder.store.promotions.forget_plans()
    return lines


def _finish_removals(folder: ModelsFolder) -> Iterator[str]:
    """Rows first: once the leftover is gone, nothing tells a deletion from a lost folder."""
    names = folder.listed() - folder.names() | folder.trashed() - folder.names_in_trash()
    for path in folder.root.glob(f"{REMOVED}*"):
        match = re.fullmatch(rf"{re.escape(REMOVED)}(v[\d.]+)-\w+", path.name)
        if match and match[1] in names:
            folder.versions.delete(match[1])
            yield f"Finished deleting {match[1]}."
    for leftover in clear_abandoned(folder.root):
        yield f"Removed {leftover}, left by a process that was killed."


def _settle_trash(folder: ModelsFolder) -> Iterator[str]:
    """Where a version's folder is decides whether it is in the trash."""
    for name in sorted(folder.trashed() & folder.names()):
        folder.versions.restore(name)
        yield f"{name} is listed again: its move into or out of the trash was cut short."
    strays = folder.names_in_trash() - folder.trashed() - folder.names() - folder.listed()
    for name in sorted(strays):
        path = folder.root / TRASH / name
        problems = problems_of(path)
        if problems:
            yield f"{name} in the trash is not taken up: {problems[0]}"
        else:
            until = datetime.now(UTC) + folder.trash_time
            folder.versions.add(unlisted_record(read_manifest(path), until))
            yield f"Found {name} in the trash."


def _adopt(folder: ModelsFolder) -> Iterator[str]:
    for name in sorted(folder.names() - folder.listed()):
        problems = problems_of(folder.root / name)
        if problems:
            yield f"{name} is not taken up: {problems[0]}"
        else:
            folder.versions.add(unlisted_record(read_manifest(folder.root / name)))
            yield f"Took up {name}, whose process was killed before it was listed."


def _mark_missing(folder: ModelsFolder) -> Iterator[str]:
    present, kept = folder.names(), folder.names_in_trash()
    for record in [*folder.versions.summaries(()), *folder.versions.trashed()]:
        is_missing = record.name not in (present if record.trashed_at is None else kept)
        if is_missing != record.is_missing:
            folder.versions.set_missing(record.name, is_missing=is_missing)
            yield f"The folder of {record.name} is {'missing' if is_missing else 'there again'}."


def _empty_trash(folder: ModelsFolder, delete: Callable[[VersionRecord], None]) -> Iterator[str]:
    for record in folder.versions.trashed():
        if is_expired(record):
            delete(record)
            yield f"Deleted {record.name}: its time in the trash was over."
    folder.remove_empty_trash()


def _repair_alias(folder: ModelsFolder) -> Iterator[str]:
    clear_alias(folder.root)
    listed = [record for record in folder.versions.summaries(()) if not record.is_missing]
    before = folder.versions.current()
    target = _wanted(read_alias(folder.root), before, listed)
    try:
        if target is not None and read_alias(folder.root) != target:
            point_alias(folder.root, target)
            yield f"`{CURRENT}` now leads to {target}."
    except ArtifactError as error:
        yield str(error)
    if (before.name if before else None) != target:
        folder.versions.set_current(target, Move("repaired", own_user()))
        yield f"The database now calls {target or 'no version'} current."


def _wanted(
    alias: str | None, current: VersionRecord | None, listed: list[VersionRecord]
) -> str | None:
    """Return the version to be current: the alias's, else the database's, else the newest."""
    names = [record.name for record in listed]
    candidates = [alias, current.name if current else None, *names[:1]]
    return next((name for name in candidates if name in names), None)
