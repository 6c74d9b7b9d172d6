"""Versions that several machines share: the database lists them, a location has their files.

The folder of versions then holds this machine's copies, fetched when they are first needed, and
work of its own that is not pushed yet. A push takes minutes where a network is slow: only the
process that pushes waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from movierec.errors import ArtifactError, SettingsError
from movierec.folders import discard, incoming_folder, locked, set_aside, sync
from movierec.progress import Progress, silent
from movierec.registry.files import problems_of
from movierec.registry.folder import ModelsFolder, NewVersion, point_alias, read_alias
from movierec.registry.manifest import read_manifest
from movierec.registry.names import TRASH, is_folder, next_name
from movierec.registry.shared.location import Location
from movierec.registry.shared.reconcile import PUSHING, reconcile_shared
from movierec.registry.shared.transfer import Copies, problems_there, pull, push
from movierec.registry.storage import problems_here
from movierec.runtime import own_user
from movierec.store import VersionRecord
from movierec.store.records import Move

__all__ = ["SharedStorage"]

FETCHING = ".fetching"
TRANSFER_SECONDS = 3600.0  # what goes over a network takes longer than other changes
Names: TypeAlias = list[str]

logger = logging.getLogger(__name__)


class SharedStorage:
    """Rows say what there is and which version is current; folders here follow them.

    A `Storage`, and what pushes and fetches versions; `Registry.shared` is one.
    """

    def __init__(self, folder: ModelsFolder, location: Location) -> None:
        _require_apart(folder.root, location)
        self._folder = folder
        self._root = folder.root
        self._versions = folder.versions
        self._location = location
        self._copies = Copies(folder.root, location.shown)

    @property
    def location(self) -> str:
        """The location that machines share, without passwords."""
        return self._location.shown

    def keep(self, new: NewVersion) -> str:
        """Rename a new version into place, push it, then list it.

        One that cannot be pushed is listed and waits: it does not become current, as other
        machines could not have it.
        """
        with self._pushing():
            with self._folder.lock():
                name = self._folder.free_name(new, self._next_name)
                record = self._folder.accept(new, name)
            try:
                push(self._location, self._root / name, silent)
            except ArtifactError as error:
                logger.warning("version=%s stays on this machine: %s", name, error)
                with self._folder.lock():
                    self._versions.add(record)
                return name
            with self._folder.lock():
                self._versions.add(record)
                if new.make_current or (new.make_current is None and self.current() is None):
                    self.set_current(name, Move("saved", own_user()))
                self._copies.note(self._root / name)  # no sooner: a copy without a row is removed
            return name

    def fetch(self, record: VersionRecord, on_progress: Progress = silent) -> Path:
        """Return a version's folder here, fetched by one process while others wait for it.

        Raises:
            ArtifactError: it cannot be fetched, or another version of its name is here.

        """
        folder = self._root / record.name
        if not is_folder(folder):
            doing = locked(
                self._root, "fetching a version", file=FETCHING, seconds=TRANSFER_SECONDS
            )
            with self._folder.writing(), doing:
                if not is_folder(folder):
                    self._pull(record, on_progress)
        self._require_same(folder, record)
        return folder

    def make_available(self, record: VersionRecord) -> None:
        """Fetch a version unless it is here, and push it unless it is there."""
        self.fetch(record)
        if not self._is_copy(record.name):
            self._push(record.name, silent)

    def problems(self, record: VersionRecord) -> list[str]:
        """Return the problems of the files here, or of those there where none are here."""
        if is_folder(self._root / record.name):
            return problems_here(self._root, record)
        return problems_there(self._location, record)

    def current(self) -> str | None:
        """Return the version that the database calls current."""
        record = self._versions.current()
        return None if record is None else record.name

    def set_current(self, name: str, move: Move, replaces: Sequence[str | None] = ()) -> None:
        """Make a version current for all machines at once; the others' links follow.

        Raises:
            StoreError: another machine moved it meanwhile.

        """
        self._versions.set_current(name, move, replaces)
        point_alias(self._root, name)

    def trash(self, record: VersionRecord, until: datetime) -> None:
        """Move a version into the trash, and the files of this machine where it has some."""
        name = record.name
        self._versions.trash(name, until)
        if is_folder(self._root / name) and not (self._root / TRASH / name).exists():
            self._folder.move_to_trash(name)

    def restore(self, name: str) -> None:
        """List a version again; where its files are not here, they are fetched when needed."""
        if is_folder(self._root / TRASH / name) and not (self._root / name).exists():
            self._folder.move_out_of_trash(name)
        self._versions.restore(name)
        self._folder.remove_empty_trash()

    def delete(self, record: VersionRecord) -> None:
        """Delete a version for good, there and here; other machines drop their copies later.

        Raises:
            ArtifactError: the location cannot be written; the version is as it was.

        """
        name, was_listed = record.name, record.trashed_at is None
        if was_listed:
            self._versions.trash(name, datetime.now(UTC))
        self._copies.forget(name)  # what is left here would be pushed again
        try:
            self._location.remove(name)
        except ArtifactError:
            if was_listed:
                self._versions.restore(name)
            raise
        # aside before the row goes: a folder without either would be taken up again
        here = [self._root / name, self._root / TRASH / name]
        aside = [set_aside(folder, into=self._root) for folder in here]
        self._folder.delete_row(name, aside)

    def reconcile(self) -> list[str]:
        """Let the folders here follow the rows; nothing is pushed or fetched."""
        return reconcile_shared(self._folder, self._copies, self.delete)

    def waiting(self) -> Names:
        """Return the versions that only this machine has and the others should, oldest first."""
        names = [record.name for record in self._versions.summaries(())]
        here = [name for name in reversed(names) if is_folder(self._root / name)]
        return [name for name in here if not self._is_copy(name)]

    def whole_there(self) -> set[str]:
        """Return the versions that every machine can fetch.

        Raises:
            ArtifactError: the location cannot be read.

        """
        return self._location.names()

    def where(self, name: str) -> str:
        """Return in words where a version lies; the location is not asked."""
        if not is_folder(self._root / name):
            return f"{self.location}, not this machine yet"
        is_alone = not self._is_copy(name)
        return "this machine alone" if is_alone else f"this machine and {self.location}"

    def push(self, names: Sequence[str] = (), on_progress: Progress = silent) -> Names:
        """Put versions where all machines have them, without names all that wait; return them.

        Those that are named are pushed again, which mends what was changed there.

        Raises:
            ArtifactError: the location cannot be written, or a version is not here or not whole.

        """
        chosen = [self._folder.get(name).name for name in names] or self.waiting()
        for name in chosen:
            if names or not self._is_copy(name):
                self._push(name, on_progress)
        return chosen

    def pull(self, name: str, on_progress: Progress = silent) -> VersionRecord:
        """Have a version here and whole: a damaged copy is fetched again.

        Raises:
            ArtifactError: it is not there, was changed there, or cannot be fetched.

        """
        record = self._folder.get(name)
        folder = self._root / record.name
        if is_folder(folder) and problems_of(folder) and self._copies.knew(record.name):
            with self._folder.writing(), self._folder.lock():
                aside = set_aside(folder)
            if aside is not None:
                discard(aside)
        self.fetch(record, on_progress)
        self._point_alias_if_here()
        return record

    def follow(self) -> None:
        """Let `current` here lead where the database says; that version is fetched first.

        Raises:
            ArtifactError: it cannot be fetched; `current` then leads where it did.

        """
        current = self._versions.current()
        if current is not None and read_alias(self._root) != current.name:
            self.fetch(current)
            self._point_alias_if_here()

    def _point_alias_if_here(self) -> None:
        with self._folder.writing(), self._folder.lock():
            name = self.current()
            if name and read_alias(self._root) != name and is_folder(self._root / name):
                point_alias(self._root, name)

    def _next_name(self, taken: Iterable[str]) -> str:
        """Return a name that no other machine gets as well."""
        return self._versions.reserve(lambda ever: next_name([*taken, *ever]))

    def _is_copy(self, name: str) -> bool:
        return self._copies.holds(self._root / name)

    @contextmanager
    def _pushing(self) -> Iterator[None]:
        """Let one process at a time push; what it pushes is not taken up meanwhile."""
        doing = locked(self._root, "pushing a version", file=PUSHING, seconds=TRANSFER_SECONDS)
        with self._folder.writing(), doing:
            yield

    def _push(self, name: str, on_progress: Progress) -> None:
        with self._pushing():
            push(self._location, self._root / name, on_progress)
            self._copies.note(self._root / name)

    def _pull(self, record: VersionRecord, on_progress: Progress) -> None:
        folder = self._root / record.name
        with incoming_folder(self._root) as incoming:
            pull(self._location, record, incoming, on_progress)
            with self._folder.lock():
                if not is_folder(folder):
                    incoming.rename(folder)
                    sync(self._root)
                    self._copies.note(folder)

    def _require_same(self, folder: Path, record: VersionRecord) -> None:
        found = None
        with suppress(ArtifactError):
            found = read_manifest(folder).metadata
        if found == record.metadata.as_dict():
            return
        if found is None:
            raise ArtifactError(
                f"Version {record.name} cannot be used: its metadata.json is damaged.",
                hint=f"Fetch it again: `movierec versions pull {record.name}`.",
            )
        raise ArtifactError(
            f"{folder} is not the version {record.name} that the database describes.",
            hint=f"Move that folder away; {record.name} is then fetched from {self.location}.",
        )


def _require_apart(root: Path, location: Location) -> None:
    """Refuse a location in the folder of versions: a version's copy would be its original."""
    if location.folder is None:
        return
    one, other = root.resolve(), location.folder.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise SettingsError(
            f"MOVIEREC_ARTIFACTS_URL leads to {other}, which the folder of versions {one} is or "
            "lies in, or that lies in it.",
            hint="Give the versions that machines share a folder of their own.",
        )
