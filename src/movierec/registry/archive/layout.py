"""Opening the zip of a version's archive, and reading JSON in it: anybody may have made them.

An archive is a zip of the plainest kind: stored files one after another from the first byte on,
their index, its end, and nothing else. Readers of zips disagree about everything beyond that,
which is what crafted archives live on; so `zipfile` reads it, and whatever it would pass over is
refused. As nothing is compressed, no file can be larger than the archive itself.
"""

from __future__ import annotations

import json
import os
import stat
import struct
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from movierec.errors import ArtifactError
from movierec.registry.names import METADATA, check_file

__all__ = ["HEAD", "MAX_BYTES", "RefusedError", "open_zip", "read_chunks", "read_json"]

HEAD = "archive.json"

# below what makes a zip a zip64, which this is never
MAX_BYTES = 1_900 * 2**20
MAX_ENTRIES = 500
MAX_INDEX_BYTES = MAX_ENTRIES * 2**10
MAX_NAME = 110  # serving/ and a name of 100 characters, and a bit
CHUNK = 2**20
MAX_DEPTH = 24  # of JSON

_INDEX_ENTRY_BYTES = 46  # and its name
_END = struct.Struct("<4s4H2LH")
_LOCATOR_BYTES = 20  # of a zip64's end
_PACKED = (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


class RefusedError(ValueError):
    """Why an archive cannot be imported: the end of a sentence, without its full stop."""


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Open an archive after checking its structure and the names in it.

    Raises:
        RefusedError: it is no zip, or not one as `movierec versions export` writes.

    """
    count, index_bytes, index_start = _read_end(file)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, struct.error) as error:
        raise RefusedError(
            "its index is damaged, or its index holds more than its files"
        ) from error
    entries = archive.infolist()
    for entry in entries:
        _check_entry(entry)
    _check_names([entry.orig_filename for entry in entries])
    _check_order(file, entries, index_start)
    listed_bytes = sum(_INDEX_ENTRY_BYTES + len(entry.filename) for entry in entries)
    if (count, index_bytes) != (len(entries), listed_bytes):
        raise RefusedError("its index holds more than its files")
    return archive


def read_chunks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """Yield the bytes of a file; its CRC-32 is checked at the end."""
    try:
        with archive.open(name) as source:
            while chunk := source.read(CHUNK):
                yield chunk
    except (zipfile.BadZipFile, EOFError) as error:
        raise RefusedError(f"{name} is damaged: wrong checksum") from error


def _read_end(file: BinaryIO) -> tuple[int, int, int]:
    """Check the last bytes of a zip; return the number of files, and the index's length and start.

    `zipfile` searches for them, and reads an index of any size into memory.
    """
    size = file.seek(0, os.SEEK_END)
    if not size:
        raise RefusedError("it is empty")
    if size > MAX_BYTES:
        raise RefusedError(f"it has {size:,} bytes; more than {MAX_BYTES:,} is not believed")
    file.seek(max(0, size - _END.size - _LOCATOR_BYTES))
    last = file.read()
    if not last[-_END.size :].startswith(b"PK\x05\x06") or len(last) < _END.size:
        raise RefusedError(_no_end(file))
    fields = _END.unpack(last[-_END.size :])
    _, disk, index_disk, here, count, index_bytes, index_start, comment = fields
    checks = {
        "it is a zip64, which these archives never are": (
            last.startswith(b"PK\x06\x07") or 2**32 - 1 in fields or 2**16 - 1 in (here, count)
        ),
        "its end was cut off: a comment is promised that is not there": comment > 0,
        "it is one of several parts": disk > 0 or index_disk > 0 or here != count,
        "its index lies outside of it": index_start + index_bytes > size - _END.size,
        f"it holds {count:,} files; more than {MAX_ENTRIES} is not believed": count > MAX_ENTRIES,
        "its index holds more than its files": index_bytes > MAX_INDEX_BYTES,
    }
    _refuse(checks)
    return count, index_bytes, index_start


def _no_end(file: BinaryIO) -> str:
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        return "it is not a zip"
    return "its end is missing: it was cut off, or has a comment or something else after its end"


def _check_entry(entry: zipfile.ZipInfo) -> None:
    kind, method = stat.S_IFMT(entry.external_attr >> 16), entry.compress_type
    is_plain = kind in (0, stat.S_IFREG) and not entry.external_attr & 0x10
    checks = {
        "is encrypted": bool(entry.flag_bits & 0x2041),
        "is compressed, which the export never does": method in _PACKED,
        f"is packed by the unknown method {method}": method not in (*_PACKED, zipfile.ZIP_STORED),
        "is a link": kind == stat.S_IFLNK,
        "is a folder or no plain file": not is_plain,
        "is declared with two sizes": entry.compress_size != entry.file_size,
        "has extra fields, a comment or another part": bool(
            entry.extra or entry.comment or entry.volume
        ),
        f"asks for the flags {entry.flag_bits:#x}": entry.flag_bits & ~0x800 != 0,
    }
    _refuse({f"{entry.orig_filename[:MAX_NAME]!r} {cause}": v for cause, v in checks.items()})


def _check_names(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other is not name:
            raise RefusedError(
                f"{other[:MAX_NAME]!r} and {name[:MAX_NAME]!r} are the same name twice"
            )
    for name in {*names} - {HEAD, METADATA}:
        try:
            check_file(name)
        except ArtifactError as error:
            raise RefusedError(error.message.rstrip(".")) from error


def _check_order(file: BinaryIO, entries: list[zipfile.ZipInfo], index_start: int) -> None:
    """Check that files follow one another, with headers that say what the index says."""
    at = 0
    for entry in entries:
        name = repr(entry.filename)
        if entry.header_offset != at:
            cause = "overlaps the file before it" if entry.header_offset < at else _gap(entry, at)
            raise RefusedError(f"{name} {cause}")
        if at + entry.file_size > index_start:
            raise RefusedError(f"{name} reaches beyond the files")
        header = entry.FileHeader(zip64=False)
        file.seek(at)
        if file.read(len(header)) != header:
            raise RefusedError(f"{name} says other things of itself than the index does")
        at += len(header) + entry.file_size
    if at < index_start:
        raise RefusedError("it has bytes that belong to no file: a gap before its index")
    if at > index_start:
        raise RefusedError("its last file reaches beyond the files")


def _gap(entry: zipfile.ZipInfo, at: int) -> str:
    where = "" if at else ", before its first file"
    return (
        f"leaves a gap before it: {entry.header_offset - at:,} bytes that belong to no file{where}"
    )


def _refuse(checks: dict[str, bool]) -> None:
    """Raise RefusedError with the first cause that applies."""
    for cause, applies in checks.items():
        if applies:
            raise RefusedError(cause)


def read_json(file: str, content: bytes) -> dict[str, Any]:
    """Return a JSON object that any reader would understand alike.

    Raises:
        RefusedError: it is not JSON, or is too deep, has a key twice, a number beyond all bounds or
            text that is no Unicode.

    """
    try:
        found = json.loads(
            content.decode(), object_pairs_hook=_once, parse_constant=_refuse_constant
        )
        _check_plain(found, MAX_DEPTH)
    except RefusedError as error:
        raise RefusedError(f"{file}: {error}") from error
    except RecursionError as error:
        raise RefusedError(f"{file}: it is nested too deeply") from error
    except ValueError as error:
        raise RefusedError(f"{file}: it is not JSON") from error
    if not isinstance(found, dict):
        raise RefusedError(f"{file}: it is not an object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    facts = dict(pairs)
    if len(facts) != len(pairs):
        raise RefusedError("it has a key twice")
    return facts


def _refuse_constant(name: str) -> None:
    raise RefusedError(f"{name} is not JSON")


def _check_plain(value: object, depth: int) -> None:
    if not depth:
        raise RefusedError("it is nested too deeply")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int | float) and not abs(value) < 2**63:
        raise RefusedError("it has a number beyond all bounds")
    for inner in _inner(value):
        _check_plain(inner, depth - 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RefusedError("it has text that is no Unicode") from error
    if "\x00" in text:
        raise RefusedError("it has a NUL character")


def _inner(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return (part for pair in value.items() for part in pair)
    return value if isinstance(value, list) else ()
