"""The folder of versions of this machine, and the rows that go with its folders.

`models/vX.Y.Z` is a version and always whole, as it appears by a rename; `models/.trash` holds
those that can be restored, and `models/current` is a relative link to the one in use.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from movierec.errors import ArtifactError, NotFoundError
from movierec.folders import discard, locked, sync, writing
from movierec.metadata import VersionMetadata
from movierec.registry.manifest import Manifest, write_manifest
from movierec.registry.measurements import Measurements
from movierec.registry.names import CURRENT, TRASH, check_name, is_folder, is_name
from movierec.store import Store, VersionRecord

__all__ = [
    "ModelsFolder",
    "NewVersion",
    "clear_alias",
    "is_expired",
    "point_alias",
    "read_alias",
    "unlisted_record",
]

_TEMPORARY_LINK = ".current-"


@dataclass(frozen=True)
class NewVersion:
    """A version whose files lie in `folder`, flushed, and which is to be kept.

    `metadata` makes its `metadata.json` for a name. That is `name`, or the `preferred_name`
    where that is free, or the next one. `make_current` None means: if none is current yet.
    """

    folder: Path
    metadata: Callable[[str], dict[str, Any]]
    name: str | None = None
    preferred_name: str | None = None
    make_current: bool | None = None
    tags: Sequence[str] = ()
    notes: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)


class ModelsFolder:
    """The folder of versions and the database's rows of them; hold its lock to change either."""

    def __init__(self, root: Path, store: Store, trash_time: timedelta) -> None:
        self.root = root
        self.store = store
        self.versions = store.versions
        self.trash_time = trash_time

    def lock(self) -> AbstractContextManager[None]:
        """Let one process at a time change which folders and rows there are."""
        return locked(self.root, "changing the versions")

    def writing(self) -> AbstractContextManager[None]:
        """Make the folder; ArtifactError when something in the block cannot be written."""
        return writing(self.root)

    def get(self, name: str) -> VersionRecord:
        """Return the record of a version, or of the current one."""
        if name != CURRENT:
            return self.versions.get(check_name(name))
        current = self.versions.current()
        if current is None:
            raise NotFoundError(
                "There is no current version.",
                hint="Train one (`movierec train`) or promote one (`movierec versions promote`).",
            )
        return current

    def names(self) -> set[str]:
        """Return the names of the versions whose folders lie here."""
        return _names_in(self.root)

    def names_in_trash(self) -> set[str]:
        """Return the names of the versions whose folders lie in the trash."""
        return _names_in(self.root / TRASH)

    def listed(self) -> set[str]:
        """Return the names of the versions that the database lists."""
        return _names(self.versions.summaries(()))

    def trashed(self) -> set[str]:
        """Return the names of the versions that the database has in the trash."""
        return _names(self.versions.trashed())

    def free_name(self, new: NewVersion, next_name: Callable[[Iterable[str]], str]) -> str:
        """Return the name that a new version gets; `next_name` makes one from those taken here.

        Raises:
            ArtifactError: the name it should have is taken or cannot be one.

        """
        taken = self.listed() | self.trashed() | {path.name for path in self.root.iterdir()}
        wanted = new.name
        if wanted is None and new.preferred_name not in taken:
            wanted = new.preferred_name
        if wanted is None:
            return next_name(taken)
        if not is_name(wanted):
            raise ArtifactError(
                f"{wanted[:100]!r} cannot be a version's name.", hint="Names look like v1.2.0."
            )
        if wanted in taken:
            raise ArtifactError(
                f"There already is a version {wanted}.", hint="Leave the name out to get the next."
            )
        return wanted

    def accept(self, new: NewVersion, name: str) -> VersionRecord:
        """Rename a new version into place; return its record, which is not listed yet."""
        manifest = write_manifest(new.folder, new.metadata(name))
        for written in new.folder.iterdir():
            sync(written)
        sync(new.folder)
        new.folder.rename(self.root / name)
        sync(self.root)
        record = unlisted_record(manifest)
        return replace(record, tags=tuple(new.tags), notes=new.notes, origin=new.origin)

    def move_to_trash(self, name: str) -> None:
        """Move a version's folder into the trash."""
        (self.root / TRASH).mkdir(exist_ok=True)
        (self.root / name).rename(self.root / TRASH / name)
        self._sync_trash()

    def move_out_of_trash(self, name: str) -> None:
        """Move a version's folder back from the trash."""
        (self.root / TRASH / name).rename(self.root / name)
        self._sync_trash()

    def trash_bytes(self) -> int:
        """Return the bytes that the files in the trash take on the disk."""
        files = (path.lstat() for path in (self.root / TRASH).rglob("*") if not path.is_dir())
        return sum(facts.st_size for facts in files)

    def remove_empty_trash(self) -> None:
        """Remove the trash's own folder when nothing is in it."""
        with suppress(OSError):
            (self.root / TRASH).rmdir()

    def delete_row(self, name: str, aside: Iterable[Path | None]) -> None:
        """Delete a version's row, then the folders set aside and all that was measured of it."""
        self.versions.delete(name)
        for folder in filter(None, aside):
            discard(folder)
        Measurements(self.root).drop(name)
        self.remove_empty_trash()

    def forget_measurements(self) -> list[str]:
        """Remove what was measured of versions that are gone; return a line for each thing done."""
        return Measurements(self.root).forget(self.listed() | self.trashed())

    def _sync_trash(self) -> None:
        sync(self.root / TRASH)
        sync(self.root)


def unlisted_record(manifest: Manifest, trashed_until: datetime | None = None) -> VersionRecord:
    """Return the record of a version that has no row yet, from its metadata."""
    facts = manifest.facts
    return VersionRecord(
        name=facts.model_version,
        model=facts.model,
        preset=facts.preset,
        dataset_name=facts.dataset_name,
        fingerprint=facts.fingerprint,
        split_label=facts.split_label,
        created_at=facts.created_at,
        is_current=False,
        run_id=facts.run_id,
        size_bytes=manifest.size_bytes,
        parameters=facts.parameters,
        metadata=VersionMetadata.of(manifest.metadata),
        trashed_at=None if trashed_until is None else datetime.now(UTC),
        trashed_until=trashed_until,
    )


def is_expired(record: VersionRecord) -> bool:
    """Return whether a version's time in the trash is over."""
    return record.trashed_until is not None and record.trashed_until <= datetime.now(UTC)


def read_alias(root: Path) -> str | None:
    """Return the name of the version that `current` leads to; None when it leads nowhere."""
    link = root / CURRENT
    try:
        target = str(link.readlink())
    except OSError:
        return None
    return target if is_name(target) and is_folder(root / target) else None


def point_alias(root: Path, name: str) -> None:
    """Make `current` lead to a version, with no moment in between.

    Raises:
        ArtifactError: something that is not a link is in the way.

    """
    link = root / CURRENT
    if link.exists() and not link.is_symlink():
        raise ArtifactError(
            f"{link} is not a link, so it cannot be moved to {name}.",
            hint="Move it away: the registry keeps a link of that name.",
        )
    temporary = root / f"{_TEMPORARY_LINK}{uuid.uuid4().hex[:12]}"
    temporary.symlink_to(name, target_is_directory=True)
    temporary.replace(link)
    sync(root)


def clear_alias(root: Path) -> None:
    """Remove a link that leads nowhere, and links that a killed process was about to move."""
    for temporary in root.glob(f"{_TEMPORARY_LINK}*"):
        temporary.unlink(missing_ok=True)
    if (root / CURRENT).is_symlink() and read_alias(root) is None:
        (root / CURRENT).unlink(missing_ok=True)


def _names_in(folder: Path) -> set[str]:
    if not is_folder(folder):
        return set()
    return {path.name for path in folder.iterdir() if is_name(path.name) and is_folder(path)}


def _names(records: Iterable[VersionRecord]) -> set[str]:
    return {record.name for record in records}
