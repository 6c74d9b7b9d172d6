"""Moving `current`: the alias on disk, the rows and the history, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from movierec.errors import ArtifactError, NotFoundError
from movierec.registry.history import PROMOTED, ROLLED_BACK
from movierec.registry.reader import VersionReader
from movierec.store import VersionRecord

__all__ = ["CurrentMover"]


class CurrentMover(VersionReader):
    """What makes a version the current one; see `Registry`."""

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
        self._ready(name)
        with self._writing(), self._lock():
            self._require_still_current(replaces)
            note: Mapping[str, Any] = {"who": who, "reason": reason, "checks": checks}
            return self._move(name, how=PROMOTED, replaces=replaces, **note)

    def rollback(self, *, who: str = "", reason: str = "") -> VersionRecord:
        """Make the version current again that was so before; once more leads further back.

        Raises:
            NotFoundError: there is none before, or none that still exists.

        """
        self._ready(self._before())
        with self._writing(), self._lock():
            return self._move(self._before(), how=ROLLED_BACK, who=who, reason=reason)

    def _before(self) -> str:
        name = self.previous()
        if name is None:
            raise NotFoundError(
                "There is no version to roll back to: none was current before that is still there.",
                hint="`movierec versions history` shows the moves; promote one you choose.",
            )
        return name

    def _ready(self, name: str) -> None:
        """Have a version here and where all machines have it; other work goes on meanwhile."""
        record = self.get(name)
        self._place.bring(record)
        self._place.share(record.name)

    def _require_still_current(self, expected: Sequence[str | None]) -> None:
        record = self._versions.current()
        name = None if record is None else record.name
        if expected and name not in expected:
            raise ArtifactError(
                f"Meanwhile {name or 'no version'} became current, which nothing was compared "
                "with.",
                hint="Try again.",
            )

    def _move(self, name: str, *, how: str, **note: Any) -> VersionRecord:
        record = self.get(name)
        problems = self.verify(record.name)
        if problems:
            raise ArtifactError(
                f"Version {record.name} cannot become current: {problems[0]}",
                hint="Restore its files from a backup, or train it again.",
            )
        self._place.point(record.name, how=how, **note)
        return self.get(record.name)
