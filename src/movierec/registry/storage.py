"""Storage of versions: where their files are and what says which one is current.

`LocalStorage` is a folder on this machine alone; the other kind is
`movierec.registry.shared.storage.SharedStorage`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from movierec.errors import ArtifactError
from movierec.folders import set_aside
from movierec.registry.files import problems_of
from movierec.registry.folder import ModelsFolder, NewVersion, point_alias, read_alias
from movierec.registry.manifest import read_manifest
from movierec.registry.names import TRASH, is_folder, next_name
from movierec.registry.reconcile import reconcile
from movierec.runtime import own_user
from movierec.store import VersionRecord
from movierec.store.records import Move

__all__ = ["LocalStorage", "Storage", "problems_here"]


class Storage(Protocol):
    """Where the files of versions are, and what moves there when one is kept or deleted.

    Hold the lock of the folder of versions for methods that change something, unless they say
    that they take it themselves.
    """

    def keep(self, new: NewVersion) -> str:
        """Give a new version its name and place and list it; return the name. Takes the lock."""

    def fetch(self, record: VersionRecord) -> Path:
        """Return a version's folder on this machine. Takes the lock.

        Raises:
            ArtifactError: it is missing or cannot be had.

        """

    def make_available(self, record: VersionRecord) -> None:
        """Have a version's files wherever it can become current. Takes the lock.

        Raises:
            ArtifactError: that cannot be done.

        """

    def problems(self, record: VersionRecord) -> list[str]:
        """Return the problems of a version's files; nothing when all is well."""

    def current(self) -> str | None:
        """Return the name of the version that is current, None where there is none."""

    def set_current(self, name: str, move: Move, replaces: Sequence[str | None] = ()) -> None:
        """Make a version the current one and write the move into the history.

        `replaces` names what may be current now; empty: any.
        """

    def trash(self, record: VersionRecord, until: datetime) -> None:
        """Move a version into the trash."""

    def restore(self, name: str) -> None:
        """Move a version out of the trash."""

    def delete(self, record: VersionRecord) -> None:
        """Delete a version for good, whether it is in the trash or not."""

    def reconcile(self) -> list[str]:
        """Bring files and rows together again; return a line for each thing done."""


class LocalStorage:
    """Versions in a folder of this machine, which says what there is and which one is current.

    A version leaves the list before its files move and comes back to it after they did, so that
    nobody ever finds one listed without its files. What a killed process left half done is
    settled by where the folder is.
    """

    def __init__(self, folder: ModelsFolder) -> None:
        self._folder = folder
        self._root = folder.root
        self._versions = folder.versions

    def keep(self, new: NewVersion) -> str:
        """Rename a new version into place and list it."""
        with self._folder.lock():
            name = self._folder.free_name(new, self._next_name)
            self._versions.add(self._folder.accept(new, name))
            if new.make_current or (new.make_current is None and self.current() is None):
                self.set_current(name, Move("saved", own_user()))
            return name

    def fetch(self, record: VersionRecord) -> Path:
        """Return a version's folder, which exists and is no link."""
        folder = self._root / record.name
        if not is_folder(folder):
            raise ArtifactError(
                f"The folder of version {record.name} is missing.",
                hint=f"Restore it from a backup, or run `movierec versions delete {record.name}`.",
            )
        return folder

    def make_available(self, record: VersionRecord) -> None:
        """Check that a version's folder is there: it can become current as it lies."""
        self.fetch(record)

    def problems(self, record: VersionRecord) -> list[str]:
        """Return the problems of the files in a version's folder."""
        return problems_here(self._root, record)

    def current(self) -> str | None:
        """Return the version that the link `current` leads to."""
        return read_alias(self._root)

    def set_current(
        self,
        name: str,
        move: Move,
        replaces: Sequence[str | None] = (),  # noqa: ARG002 - the lock keeps it as it was found
    ) -> None:
        """Plan the move, point the link, then change the rows: a killed process loses nothing."""
        self._folder.store.promotions.plan(name, move)
        point_alias(self._root, name)
        self._versions.set_current(name)

    def trash(self, record: VersionRecord, until: datetime) -> None:
        """Move a version into the trash; one without files is deleted for good.

        Raises:
            ArtifactError: there already is a folder of this name.

        """
        if not is_folder(self._root / record.name):
            self.delete(record)
            return
        _require_free(self._root / TRASH / record.name)
        with self._unlisted(record.name, until):
            self._folder.move_to_trash(record.name)

    def restore(self, name: str) -> None:
        """Move a version out of the trash, then list it again.

        Raises:
            ArtifactError: its files are gone, or its place is taken.

        """
        kept = self._root / TRASH / name
        if not is_folder(kept):
            raise ArtifactError(
                f"The files of {name} are no longer in the trash.",
                hint=f"Put its folder back from a backup, into {kept.parent}.",
            )
        _require_free(self._root / name)
        self._folder.move_out_of_trash(name)
        self._versions.restore(name)
        self._folder.remove_empty_trash()

    def delete(self, record: VersionRecord) -> None:
        """Set a version's folder aside, then delete its row and what was measured of it."""
        if record.trashed_at is not None:
            aside = set_aside(self._root / TRASH / record.name, into=self._root)
        else:
            with self._unlisted(record.name, datetime.now(UTC)):
                aside = set_aside(self._root / record.name)
        self._folder.delete_row(record.name, [aside])

    def reconcile(self) -> list[str]:
        """Let rows and link follow the folders after a process was killed."""
        return reconcile(self._folder, self.delete)

    def _next_name(self, taken: Iterable[str]) -> str:
        return next_name([*taken, *self._versions.names_ever()])

    @contextmanager
    def _unlisted(self, name: str, until: datetime) -> Iterator[None]:
        """Take a version off the list; back onto it when its files cannot be moved."""
        self._versions.trash(name, until)
        try:
            yield
        except OSError:
            self._versions.restore(name)
            raise


def problems_here(root: Path, record: VersionRecord) -> list[str]:
    """Return the problems of a version's folder on this machine."""
    folder = root / record.name
    problems = problems_of(folder)
    if not problems and read_manifest(folder).metadata != record.metadata.as_dict():
        problems.append("metadata.json differs from the copy in the database.")
    return problems


def _require_free(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise ArtifactError(
            f"{path} is in the way: two versions cannot have one name.",
            hint="Move that folder away, or remove it.",
        )
