"""Versions: folders on disk and their rows, kept in step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt
from filelock import FileLock, Timeout

from movierec.errors import ArtifactError, NotFoundError
from movierec.registry.alias import point_alias, read_alias
from movierec.registry.files import Content, check_content, problems_of, read_array, write_files
from movierec.registry.manifest import FileFacts, Manifest, read_manifest, write_manifest
from movierec.registry.names import CURRENT, array_of, check_name, is_folder, is_name, next_name
from movierec.registry.reconcile import add_row, reconcile
from movierec.settings import Settings
from movierec.store import Store, VersionRecord
from movierec.store.folders import discard, incoming_folder, set_aside, sync
from movierec.store.plain import plain_dict

__all__ = ["Registry", "VersionDraft"]

LOCK_SECONDS = 60.0

# `list` is a method below
Versions: TypeAlias = list[VersionRecord]
Problems: TypeAlias = list[str]


@dataclass(frozen=True)
class VersionDraft:
    """A version to be.

    `files` are contents, or functions that write to the path they are given, by file name;
    `arrays` become `serving/<name>.npy`. `make_current` None means: if none is current yet.
    """

    model: str
    preset: str
    dataset_name: str
    fingerprint: str
    split_label: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Content] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    run_id: int | None = None
    parameters: int = 0
    make_current: bool | None = None
    name: str | None = None


class Registry:
    """The versions of one project.

    Every method that takes a name also takes "current". They raise NotFoundError when there
    is no such version, ArtifactError when files cannot be trusted, read or written, and
    StoreError when the database cannot.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._root = settings.models_path
        self._versions = store.versions

    def list(self) -> Versions:
        """Return every version, newest first."""
        return self._versions.list()

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

    def path(self, name: str = CURRENT) -> Path:
        """Return a version's folder, which exists and is no link."""
        folder = self._root / self.get(name).name
        if not is_folder(folder):
            raise ArtifactError(
                f"The folder of version {folder.name} is missing.",
                hint=f"Restore it from a backup, or run `movierec versions delete {folder.name}`.",
            )
        return folder

    def verify(self, name: str = CURRENT) -> Problems:
        """Return what is wrong with a version's files; an empty list when all is well."""
        record = self.get(name)
        problems = problems_of(self._root / record.name)
        if not problems and read_manifest(self._root / record.name).metadata != record.metadata:
            problems.append("metadata.json differs from the copy in the database.")
        return problems

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

    def save(self, draft: VersionDraft) -> VersionRecord:
        """Keep a version: written aside, flushed, then renamed into place in one step."""
        with self._writing(), incoming_folder(self._root) as incoming:
            files = write_files(incoming, draft.files, draft.arrays)
            with self._lock():
                name = self._free_name(draft.name)
                manifest = write_manifest(incoming, _metadata(draft, name, files))
                self._put_in_place(incoming, name)
                return self._register(manifest, draft.make_current)

    def require_writable(self) -> None:
        """Raise ArtifactError unless a version could be kept: better before a long training."""
        with self._writing(), incoming_folder(self._root):
            pass

    def promote(self, name: str) -> VersionRecord:
        """Make a whole version the current one; the old one stays and can be promoted back."""
        with self._writing(), self._lock():
            record = self.get(name)
            problems = self.verify(record.name)
            if problems:
                raise ArtifactError(
                    f"Version {record.name} cannot become current: {problems[0]}",
                    hint="Restore its files from a backup, or train it again.",
                )
            self._point(record.name)
            return self.get(record.name)

    def delete(self, name: str) -> None:
        """Remove a version and free its disk space at once.

        Raises:
            ArtifactError: it is the current one.

        """
        with self._writing(), self._lock():
            record = self.get(name)
            if record.is_current or read_alias(self._root) == record.name:
                raise ArtifactError(
                    f"Version {record.name} is the current one and cannot be deleted.",
                    hint="Promote another version first: `movierec versions promote NAME`.",
                )
            aside = set_aside(self._root / record.name)
            self._versions.delete(record.name)
            if aside is not None:
                discard(aside)

    def reconcile(self) -> Problems:
        """Finish or remove what a killed process left; return a line for each thing done.

        Cheap when there is nothing to do: call it once when a program starts.
        """
        with self._writing(), self._lock():
            return reconcile(self._root, self._versions)

    def _free_name(self, wanted: str | None) -> str:
        folders = [path.name for path in self._root.iterdir()]
        if wanted is None:
            return next_name([*folders, *self._versions.names_ever()])
        if not is_name(wanted):
            raise ArtifactError(
                f"{wanted[:100]!r} cannot be a version's name.", hint="Names look like v1.2.0."
            )
        if wanted in folders or any(record.name == wanted for record in self.list()):
            raise ArtifactError(
                f"There already is a version {wanted}.", hint="Leave the name out to get the next."
            )
        return wanted

    def _put_in_place(self, incoming: Path, name: str) -> None:
        for written in incoming.iterdir():
            sync(written)
        sync(incoming)
        incoming.rename(self._root / name)
        sync(self._root)

    def _register(self, manifest: Manifest, make_current: bool | None) -> VersionRecord:
        record = add_row(self._versions, manifest)
        if make_current or (make_current is None and read_alias(self._root) is None):
            self._point(record.name)
        return self.get(record.name)

    def _point(self, name: str) -> None:
        point_alias(self._root, name)
        self._versions.set_current(name)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one process at a time change which folders and rows there are."""
        try:
            with FileLock(self._root / ".lock", timeout=LOCK_SECONDS):
                yield
        except Timeout as error:
            raise ArtifactError(
                "Another movierec is changing the versions.",
                hint="Wait for it, or end it, and try again.",
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise ArtifactError(
                f"{self._root} cannot be written: {error.strerror or error}.",
                hint="Check its permissions and the free disk space.",
            ) from error


def _metadata(draft: VersionDraft, name: str, files: Mapping[str, FileFacts]) -> dict[str, Any]:
    """Return the whole `metadata.json`: the draft's facts and the registry's own above them."""
    now = datetime.now(UTC).isoformat()
    try:
        facts = plain_dict(draft.metadata)
    except TypeError as error:
        raise ArtifactError(f"The version's metadata cannot be stored: {error}.") from error
    return {
        "training_date": now,
        **facts,
        "model_version": name,
        "model": draft.model,
        "preset": draft.preset,
        "dataset_name": draft.dataset_name,
        "fingerprint": draft.fingerprint,
        "split_label": draft.split_label,
        "created_at": now,
        "run_id": draft.run_id,
        "parameters": draft.parameters,
        "files": {file: facts.model_dump() for file, facts in files.items()},
    }
