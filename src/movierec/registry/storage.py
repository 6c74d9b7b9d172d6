"""Where the files of versions are, and what moves there when a version is kept or deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from movierec.progress import Progress, silent
from movierec.registry.alias import point_alias, read_alias
from movierec.registry.files import problems_of
from movierec.registry.history import SAVED
from movierec.registry.manifest import read_manifest
from movierec.registry.names import is_folder
from movierec.registry.reconcile import reconcile
from movierec.registry.trash import bring_back, remove, throw_away
from movierec.runtime import own_user
from movierec.store import Store, VersionRecord

__all__ = ["LocalStorage", "Share"]


class Share(Protocol):
    """What puts a version that lies here where all machines have it."""

    def __call__(self, name: str, tell: Progress = ...) -> None:
        """Do it; ArtifactError where that cannot be done."""


class LocalStorage:
    """The folder of versions is all there is: it says what there is and which one is current.

    `SharedStorage` is the other kind. Hold the registry's lock for what changes something, unless
    a method says that it takes it itself.
    """

    is_shared = False

    def __init__(self, root: Path, store: Store, trash_time: timedelta) -> None:
        self._root = root
        self._store = store
        self._versions = store.versions
        self._trash_time = trash_time

    def bring(self, record: VersionRecord, tell: Progress = silent) -> None:
        """Have a version's folder here, if it can be had; takes the lock itself."""

    def share(self, name: str, tell: Progress = silent) -> None:
        """Put a version that lies here where all machines have it; takes the lock itself."""

    def has(self, name: str) -> bool:
        """Return whether there should be files of a listed version."""
        return is_folder(self._root / name)

    def problems(self, record: VersionRecord) -> list[str]:
        """Return what is wrong with a version's files; nothing when all is well."""
        folder = self._root / record.name
        problems = problems_of(folder)
        if not problems and read_manifest(folder).metadata != record.metadata.as_dict():
            problems.append("metadata.json differs from the copy in the database.")
        return problems

    def current(self) -> str | None:
        """Return the version that is current, None where there is none."""
        return read_alias(self._root)

    def next_name(self, choose: Callable[[Sequence[str]], str]) -> str:
        """Return what `choose` makes of all names ever given."""
        return choose(self._versions.names_ever())

    def keeping(self) -> AbstractContextManager[Share]:
        """Let nobody take up a folder that is kept but not listed yet; gives what shares it."""
        return nullcontext(_nowhere)

    def note(self, name: str) -> None:
        """Note that a listed version was shared."""

    def point(
        self,
        name: str,
        *,
        how: str = SAVED,
        who: str = "",
        reason: str = "",
        checks: Sequence[Mapping[str, Any]] = (),
        replaces: Sequence[str | None] = (),  # noqa: ARG002 - the lock keeps it as it was found
    ) -> None:
        """Make a version the current one; the history keeps the rest.

        `replaces` names what may be current now; empty: any.
        """
        note: Mapping[str, Any] = {"reason": reason, "checks": checks}
        self._store.promotions.plan(name, how=how, who=who or own_user(), **note)
        point_alias(self._root, name)
        self._versions.set_current(name)

    def throw_away(self, name: str, until: datetime) -> None:
        """Move a version into the trash."""
        throw_away(self._root, self._versions, name, until)

    def bring_back(self, name: str) -> None:
        """Move a version out of the trash."""
        bring_back(self._root, self._versions, name)

    def remove(self, record: VersionRecord) -> None:
        """Delete a version for good."""
        remove(self._root, self._versions, record)

    def reconcile(self) -> list[str]:
        """Bring files and rows together again; return a line for each thing done."""
        return reconcile(self._root, self._store, self._trash_time)


def _nowhere(name: str, tell: Progress = silent) -> None:
    """Leave a version where it is."""
