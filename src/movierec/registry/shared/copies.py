"""Which folders of this machine are copies of what all machines have.

`models/.shared/vX.Y.Z` names the place and the hash of `metadata.json`: a folder without one is
work of this machine that is not pushed yet, and is never removed because others know nothing of
it.
"""

from __future__ import annotations

from pathlib import Path

from movierec.registry.manifest import facts_of
from movierec.registry.names import METADATA

__all__ = ["Copies"]

FOLDER = ".shared"


class Copies:
    """The notes about the copies of one place, kept in a folder of versions."""

    def __init__(self, root: Path, shown: str) -> None:
        self._notes = root / FOLDER
        self._shown = shown

    def note(self, folder: Path) -> None:
        """Note that a version's folder is a copy."""
        self._notes.mkdir(exist_ok=True)
        (self._notes / folder.name).write_text(self._mark(folder), "utf-8")

    def forget(self, name: str) -> None:
        """Take the note back: it is no copy any more, or there is none."""
        (self._notes / name).unlink(missing_ok=True)

    def holds(self, folder: Path) -> bool:
        """Return whether a folder, as it is now, is a copy."""
        try:
            return (self._notes / folder.name).read_text("utf-8") == self._mark(folder)
        except (OSError, UnicodeDecodeError):
            return False

    def knew(self, name: str) -> bool:
        """Return whether there was a copy of this name, whatever its folder holds by now."""
        try:
            noted = (self._notes / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        return noted.partition(" ")[2] == f"{self._shown}\n"

    def _mark(self, folder: Path) -> str:
        return f"{facts_of(folder / METADATA).sha256} {self._shown}\n"
