"""Finding and reading versions, and the lock that those who change them take."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt

from movierec.errors import ArtifactError, NotFoundError
from movierec.registry.files import check_content, read_array
from movierec.registry.history import previous_of
from movierec.registry.locking import locked, writing
from movierec.registry.manifest import read_manifest
from movierec.registry.measurements import Measurements
from movierec.registry.names import CURRENT, array_of, check_name, is_folder
from movierec.registry.shared.storage import storage_of
from movierec.registry.trash import bytes_in_trash
from movierec.settings import Settings
from movierec.store import PromotionRecord, Store, VersionRecord

__all__ = ["Moves", "Problems", "VersionReader", "Versions"]

# `list` is a method below
Versions: TypeAlias = list[VersionRecord]
Problems: TypeAlias = list[str]
Moves: TypeAlias = list[PromotionRecord]


class VersionReader:
    """What there is; see `Registry`, which can change it."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._root = settings.models_path
        self._trash_time = timedelta(days=settings.trash_days)
        self._place = storage_of(settings, store)
        self._store = store
        self._versions = store.versions

    @property
    def measurements(self) -> Measurements:
        """What was measured of several versions together."""
        return Measurements(self._root)

    def list(self) -> Versions:
        """Return every version, newest first."""
        return self._versions.list()

    def summaries(self) -> Versions:
        """Return every version, newest first, of its metadata only the evaluation: for lists."""
        return self._versions.summaries()

    def get(self, name: str = CURRENT) -> VersionRecord:
        """Return a version."""
        if name != CURRENT:
            return self._versions.get(check_name(name))
        current = self._versions.current()
        if current is None:
            raise NotFoundError(
                "There is no current version.",
                hint="Train one (`movierec train`) or promote one (`movierec versions promote`).",
            )
        return current

    def current(self) -> VersionRecord | None:
        """Return the version in use, None where there is none."""
        return self._versions.current()

    def path(self, name: str = CURRENT) -> Path:
        """Return a version's folder, which exists and is no link; it is fetched if need be."""
        record = self.get(name)
        self._place.bring(record)
        folder = self._root / record.name
        if not is_folder(folder):
            raise ArtifactError(
                f"The folder of version {folder.name} is missing.",
                hint=f"Restore it from a backup, or run `movierec versions delete {folder.name}`.",
            )
        return folder

    def is_here(self, name: str) -> bool:
        """Return whether a version's files should lie on this machine."""
        return not self._place.is_shared or is_folder(self._root / name)

    def verify(self, name: str = CURRENT) -> Problems:
        """Return what is wrong with a version's files; an empty list when all is well."""
        return self._place.problems(self.get(name))

    def file(self, name: str, file: str) -> Path:
        """Return the path of one file of a version, its size and hash checked."""
        folder = self.path(name)
        return check_content(folder, file, read_manifest(folder))

    def arrays(self, name: str = CURRENT, *, mmap: bool = True) -> dict[str, npt.NDArray[Any]]:
        """Return the serving arrays of a version, hashes checked, mapped read-only or copied."""
        folder = self.path(name)
        manifest = read_manifest(folder)
        named = {file: array for file in manifest.files if (array := array_of(file))}
        return {
            array: read_array(check_content(folder, file, manifest), mmap=mmap)
            for file, array in named.items()
        }

    def trash(self) -> Versions:
        """Return what is in the trash, the last deleted first; metadata left out."""
        return self._versions.trashed()

    def trash_bytes(self) -> int:
        """Return how many bytes the trash holds on the disk."""
        return bytes_in_trash(self._root)

    def history(self) -> Moves:
        """Return how `current` moved, newest first."""
        return self._store.promotions.list()

    def previous(self) -> str | None:
        """Return the version that a rollback would make current, None where there is none."""
        there = {record.name for record in self._versions.summaries(()) if not record.is_missing}
        current = self._versions.current()
        return previous_of(self.history(), current.name if current else None, there)

    def _lock(self) -> AbstractContextManager[None]:
        """Let one process at a time change which folders and rows there are."""
        return locked(self._root, "changing the versions")

    def _writing(self) -> AbstractContextManager[None]:
        return writing(self._root)
