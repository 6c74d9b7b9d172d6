"""Versions: folders on disk and their rows, kept in step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy.typing as npt

from movierec.errors import ArtifactError, NotFoundError
from movierec.metadata import VersionMetadata
from movierec.plain import plain_dict
from movierec.registry.annotations import changed_tags, checked_notes
from movierec.registry.files import Content, write_files
from movierec.registry.history import SAVED
from movierec.registry.manifest import FileFacts, Manifest, write_manifest
from movierec.registry.names import is_name, next_name
from movierec.registry.reader import Problems, Versions
from movierec.registry.reconcile import add_row
from movierec.registry.shared.push_pull import Sharer
from movierec.registry.trash import is_expired
from movierec.store import VersionRecord
from movierec.store.folders import incoming_folder, sync

__all__ = ["Registry", "VersionDraft"]

logger = logging.getLogger(__name__)


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


class Registry(Sharer):
    """The versions of one project.

    Every method that takes a name also takes "current". They raise NotFoundError when there
    is no such version, ArtifactError when files cannot be trusted, read or written, and
    StoreError when the database cannot.
    """

    def save(self, draft: VersionDraft) -> VersionRecord:
        """Keep a version: written aside, flushed, then renamed into place in one step."""
        with self._writing(), incoming_folder(self._root) as incoming:
            files = write_files(incoming, draft.files, draft.arrays)
            return self._keep(
                incoming, draft.name, lambda name: _metadata(draft, name, files),
                make_current=draft.make_current,
            )  # fmt: skip

    def take_in(
        self,
        unpack: Callable[[Path], Mapping[str, Any]],
        *,
        name: str | None = None,
        wish: str | None = None,
        **words: Any,
    ) -> VersionRecord:
        """Keep a version of another project; it is not made current.

        `unpack` writes its files, checked and flushed, into the folder it is given and returns
        its metadata. Its `name` is that one, or the `wish` where that is free, or the next.
        `words` may be `tags`, `notes` and `origin`.
        """
        with self._writing(), incoming_folder(self._root) as incoming:
            metadata = unpack(incoming)
            own = {"run_id": None}  # a run of the other project
            return self._keep(
                incoming, name, lambda free: {**metadata, **own, "model_version": free},
                wish=wish, make_current=False, **words,
            )  # fmt: skip

    def require_writable(self) -> None:
        """Raise ArtifactError unless a version could be kept: better before a long training."""
        with self._writing(), incoming_folder(self._root):
            pass

    def tag(self, name: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> VersionRecord:
        """Add and remove tags: short texts in which upper and lower case are the same.

        Raises:
            SettingsError: a tag is empty, longer than 40 characters or has control characters,
                or there would be more than 20.

        """
        record = self.get(name)
        self._versions.change_tags(record.name, lambda tags: changed_tags(tags, add, remove))
        return self.get(record.name)

    def annotate(self, name: str, notes: str) -> VersionRecord:
        """Replace a version's notes; empty removes them.

        Raises:
            SettingsError: they are longer than 10,000 characters or have control characters.

        """
        record = self.get(name)
        self._versions.set_notes(record.name, checked_notes(notes))
        return self.get(record.name)

    def delete(self, name: str, *, now: bool = False) -> None:
        """Move a version into the trash for the days of the settings, or free its disk space now.

        One whose folder is gone is deleted for good in any case.

        Raises:
            ArtifactError: it is the current one.

        """
        with self._writing(), self._lock():
            record = self.get(name)
            if record.is_current or self._place.current() == record.name:
                raise ArtifactError(
                    f"Version {record.name} is the current one and cannot be deleted.",
                    hint="Promote another version first: `movierec versions promote NAME`.",
                )
            if now or not self._trash_time or not self._place.has(record.name):
                self._place.remove(record)
            else:
                self._place.throw_away(record.name, datetime.now(UTC) + self._trash_time)

    def restore(self, name: str) -> VersionRecord:
        """Bring a version back from the trash with its tags and notes; it is not made current.

        Raises:
            NotFoundError: it is not in the trash.
            ArtifactError: its files are gone.

        """
        with self._writing(), self._lock():
            names = [record.name for record in self.trash()]
            if name not in names:
                there = f"There is {', '.join(names)}." if names else "The trash is empty."
                raise NotFoundError(f"{name[:100]!r} is not in the trash.", hint=there)
            self._place.bring_back(name)
            return self.get(name)

    def empty_trash(self, *, expired_only: bool = False) -> Versions:
        """Delete what is in the trash for good, or what has been there long enough; return it."""
        with self._writing(), self._lock():
            gone = [record for record in self.trash() if is_expired(record) or not expired_only]
            for record in gone:
                self._place.remove(record)
            return gone

    def reconcile(self) -> Problems:
        """Finish or remove what a killed process left; return a line for each thing done.

        Cheap when there is nothing to do: call it once when a program starts.
        """
        with self._writing(), self._lock():
            return self._place.reconcile()

    def _keep(
        self,
        incoming: Path,
        name: str | None,
        describe: Callable[[str], dict[str, Any]],
        *,
        wish: str | None = None,
        make_current: bool | None,
        **words: Any,
    ) -> VersionRecord:
        """Give written files their name and place, share them, and list them."""
        with self._place.keeping() as share:
            with self._lock():
                free = self._free_name(name if name or wish in self._taken() else wish)
                manifest = write_manifest(incoming, describe(free))
                self._put_in_place(incoming, free)
                if not self._place.is_shared:
                    return self._register(manifest, make_current, **words)
            try:
                share(free)
            except ArtifactError as error:
                logger.warning("version=%s stays on this machine: %s", free, error)
                with self._lock():  # not as current: others could not have it
                    return self._register(manifest, make_current=False, **words)
            with self._lock():
                record = self._register(manifest, make_current, **words)
                self._place.note(free)  # no sooner: a copy without a row is removed
                return record

    def _free_name(self, wanted: str | None) -> str:
        if wanted is None:
            taken = self._taken()
            return self._place.next_name(lambda ever: next_name([*taken, *ever]))
        if not is_name(wanted):
            raise ArtifactError(
                f"{wanted[:100]!r} cannot be a version's name.", hint="Names look like v1.2.0."
            )
        if wanted in self._taken():
            raise ArtifactError(
                f"There already is a version {wanted}.", hint="Leave the name out to get the next."
            )
        return wanted

    def _taken(self) -> set[str]:
        """Return the names of what there is, in the trash or on the disk alone included."""
        records = [*self._versions.summaries(()), *self.trash()]
        return {record.name for record in records} | {path.name for path in self._root.iterdir()}

    def _put_in_place(self, incoming: Path, name: str) -> None:
        for written in incoming.iterdir():
            sync(written)
        sync(incoming)
        incoming.rename(self._root / name)
        sync(self._root)

    def _register(
        self, manifest: Manifest, make_current: bool | None, **words: Any
    ) -> VersionRecord:
        record = add_row(self._versions, manifest, **words)
        if make_current or (make_current is None and self._place.current() is None):
            self._place.point(record.name, how=SAVED)
        return self.get(record.name)


def _metadata(draft: VersionDraft, name: str, files: Mapping[str, FileFacts]) -> dict[str, Any]:
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
