"""The lists of all users in one file, written so that a killed process loses next to nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from filelock import FileLock, Timeout
from pyarrow import parquet

from movierec.errors import SettingsError
from movierec.export.lists_files import as_table, check_suffix, write_tables
from movierec.folders import sync
from movierec.inference.batch import Options, block_size
from movierec.inference.version import LoadedVersion
from movierec.progress import Progress, silent

__all__ = ["Exported", "FinishedParts", "export_lists", "parts_beside"]

FORMAT = 1
LISTS_SHARE = 0.9  # of the time; the rest is putting the file together


@dataclass(frozen=True)
class Exported:
    """A file of lists. `resumed` is for how many users an earlier start had been at work.

    `began_anew` says why what an earlier start left could not be used; empty where nothing was.
    """

    path: Path
    version: str
    users: int
    lines: int
    resumed: int
    began_anew: str
    seconds: float


def export_lists(
    version: LoadedVersion,
    path: Path,
    options: Options,
    *,
    block: int | None = None,
    on_progress: Progress = silent,
) -> Exported:
    """Write every user's list into a Parquet, CSV or JSONL file, as its name says.

    Blocks of users are kept in a folder beside it until the whole is there; only one block is in
    memory. After a kill the same call goes on with the block that was under way. The file appears
    at the end, in one step, in place of one that is there, and is the same to the byte as one
    that was written without interruption.

    Raises:
        SettingsError: the file's name ends otherwise, it cannot be written, or another process
            is writing it.
        EvaluationError, NotFoundError: the options cannot be used, see `LoadedVersion.recommend`.

    """
    check_suffix(path)
    if path.is_dir():
        raise SettingsError(f"{path} is a folder.", hint="Name a file.")
    begun = time.monotonic()
    size = block or block_size(version.dataset.n_movies)
    try:
        with parts_beside(path, _identity(version, options, size)) as parts:
            resumed = _make(version, options, size, parts, on_progress)
            lines = _join(version, path, size, parts, on_progress)
            differs = parts.differs
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint="Make room or name another file; the same command goes on where it stopped.",
        ) from error
    users = version.dataset.n_users
    return Exported(path, version.name, users, lines, resumed, differs, time.monotonic() - begun)


def _identity(version: LoadedVersion, options: Options, block: int) -> Mapping[str, Any]:
    """Return what must be the same for two starts to be one batch, as JSON has it."""
    metadata = json.dumps(version.metadata.as_dict(), sort_keys=True, default=str)
    facts = {
        "format": FORMAT,
        "version": version.name,
        "content": hashlib.sha256(metadata.encode()).hexdigest(),
        "data_set": version.dataset.fingerprint,
        **asdict(options),
        "block": block,
    }
    same: Mapping[str, Any] = json.loads(json.dumps(facts))
    return same


def _make(
    version: LoadedVersion, options: Options, size: int, parts: FinishedParts, on_progress: Progress
) -> int:
    """Make the blocks that are missing; return how many users the others have."""
    total, resumed = version.dataset.n_users, 0
    for number, first in enumerate(range(0, total, size)):
        users = np.arange(first, min(first + size, total))
        if number in parts:
            resumed += len(users)
            continue
        on_progress(f"{first:,} of {total:,} users", LISTS_SHARE * first / total)
        (lists,) = version.recommend_all(**vars(options), users=users, block=size)
        parts.keep(number, as_table(version, lists))
    return resumed


def _join(
    version: LoadedVersion, path: Path, size: int, parts: FinishedParts, on_progress: Progress
) -> int:
    """Put the blocks together beside the file's place, and move them there in one step."""
    on_progress("writing the file", LISTS_SHARE)
    numbers = range(len(range(0, version.dataset.n_users, size)))
    whole = parts.folder / "whole"
    lines = write_tables(whole, map(parts.read, numbers), path.suffix)
    sync(whole)
    whole.replace(path)
    sync(path.resolve().parent)
    return lines


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
