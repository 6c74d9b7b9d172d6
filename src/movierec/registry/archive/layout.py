"""Where the files of a version's archive lie in it, read without believing anything.

An archive is a zip of the plainest kind: stored files one after another from the first byte on,
their index, its end, and nothing else. Readers of zips disagree about everything beyond that,
which is what crafted archives live on; so anything else is refused, not interpreted. As nothing
is compressed, no file can be larger than the archive itself.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["MAX_BYTES", "MAX_ENTRIES", "Entry", "RefusedError", "read_layout"]

# below what makes a zip a zip64, which this is never
MAX_BYTES = 1_900 * 2**20
MAX_ENTRIES = 500
MAX_NAME = 110  # serving/ and a name of 100 characters, and a bit

_LOCAL = struct.Struct("<4s5H3L2H")
_INDEX = struct.Struct("<4s2B5H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_SIGNS = {"local": b"PK\x03\x04", "index": b"PK\x01\x02", "end": b"PK\x05\x06"}
_LOCATOR = b"PK\x06\x07"
_LOCATOR_BYTES = 20
_MAX_COMMENT = 2**16 - 1
_ZIP64 = 2**32 - 1


class RefusedError(ValueError):
    """Why an archive cannot be imported: the end of a sentence, without its full stop."""


@dataclass(frozen=True)
class Entry:
    """One file of an archive: where its bytes begin, how many they are, and their CRC-32."""

    name: str
    start: int
    size: int
    crc: int


def read_layout(file: BinaryIO) -> list[Entry]:
    """Return the files of an archive in their order.

    Raises:
        RefusedError: it is no zip, or not one as `movierec versions export` writes.

    """
    size = file.seek(0, os.SEEK_END)
    if size > MAX_BYTES:
        raise RefusedError(f"it has {size:,} bytes; more than {MAX_BYTES:,} is not believed")
    count, index_start, index_bytes = _read_end(file, size)
    if count > MAX_ENTRIES:
        raise RefusedError(f"it holds {count:,} files; more than {MAX_ENTRIES} is not believed")
    file.seek(index_start)
    found = list(_index(file.read(index_bytes), count))
    _check_names([entry.name for entry in found])
    return list(_placed(file, found, index_start))


def _read_end(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Return the number of files, and where the index begins and how long it is."""
    file.seek(0)
    begins = file.read(4)
    file.seek(max(0, size - _END.size))
    end = file.read(_END.size)
    if len(end) < _END.size or not end.startswith(_SIGNS["end"]):
        raise RefusedError(_no_end(file, size, begins))
    _, disk, index_disk, here, count, index_bytes, index_start, comment = _END.unpack(end)
    _check_no_zip64(file, size, (here, count, index_bytes, index_start))
    if comment:
        raise RefusedError("its end was cut off: a comment is promised that is not there")
    if disk or index_disk or here != count:
        raise RefusedError("it is one of several parts")
    before = size - _END.size - index_start - index_bytes
    if before < 0:
        raise RefusedError("its index lies outside of it")
    if before > 0:
        where = "something before its first file" if begins != _SIGNS["local"] else "a gap"
        raise RefusedError(f"it has {before:,} bytes that belong to no file: {where}")
    return count, index_start, index_bytes


def _check_no_zip64(file: BinaryIO, size: int, fields: tuple[int, ...]) -> None:
    file.seek(max(0, size - _END.size - _LOCATOR_BYTES))
    here, count, *large = fields
    if file.read(4) == _LOCATOR or _ZIP64 in large or 0xFFFF in (here, count):
        raise RefusedError("it is a zip64, which these archives never are")


def _no_end(file: BinaryIO, size: int, begins: bytes) -> str:
    if not size:
        return "it is empty"
    at = max(0, size - _END.size - _MAX_COMMENT)
    file.seek(at)
    last = file.read()
    place = last.rfind(_SIGNS["end"])
    if place >= 0 and _is_end(last[place:], at + place):
        return "it has a comment or something else after its end"
    cut = begins == _SIGNS["local"]
    return "its end is missing: it was cut off" if cut else "it is not a zip"


def _is_end(content: bytes, at: int) -> bool:
    """Return whether this is an archive's end; one of a zip inside it fits no such place."""
    if len(content) < _END.size:
        return False
    *_, index_bytes, index_start, _ = _END.unpack_from(content)
    return bool(index_start + index_bytes == at)


def _index(content: bytes, count: int) -> Iterator[Entry]:
    """Yield the files as the index has them; `start` is where the file's own header begins."""
    at = 0
    for _ in range(count):
        if len(content) < at + _INDEX.size or content[at : at + 4] != _SIGNS["index"]:
            raise RefusedError("its index is damaged")
        fields = _INDEX.unpack_from(content, at)
        length = fields[11]
        name = content[at + _INDEX.size :][:length].decode("cp437")
        _check_index(name, fields)
        yield Entry(name, fields[17], fields[10], fields[8])
        at += _INDEX.size + length
    if at != len(content):
        raise RefusedError("its index holds more than its files")


def _check_index(name: str, fields: tuple[int, ...]) -> None:
    flags, method = fields[4:6]
    packed, size, _, extra, comment, disk, _, mode = fields[9:17]
    shown = repr(name[:MAX_NAME])
    kind = stat.S_IFMT(mode >> 16)
    checks = {
        "is encrypted": bool(flags & 0x2041),
        "is compressed, which the export never does": method in (8, 9, 12, 14, 93, 95),
        f"is packed by the unknown method {method}": method not in (0, 8, 9, 12, 14, 93, 95),
        "is a link": kind == stat.S_IFLNK,
        "is a folder or no plain file": kind not in (0, stat.S_IFREG) or bool(mode & 0x10),
        "is declared with two sizes": packed != size,
        "is declared as a zip64": _ZIP64 in (packed, size, fields[17]),
        "has extra fields, a comment or another part": bool(extra or comment or disk),
        f"asks for the flags {flags:#x}": flags & ~0x800 != 0,
    }
    for cause, applies in checks.items():
        if applies:
            raise RefusedError(f"{shown} {cause}")


def _check_names(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other is not name:
            raise RefusedError(
                f"{other[:MAX_NAME]!r} and {name[:MAX_NAME]!r} are the same name twice"
            )


def _placed(file: BinaryIO, entries: list[Entry], index_start: int) -> Iterator[Entry]:
    """Yield the files with where their bytes begin: one after another, nothing in between."""
    at = 0
    for entry in entries:
        if entry.start != at:
            cause = "overlaps the file before it" if entry.start < at else "leaves a gap before it"
            raise RefusedError(f"{entry.name[:MAX_NAME]!r} {cause}")
        start = at + _LOCAL.size + len(entry.name)
        at = start + entry.size
        if at > index_start:
            raise RefusedError(f"{entry.name[:MAX_NAME]!r} reaches beyond the files")
        file.seek(entry.start)
        _check_local(file.read(start - entry.start), entry)
        yield Entry(entry.name, start, entry.size, entry.crc)
    if at != index_start:
        raise RefusedError("it has bytes that belong to no file: a gap before its index")


def _check_local(header: bytes, entry: Entry) -> None:
    """Check that a file's own header says what the index says of it."""
    fields = _LOCAL.unpack_from(header)
    sign, _, flags, method, _, _, *rest = fields
    expected = [entry.crc, entry.size, entry.size, len(entry.name), 0]
    named = header[_LOCAL.size :] == entry.name.encode("cp437")
    if sign != _SIGNS["local"] or flags & ~0x800 or method or rest != expected or not named:
        raise RefusedError(
            f"{entry.name[:MAX_NAME]!r} says other things of itself than the index does"
        )
