"""Bringing folders, rows and the alias together again after a process was killed.

A version's folder appears by a rename, so a folder with a version's name is complete. The
folders are the truth about what there is, the alias about which one is current.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from movierec.errors import ArtifactError
from movierec.registry.alias import clear_alias, point_alias, read_alias
from movierec.registry.files import problems_of
from movierec.registry.manifest import Manifest, read_manifest
from movierec.registry.measurements import Measurements
from movierec.registry.names import CURRENT, TRASH, is_folder, is_name
from movierec.registry.trash import is_expired, remove, tidy
from movierec.runtime import own_user
from movierec.store import Store, VersionRecord
from movierec.store.folders import REMOVED, clear_abandoned
from movierec.store.versions import VersionStore

__all__ = ["add_row", "folders", "forget_measurements", "reconcile"]


def reconcile(root: Path, store: Store, trash_time: timedelta) -> list[str]:
    """Repair what can be repaired; return a line for each thing done. Hold the lock.

    `trash_time` is how long a version stays in the trash.
    """
    versions = store.versions
    lines = [
        *_finish_removals(root, versions),
        *_settle_trash(root, versions, datetime.now(UTC) + trash_time),
        *_adopt(root, versions),
        *_mark_missing(root, versions),
        *_empty_trash(root, versions),
        *forget_measurements(root, versions),
        *_repair_alias(root, versions),
    ]
    store.promotions.forget_plans()
    return lines


def add_row(versions: VersionStore, manifest: Manifest, **words: Any) -> VersionRecord:
    """Give a folder its row; `words` are `tags`, `notes` and such of `VersionStore.add`."""
    facts = manifest.facts
    return versions.add(
        name=facts.model_version,
        model=facts.model,
        preset=facts.preset,
        dataset_name=facts.dataset_name,
        fingerprint=facts.fingerprint,
        split_label=facts.split_label,
        created_at=facts.created_at,
        run_id=facts.run_id,
        size_bytes=manifest.size_bytes,
        parameters=facts.parameters,
        metadata=manifest.metadata,
        **words,
    )


def folders(root: Path) -> set[str]:
    """Return the names of the versions whose folders lie in another one."""
    if not is_folder(root):
        return set()
    return {path.name for path in root.iterdir() if is_name(path.name) and is_folder(path)}


def _listed(versions: VersionStore) -> set[str]:
    return {record.name for record in versions.summaries(())}


def _trashed(versions: VersionStore) -> set[str]:
    return {record.name for record in versions.trashed()}


def _finish_removals(root: Path, versions: VersionStore) -> Iterator[str]:
    """Rows first: once the leftover is gone, nothing tells a deletion from a lost folder."""
    names = _listed(versions) - folders(root) | _trashed(versions) - folders(root / TRASH)
    for path in root.glob(f"{REMOVED}*"):
        match = re.fullmatch(rf"{re.escape(REMOVED)}(v[\d.]+)-\w+", path.name)
        if match and match[1] in names:
            versions.delete(match[1])
            yield f"Finished deleting {match[1]}."
    for leftover in clear_abandoned(root):
        yield f"Removed {leftover}, left by a process that was killed."


def _settle_trash(root: Path, versions: VersionStore, until: datetime) -> Iterator[str]:
    """Where a version's folder is decides whether it is in the trash."""
    for name in sorted(_trashed(versions) & folders(root)):
        versions.restore(name)
        yield f"{name} is listed again: its move into or out of the trash was cut short."
    strays = folders(root / TRASH) - _trashed(versions) - folders(root) - _listed(versions)
    for name in sorted(strays):
        problems = problems_of(root / TRASH / name)
        if problems:
            yield f"{name} in the trash is not taken up: {problems[0]}"
        else:
            add_row(versions, read_manifest(root / TRASH / name), trashed_until=until)
            yield f"Found {name} in the trash."


def _adopt(root: Path, versions: VersionStore) -> Iterator[str]:
    for name in sorted(folders(root) - _listed(versions)):
        problems = problems_of(root / name)
        if problems:
            yield f"{name} is not taken up: {problems[0]}"
        else:
            add_row(versions, read_manifest(root / name))
            yield f"Took up {name}, whose process was killed before it was listed."


def _mark_missing(root: Path, versions: VersionStore) -> Iterator[str]:
    present, kept = folders(root), folders(root / TRASH)
    for record in [*versions.summaries(()), *versions.trashed()]:
        is_missing = record.name not in (present if record.trashed_at is None else kept)
        if is_missing != record.is_missing:
            versions.set_missing(record.name, is_missing=is_missing)
            yield f"The folder of {record.name} is {'missing' if is_missing else 'there again'}."


def _empty_trash(root: Path, versions: VersionStore) -> Iterator[str]:
    for record in versions.trashed():
        if is_expired(record):
            remove(root, versions, record)
            yield f"Deleted {record.name}: its time in the trash was over."
    tidy(root)


def forget_measurements(root: Path, versions: VersionStore) -> list[str]:
    """Remove what was measured of versions that are gone; return a line for each thing done."""
    trashed = (record.name for record in versions.trashed())  # they may come back
    return Measurements(root).forget({*_listed(versions), *trashed})


def _repair_alias(root: Path, versions: VersionStore) -> Iterator[str]:
    clear_alias(root)
    listed = [record for record in versions.summaries(()) if not record.is_missing]
    before = versions.current()
    target = _wanted(read_alias(root), before, listed)
    try:
        if target is not None and read_alias(root) != target:
            point_alias(root, target)
            yield f"`{CURRENT}` now leads to {target}."
    except ArtifactError as error:
        yield str(error)
    if (before.name if before else None) != target:
        versions.set_current(target, who=own_user())
        yield f"The database now calls {target or 'no version'} current."


def _wanted(
    alias: str | None, current: VersionRecord | None, listed: list[VersionRecord]
) -> str | None:
    """Return the version to be current: the alias's, else the database's, else the newest."""
    names = [record.name for record in listed]
    candidates = [alias, current.name if current else None, *names[:1]]
    return next((name for name in candidates if name in names), None)
