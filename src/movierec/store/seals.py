"""A folder's stamp: what it was made for, and what its files must be like, cheaply told."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

__all__ = ["is_sealed", "seal"]

STAMP = "stamp.json"
PIECE = 4 << 20  # bytes read at once
# A file changed this shortly after the stamp may have the same time as before: clocks of
# file systems tick some 4 ms apart. It is read whole.
TICK = 50_000_000  # ns
_THREADS = 2


def seal(folder: Path, purpose: Mapping[str, object]) -> None:
    """Write the stamp of a folder whose files are all there."""
    files = {path.name: _facts(path) | {"crc32": _crc32(path)} for path in sorted(folder.iterdir())}
    stamp = {"purpose": dict(purpose), "sealed_at": time.time_ns(), "files": files}
    (folder / STAMP).write_text(json.dumps(stamp))


def is_sealed(folder: Path, purpose: Mapping[str, object]) -> bool:
    """Return whether a folder was made for this purpose and its files are as they were.

    A file of the same size and time is taken for the same; any other one's content is compared.

    Raises:
        OSError, ValueError, KeyError, TypeError: the stamp or a file is missing or unreadable.

    """
    stamp = json.loads((folder / STAMP).read_text())
    if stamp["purpose"] != dict(purpose):
        return False
    doubtful = [
        (folder / name, facts)
        for name, facts in stamp["files"].items()
        if not _is_untouched(folder / name, facts, stamp["sealed_at"])
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        return all(pool.map(lambda one: _is_same(*one), doubtful))


def _facts(path: Path) -> dict[str, int]:
    found = path.stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _is_untouched(path: Path, facts: Mapping[str, Any], sealed_at: int) -> bool:
    found = _facts(path)
    same = all(facts[name] == value for name, value in found.items())
    return same and found["mtime_ns"] < sealed_at - TICK


def _is_same(path: Path, facts: Mapping[str, Any]) -> bool:
    same: bool = path.stat().st_size == facts["size"] and _crc32(path) == facts["crc32"]
    return same


def _crc32(path: Path) -> int:
    checksum, piece = 0, bytearray(PIECE)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(piece):
            checksum = zlib.crc32(memoryview(piece)[:size], checksum)
    return checksum
