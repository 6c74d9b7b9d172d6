"""Staging folders: a large import keeps there what it has read, for the next import of the file."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from movierec.errors import EmptyDataError, FormatError
from movierec.folders import discard, set_aside

__all__ = ["file_identity", "staging_folder"]

log = logging.getLogger(__name__)

STAGING = ".import-"
SOURCE = "source.json"
LOCK_SECONDS = 1.0  # somebody who only looks has it no longer
KEPT_SECONDS = 7 * 86_400  # an import that nobody goes on with for a week is given up


def file_identity(path: Path) -> dict[str, Any]:
    """Return the identity of a file: path, size and time, which a change does not keep.

    Raises:
        OSError: there is none.

    """
    found = path.stat()
    return {"path": str(path.resolve()), "size": found.st_size, "mtime_ns": found.st_mtime_ns}


@contextmanager
def staging_folder(root: Path, file: Path, options: Mapping[str, Any]) -> Iterator[Path | None]:
    """Make or find the folder of one file's import, for one process at a time.

    It stays when the process is killed, or fails in another way than by what the file holds, and
    goes when the file changes. None when another process has it, or the disk refuses it.
    """
    _clear(root)
    found = _claimed(root, file, options)
    if found is None:
        yield None
        return
    folder, lock = found
    try:
        yield folder
    except (EmptyDataError, FormatError):
        _remove(folder)
        raise
    else:
        _remove(folder)
    finally:
        lock.release()


def _claimed(root: Path, file: Path, options: Mapping[str, Any]) -> tuple[Path, FileLock] | None:
    try:
        source = file_identity(file)
        wanted = json.dumps(source | dict(options), sort_keys=True)
        folder = root / f"{STAGING}{hashlib.sha256(wanted.encode()).hexdigest()[:24]}"
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder)
        lock.acquire(timeout=LOCK_SECONDS)
        (folder / SOURCE).write_text(json.dumps(source))
    except (OSError, Timeout) as error:
        log.info("import not staged", extra={"file": file.name, "cause": str(error)})
        return None
    return folder, lock


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / ".lock")


def _remove(folder: Path) -> None:
    with suppress(OSError):
        aside = set_aside(folder)
        if aside is not None:
            discard(aside)


def _clear(root: Path) -> None:
    """Remove the folders of files that have changed or gone, and those left for long."""
    for folder in root.glob(f"{STAGING}*"):
        with suppress(OSError, Timeout), _lock(folder).acquire(timeout=0):
            if not _is_wanted(folder):
                _remove(folder)


def _is_wanted(folder: Path) -> bool:
    try:
        source = json.loads((folder / SOURCE).read_text())
        same = file_identity(Path(source["path"])) == source
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return same and time.time() - folder.stat().st_mtime < KEPT_SECONDS
