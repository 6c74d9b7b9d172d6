"""Everybody's list in one file, written so that a killed process loses next to nothing."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from movierec.errors import SettingsError
from movierec.export.lists_files import as_table, check_suffix, write_tables
from movierec.export.lists_parts import FinishedParts, parts_beside
from movierec.folders import sync
from movierec.inference.batch import Options, block_size
from movierec.inference.version import LoadedVersion
from movierec.progress import Progress, silent

__all__ = ["Exported", "export_lists"]

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
