"""Moving versions between this machine and the place that several machines share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from movierec.errors import SettingsError
from movierec.progress import Progress, silent
from movierec.registry.alias import point_alias, read_alias
from movierec.registry.names import is_folder
from movierec.registry.promotion import CurrentMover
from movierec.registry.shared.storage import SharedStorage
from movierec.store import VersionRecord

__all__ = ["Sharer"]

# `list` is a method of a class above
Names: TypeAlias = list[str]


class Sharer(CurrentMover):
    """What pushes and fetches; see `Registry`. Nothing is shared where no location is set."""

    @property
    def location(self) -> str | None:
        """The place that machines share, as it may be shown; None where there is none."""
        return self._place.location.shown if isinstance(self._place, SharedStorage) else None

    def waiting(self) -> Names:
        """Return the versions that only this machine has and the others should, oldest first."""
        return self._place.waiting() if isinstance(self._place, SharedStorage) else []

    def where(self, name: str) -> str:
        """Return in words where a version lies, nobody being asked; empty without a location."""
        if not isinstance(self._place, SharedStorage):
            return ""
        if not is_folder(self._root / name):
            return f"{self.location}, not this machine yet"
        is_alone = not self._place.is_copy(name)
        return "this machine alone" if is_alone else f"this machine and {self.location}"

    def whole_there(self) -> set[str]:
        """Return the versions that every machine can fetch.

        Raises:
            SettingsError: no location is set.
            ArtifactError: it cannot be read.

        """
        return self._shared().location.names()

    def push(self, names: Sequence[str] = (), tell: Progress = silent) -> Names:
        """Put versions where all machines have them, without names all that wait; return them.

        Those that are named are pushed again, which mends what was changed there.

        Raises:
            SettingsError: no location is set.
            ArtifactError: it cannot be written, or a version is not here or not whole.

        """
        place = self._shared()
        chosen = [self.get(name).name for name in names] or self.waiting()
        for name in chosen:
            place.share(name, tell, again=bool(names))
        return chosen

    def pull(self, name: str, tell: Progress = silent) -> VersionRecord:
        """Have a version here, fetched unless it is here and whole.

        Raises:
            SettingsError: no location is set.
            ArtifactError: it is not there, was changed there, or cannot be fetched.

        """
        place, record = self._shared(), self.get(name)
        place.renew(record, tell)
        self._follow_here()
        return record

    def follow(self) -> None:
        """Let `current` here lead where the database says; that version is fetched first.

        Raises:
            ArtifactError: it cannot be fetched; `current` then leads where it did.

        """
        current = self._versions.current()
        if self._place.is_shared and current is not None and not self._leads_to(current.name):
            self._place.bring(current)
            self._follow_here()

    def _follow_here(self) -> None:
        """Let `current` follow if the version is here."""
        with self._writing(), self._lock():
            name = self._place.current()
            if name and not self._leads_to(name) and is_folder(self._root / name):
                point_alias(self._root, name)

    def _leads_to(self, name: str) -> bool:
        return read_alias(self._root) == name

    def _shared(self) -> SharedStorage:
        if isinstance(self._place, SharedStorage):
            return self._place
        raise SettingsError(
            "MOVIEREC_ARTIFACTS_URL is not set: versions lie on this machine alone.",
            hint="Set it in the environment or in .env, as s3://bucket/folder or "
            "file:///mnt/models.",
        )
