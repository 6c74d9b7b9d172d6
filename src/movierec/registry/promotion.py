"""Promotion: making a version the current one, taking that back, and the history of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from movierec.errors import ArtifactError, NotFoundError
from movierec.registry.folder import ModelsFolder
from movierec.registry.storage import Storage
from movierec.runtime import own_user
from movierec.store import PromotionRecord, VersionRecord
from movierec.store.records import Move

__all__ = ["Promotion", "previous_of"]


class Promotion:
    """Moves `current` and knows how it moved; `Registry.promotion` is one."""

    def __init__(self, folder: ModelsFolder, storage: Storage) -> None:
        self._folder = folder
        self._storage = storage
        self._versions = folder.versions

    def history(self) -> list[PromotionRecord]:
        """Return the moves of `current`, newest first."""
        return self._folder.store.promotions.list()

    def previous(self) -> str | None:
        """Return the version that a rollback would make current, None where there is none."""
        there = {record.name for record in self._versions.summaries(()) if not record.is_missing}
        return previous_of(self.history(), self._current(), there)

    def promote(
        self,
        name: str,
        *,
        who: str = "",
        reason: str = "",
        checks: Sequence[Mapping[str, Any]] = (),
        replaces: Sequence[str | None] = (),
    ) -> VersionRecord:
        """Make a whole version the current one; the old one stays and can be promoted back.

        Nothing is compared: `workflows.promote` does that first. The history keeps `who` (empty:
        the user of this process), `reason` and `checks`. `replaces` names what may be current now
        (None: no version), as it was when the checks were made; empty: any.

        Raises:
            ArtifactError: its files are not whole, or `current` moved meanwhile.

        """
        self._storage.make_available(self._folder.get(name))
        with self._folder.writing(), self._folder.lock():
            self._require_still_current(replaces)
            move = Move("promoted", who or own_user(), reason, checks)
            return self._move(name, move, replaces)

    def rollback(self, *, who: str = "", reason: str = "") -> VersionRecord:
        """Make the version current again that was so before; once more leads further back.

        Raises:
            NotFoundError: there is none before, or none that still exists.

        """
        self._storage.make_available(self._folder.get(self._before()))
        with self._folder.writing(), self._folder.lock():
            return self._move(self._before(), Move("rolled back", who or own_user(), reason))

    def _before(self) -> str:
        name = self.previous()
        if name is None:
            raise NotFoundError(
                "There is no version to roll back to: none was current before that is still there.",
                hint="`movierec versions history` shows the moves; promote one you choose.",
            )
        return name

    def _current(self) -> str | None:
        record = self._versions.current()
        return None if record is None else record.name

    def _require_still_current(self, expected: Sequence[str | None]) -> None:
        name = self._current()
        if expected and name not in expected:
            raise ArtifactError(
                f"Meanwhile {name or 'no version'} became current, which nothing was compared "
                "with.",
                hint="Try again.",
            )

    def _move(self, name: str, move: Move, replaces: Sequence[str | None] = ()) -> VersionRecord:
        record = self._folder.get(name)
        problems = self._storage.problems(record)
        if problems:
            raise ArtifactError(
                f"Version {record.name} cannot become current: {problems[0]}",
                hint="Restore its files from a backup, or train it again.",
            )
        self._storage.set_current(record.name, move, replaces)
        return self._folder.get(record.name)


def previous_of(
    moves: Sequence[PromotionRecord], current: str | None, there: Collection[str]
) -> str | None:
    """Return the version that was current before and is still `there`; moves newest first.

    A rollback takes moves back: a second one leads further back, not forward again.
    """
    stack: list[str] = []
    for move in reversed(moves):
        if not stack and move.previous is not None:
            stack.append(move.previous)
        if move.how == "rolled back" and move.version in stack:
            while stack[-1] != move.version:
                stack.pop()
        elif move.version is not None:
            stack.append(move.version)
    return next((name for name in reversed(stack) if name != current and name in there), None)
