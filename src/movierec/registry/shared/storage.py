"""Versions that several machines share: the database lists them, a location has their files.

The folder of versions then holds this machine's copies, fetched when they are first needed, and
work of its own that is not pushed yet. A push takes minutes where a network is slow: nothing waits
for it but who pushes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from movierec.errors import ArtifactError, SettingsError
from movierec.progress import Progress, silent
from movierec.registry.alias import point_alias
from movierec.registry.files import problems_of
from movierec.registry.history import SAVED
from movierec.registry.locking import FETCHING, KEEPING, TRANSFER_SECONDS, locked, writing
from movierec.registry.manifest import read_manifest
from movierec.registry.measurements import Measurements
from movierec.registry.names import TRASH, is_folder
from movierec.registry.shared.copies import Copies
from movierec.registry.shared.location import Location
from movierec.registry.shared.reconcile import Shared, reconcile_shared
from movierec.registry.shared.transfer import problems_there, pull, push
from movierec.registry.storage import LocalStorage, Share
from movierec.registry.trash import tidy
from movierec.runtime import own_user
from movierec.settings import Settings
from movierec.store import Store, VersionRecord
from movierec.store.folders import discard, incoming_folder, set_aside, sync

__all__ = ["SharedStorage", "storage_of"]


def storage_of(settings: Settings, store: Store) -> LocalStorage:
    """Return where the versions of these settings are; nothing is opened yet.

    Raises:
        SettingsError: MOVIEREC_ARTIFACTS_URL is no URL, or leads into the folder of versions.

    """
    root, trash_time = settings.models_path, timedelta(days=settings.trash_days)
    if not settings.artifacts_url:
        return LocalStorage(root, store, trash_time)
    return SharedStorage(root, store, trash_time, Location(settings.artifacts_url))


class SharedStorage(LocalStorage):
    """Rows say what there is and which version is current; folders here follow them."""

    is_shared = True

    def __init__(self, root: Path, store: Store, trash_time: timedelta, location: Location) -> None:
        super().__init__(root, store, trash_time)
        _require_apart(root, location)
        self.location = location
        self._copies = Copies(root, location.shown)

    def bring(self, record: VersionRecord, tell: Progress = silent) -> None:
        """Fetch a version unless it is here; one process at a time does, and others wait for it.

        Raises:
            ArtifactError: it cannot be fetched, or another version of its name is here.

        """
        folder = self._root / record.name
        if not is_folder(folder):
            doing = locked(
                self._root, "fetching a version", file=FETCHING, seconds=TRANSFER_SECONDS
            )
            with writing(self._root), doing:
                if not is_folder(folder):
                    self._fetch(record, tell)
        self._require_same(folder, record)

    def renew(self, record: VersionRecord, tell: Progress = silent) -> None:
        """Fetch a version, in place of a copy that is damaged too."""
        folder = self._root / record.name
        if is_folder(folder) and problems_of(folder) and self._copies.knew(record.name):
            with writing(self._root), self._lock():
                aside = set_aside(folder)
            if aside is not None:
                discard(aside)
        self.bring(record, tell)

    def share(self, name: str, tell: Progress = silent, *, again: bool = False) -> None:
        """Push a version that lies here, unless it is there already; `again` even then.

        Raises:
            ArtifactError: the location cannot be written, or the version is not whole.

        """
        if again or not self.is_copy(name):
            with self.keeping() as push_it:
                push_it(name, tell)
                self.note(name)

    def waiting(self) -> list[str]:
        """Return the versions that lie here and not yet where the others can have them."""
        names = [record.name for record in self._versions.summaries(())]
        here = [name for name in reversed(names) if is_folder(self._root / name)]
        return [name for name in here if not self.is_copy(name)]

    def is_copy(self, name: str) -> bool:
        """Return whether what lies here is a copy of what all machines have."""
        return self._copies.holds(self._root / name)

    def has(self, name: str) -> bool:  # noqa: ARG002
        """Return True: where its files are not here, they are elsewhere."""
        return True

    def problems(self, record: VersionRecord) -> list[str]:
        """Return what is wrong with the files here, or with those there where none are here."""
        if is_folder(self._root / record.name):
            return super().problems(record)
        return problems_there(self.location, record)

    def current(self) -> str | None:
        """Return the version that the database calls current."""
        record = self._versions.current()
        return None if record is None else record.name

    def next_name(self, choose: Callable[[Sequence[str]], str]) -> str:
        """Return a name that no other machine gets as well."""
        return self._versions.reserve(choose)

    @contextmanager
    def keeping(self) -> Iterator[Share]:
        """Let one process at a time push; what it pushes is not taken up meanwhile."""
        doing = locked(self._root, "pushing a version", file=KEEPING, seconds=TRANSFER_SECONDS)
        with writing(self._root), doing:
            yield lambda name, tell=silent: push(self.location, self._root / name, tell)

    def note(self, name: str) -> None:
        """Note that what lies here is a copy: from now on it goes when its row goes."""
        self._copies.note(self._root / name)

    def point(
        self,
        name: str,
        *,
        how: str = SAVED,
        who: str = "",
        reason: str = "",
        checks: Sequence[Mapping[str, Any]] = (),
        replaces: Sequence[str | None] = (),
    ) -> None:
        """Make a version current for all machines at once; the others' aliases follow.

        Raises:
            StoreError: another machine moved it meanwhile.

        """
        self._versions.set_current(
            name, how=how, who=who or own_user(), reason=reason, checks=checks, replaces=replaces
        )
        point_alias(self._root, name)

    def throw_away(self, name: str, until: datetime) -> None:
        """Move a version into the trash, and the files of this machine where it has some."""
        self._versions.trash(name, until)
        if is_folder(self._root / name) and not (self._root / TRASH / name).exists():
            (self._root / TRASH).mkdir(exist_ok=True)
            (self._root / name).rename(self._root / TRASH / name)
            sync(self._root)

    def bring_back(self, name: str) -> None:
        """List a version again; where its files are not here, they are fetched when needed."""
        if is_folder(self._root / TRASH / name) and not (self._root / name).exists():
            (self._root / TRASH / name).rename(self._root / name)
            sync(self._root)
        self._versions.restore(name)
        tidy(self._root)

    def remove(self, record: VersionRecord) -> None:
        """Delete a version for good, there and here; other machines drop their copies later.

        Raises:
            ArtifactError: the location cannot be written; the version is as it was.

        """
        name, was_listed = record.name, record.trashed_at is None
        if was_listed:
            self._versions.trash(name, datetime.now(UTC))
        self._copies.forget(name)  # what is left here would be pushed again
        try:
            self.location.remove(name)
        except ArtifactError:
            if was_listed:
                self._versions.restore(name)
            raise
        # aside before the row goes: a folder without either would be taken up again
        here = [self._root / name, self._root / TRASH / name]
        aside = [set_aside(folder, into=self._root) for folder in here]
        self._versions.delete(name)
        for folder in filter(None, aside):
            discard(folder)
        Measurements(self._root).drop(name)
        tidy(self._root)

    def reconcile(self) -> list[str]:
        """Let the folders here follow the rows; nothing is pushed or fetched."""
        return reconcile_shared(
            Shared(self._root, self._store, self._copies, self._trash_time), self.remove
        )

    def _lock(self) -> AbstractContextManager[None]:
        return locked(self._root, "changing the versions")

    def _fetch(self, record: VersionRecord, tell: Progress) -> None:
        folder = self._root / record.name
        with incoming_folder(self._root) as incoming:
            pull(self.location, record, incoming, tell)
            with self._lock():
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
            hint=f"Move that folder away; {record.name} is then fetched from "
            f"{self.location.shown}.",
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
