"""What a batch has done so far: a folder beside its file, with a table for each block of users."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout
from pyarrow import parquet

from movierec.errors import SettingsError
from movierec.folders import sync

__all__ = ["FinishedParts", "parts_beside"]

STATE = "state.json"


class FinishedParts:
    """Tables by number, each whole or not there. Belongs to one process at a time.

    `differs` says in words why what was there before could not be used; empty where it could, or
    where there was nothing.
    """

    def __init__(self, folder: Path, differs: str) -> None:
        self.folder = folder
        self.differs = differs

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self._path(number).exists()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        return not any(self.folder.glob("*.parquet"))

    def keep(self, number: int, table: pa.Table) -> None:
        """Write a table in one step."""
        aside = self.folder / "unfinished"
        parquet.write_table(table, aside)
        sync(aside)
        aside.replace(self._path(number))

    def read(self, number: int) -> pa.Table:
        """Return a table that was kept.

        Raises:
            SettingsError: its file was damaged since.

        """
        path = self._path(number)
        try:
            return parquet.read_table(path)
        except pa.ArrowException as error:
            raise SettingsError(
                f"{path} is damaged.", hint="Remove it and give the same command again."
            ) from error

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:07}.parquet"


@contextmanager
def parts_beside(path: Path, identity: Mapping[str, Any]) -> Iterator[FinishedParts]:
    """Open the folder beside a file; what another batch than `identity` left in it is removed.

    The folder stays when the block fails with something done, else it goes.

    Raises:
        SettingsError: another process is writing the file.
        OSError: the folder cannot be written.

    """
    folder = path.with_name(f".{path.name}.part")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield from _held(FinishedParts(folder, _begin(folder, identity)))
    except Timeout as error:
        raise SettingsError(
            f"Another movierec is writing {path}.", hint="Wait for it, or name another file."
        ) from error


def _held(parts: FinishedParts) -> Iterator[FinishedParts]:
    try:
        yield parts
    except BaseException:
        if not parts.is_empty:
            raise
        shutil.rmtree(parts.folder, ignore_errors=True)
        raise
    shutil.rmtree(parts.folder, ignore_errors=True)


def _begin(folder: Path, identity: Mapping[str, Any]) -> str:
    """Make the folder this batch's own; return why another's work was removed."""
    state = folder / STATE
    differs = _difference(state, identity)
    if differs is None:
        return ""
    for left in folder.glob("*.parquet"):  # first, or a kill would leave them to the new state
        left.unlink()
    aside = folder / "unfinished"
    aside.write_text(json.dumps(identity), encoding="utf-8")
    sync(aside)
    aside.replace(state)
    return differs


def _difference(state: Path, identity: Mapping[str, Any]) -> str | None:
    """Return what differs, in words; "" where nothing was begun, None where nothing differs."""
    try:
        begun = json.loads(state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    except ValueError:
        return "what was there could not be read"
    if begun == identity:
        return None
    if not isinstance(begun, dict):
        return "what was there could not be read"
    name = next((name for name in identity if begun.get(name) != identity[name]), "format")
    return f"what was there had another {name.replace('_', ' ')}"
