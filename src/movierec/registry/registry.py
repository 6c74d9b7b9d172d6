"""The registry: versions as folders on disk and rows of the database, kept in step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt

from movierec.errors import ArtifactError, NotFoundError, SettingsError
from movierec.folders import incoming_folder
from movierec.metadata import VersionMetadata
from movierec.plain import plain_dict
from movierec.registry.annotations import changed_tags, checked_notes
from movierec.registry.files import Content, check_content, read_array, write_files
from movierec.registry.folder import ModelsFolder, NewVersion, is_expired
from movierec.registry.manifest import FileFacts, read_manifest
from movierec.registry.measurements import Measurements
from movierec.registry.names import CURRENT, array_of, is_folder
from movierec.registry.promotion import Promotion
from movierec.registry.shared.location import Location
from movierec.registry.shared.storage import SharedStorage
from movierec.registry.storage import LocalStorage, Storage
from movierec.settings import Settings
from movierec.store import Store, VersionRecord

__all__ = ["Registry", "VersionDraft"]

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
    metadata: VersionMetadata = field(default_factory=VersionMetadata)
    files: Mapping[str, Content] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    run_id: int | None = None
    parameters: int = 0
    make_current: bool | None = None
    name: str | None = None


class Registry:
    """The versions of one project: in a folder here, or shared with other machines.

    Every method that takes a name also takes "current". They raise NotFoundError when there
    is no such version, ArtifactError when files cannot be trusted, read or written, and
    StoreError when the database cannot. `promotion` moves `current`, `measurements` are what
    was measured of several versions together.

    Raises:
        SettingsError: MOVIEREC_ARTIFACTS_URL is no URL, or leads into the folder of versions.

    """

    def __init__(self, settings: Settings, store: Store) -> None:
        trash_time = timedelta(days=settings.trash_days)
        self._folder = ModelsFolder(settings.models_path, store, trash_time)
        self._shared: SharedStorage | None = None
        if settings.artifacts_url:
            self._shared = SharedStorage(self._folder, Location(settings.artifacts_url))
        self._storage: Storage = self._shared or LocalStorage(self._folder)
        self.promotion = Promotion(self._folder, self._storage)
        self.measurements = Measurements(settings.models_path)

    @property
    def location(self) -> str | None:
        """The location that machines share, without passwords; None where there is none."""
        return None if self._shared is None else self._shared.location

    @property
    def shared(self) -> SharedStorage:
        """The shared storage, which pushes and fetches versions.

        Raises:
            SettingsError: no location is set.

        """
        if self._shared is None:
            raise SettingsError(
                "MOVIEREC_ARTIFACTS_URL is not set: versions lie on this machine alone.",
                hint="Set it in the environment or in .env, as s3://bucket/folder or "
                "file:///mnt/models.",
            )
        return self._shared

    def list(self) -> Versions:
        """Return every version, newest first."""
        return self._folder.versions.list()

    def summaries(self) -> Versions:
        """Return every version, newest first, of its metadata only the evaluation: for lists."""
        return self._folder.versions.summaries()

    def get(self, name: str = CURRENT) -> VersionRecord:
        """Return a version."""
        return self._folder.get(name)

    def current(self) -> VersionRecord | None:
        """Return the version in use, None where there is none."""
        return self._folder.versions.current()

    def path(self, name: str = CURRENT) -> Path:
        """Return a version's folder, which exists and is no link; it is fetched if need be."""
        return self._storage.fetch(self.get(name))

    def is_here(self, name: str) -> bool:
        """Return whether a version's files should lie on this machine."""
        return self._shared is None or is_folder(self._folder.root / name)

    def verify(self, name: str = CURRENT) -> Problems:
        """Return the problems of a version's files; an empty list when all is well."""
        return self._storage.problems(self.get(name))

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
        with self._folder.writing(), incoming_folder(self._folder.root) as incoming:
            files = write_files(incoming, draft.files, draft.arrays)
            metadata = partial(_metadata, draft, files)
            new = NewVersion(incoming, metadata, draft.name, make_current=draft.make_current)
            return self.get(self._storage.keep(new))

    def import_version(
        self,
        unpack: Callable[[Path], Mapping[str, Any]],
        *,
        name: str | None = None,
        preferred_name: str | None = None,
        tags: Sequence[str] = (),
        notes: str = "",
        origin: Mapping[str, Any],
    ) -> VersionRecord:
        """Keep a version of another project; it is not made current.

        `unpack` writes its files, checked and flushed, into the folder it is given and returns
        its metadata. It gets `name`, or the `preferred_name` where that is free, or the next.
        """
        with self._folder.writing(), incoming_folder(self._folder.root) as incoming:
            metadata = unpack(incoming)
            own = {"run_id": None}  # a run of the other project
            new = NewVersion(
                incoming, lambda free: {**metadata, **own, "model_version": free}, name,
                preferred_name, make_current=False, tags=tags, notes=notes, origin=origin,
            )  # fmt: skip
            return self.get(self._storage.keep(new))

    def require_writable(self) -> None:
        """Raise ArtifactError unless a version could be kept: better before a long training."""
        with self._folder.writing(), incoming_folder(self._folder.root):
            pass

    def tag(self, name: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> VersionRecord:
        """Add and remove tags: short texts in which upper and lower case are the same.

        Raises:
            SettingsError: a tag is empty, longer than 40 characters or has control characters,
                or there would be more than 20.

        """
        record = self.get(name)
        self._folder.versions.change_tags(record.name, lambda tags: changed_tags(tags, add, remove))
        return self.get(record.name)

    def annotate(self, name: str, notes: str) -> VersionRecord:
        """Replace a version's notes; empty removes them.

        Raises:
            SettingsError: they are longer than 10,000 characters or have control characters.

        """
        record = self.get(name)
        self._folder.versions.set_notes(record.name, checked_notes(notes))
        return self.get(record.name)

    def delete(self, name: str, *, now: bool = False) -> None:
        """Move a version into the trash for the days of the settings, or free its disk space now.

        One whose folder is gone is deleted for good in any case.

        Raises:
            ArtifactError: it is the current one.

        """
        with self._folder.writing(), self._folder.lock():
            record = self.get(name)
            if record.is_current or self._storage.current() == record.name:
                raise ArtifactError(
                    f"Version {record.name} is the current one and cannot be deleted.",
                    hint="Promote another version first: `movierec versions promote NAME`.",
                )
            if now or not self._folder.trash_time:
                self._storage.delete(record)
            else:
                self._storage.trash(record, datetime.now(UTC) + self._folder.trash_time)

    def trash(self) -> Versions:
        """Return the versions in the trash, the last deleted first; metadata left out."""
        return self._folder.versions.trashed()

    def trash_bytes(self) -> int:
        """Return the bytes that the trash takes on the disk."""
        return self._folder.trash_bytes()

    def restore(self, name: str) -> VersionRecord:
        """Bring a version back from the trash with its tags and notes; it is not made current.

        Raises:
            NotFoundError: it is not in the trash.
            ArtifactError: its files are gone.

        """
        with self._folder.writing(), self._folder.lock():
            names = [record.name for record in self.trash()]
            if name not in names:
                there = f"There is {', '.join(names)}." if names else "The trash is empty."
                raise NotFoundError(f"{name[:100]!r} is not in the trash.", hint=there)
            self._storage.restore(name)
            return self.get(name)

    def empty_trash(self, *, expired_only: bool = False) -> Versions:
        """Delete what is in the trash for good, or what has been there long enough; return it."""
        with self._folder.writing(), self._folder.lock():
            gone = [record for record in self.trash() if is_expired(record) or not expired_only]
            for record in gone:
                self._storage.delete(record)
            return gone

    def reconcile(self) -> Problems:
        """Finish or remove what a killed process left; return a line for each thing done.

        Cheap when there is nothing to do: call it once when a program starts.
        """
        with self._folder.writing(), self._folder.lock():
            return self._storage.reconcile()


def _metadata(draft: VersionDraft, files: Mapping[str, FileFacts], name: str) -> dict[str, Any]:
    """Return the whole `metadata.json`: the draft's facts and the registry's own above them."""
    now = datetime.now(UTC).isoformat()
    try:
        facts = plain_dict(draft.metadata.as_dict())
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
