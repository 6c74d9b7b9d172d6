"""Hashes of large files of versions, so that these are not read whole at each opening.

A file is known by its size, times and inode. Its `ctime` is the system's own: whatever is written
to a file moves it, and no program can set it back.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["LARGE", "is_known", "remember"]

Facts: TypeAlias = dict[str, Any]

log = logging.getLogger(__name__)

LARGE = 16 << 20  # bytes; smaller files are hashed in some hundredths of a second
FOLDER = ".checked"
# A file changed this shortly before it was hashed may be changed again within the same time:
# clocks of file systems tick some 4 ms apart.
TICK = 50_000_000  # ns


def is_known(folder: Path, name: str, sha256: str) -> bool:
    """Return whether a file has this hash, as far as it is unchanged since it was last read whole.

    Raises:
        OSError: it is not there.

    """
    return _read(_cache_file(folder)).get(name) == _facts(folder / name) | {"sha256": sha256}


def remember(folder: Path, name: str, sha256: str, since: int) -> None:
    """Keep the hash of a file whose reading began `since` (ns); trouble is only logged."""
    facts = _facts(folder / name)
    if max(facts["mtime_ns"], facts["ctime_ns"]) >= since - TICK:
        return
    file = _cache_file(folder)
    try:
        _write(file, {**_read(file), name: facts | {"sha256": sha256}})
    except OSError as error:
        log.info("hash not remembered", extra={"file": name, "cause": str(error)})


def _cache_file(folder: Path) -> Path:
    return folder.parent / FOLDER / f"{folder.name}.json"


def _facts(path: Path) -> Facts:
    found = path.stat()
    return {
        "size": found.st_size, "mtime_ns": found.st_mtime_ns, "ctime_ns": found.st_ctime_ns,
        "inode": found.st_ino,
    }  # fmt: skip


def _read(file: Path) -> Facts:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(target: Path, known: Facts) -> None:
    target.parent.mkdir(exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(known, file, sort_keys=True)
        Path(name).replace(target)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise
