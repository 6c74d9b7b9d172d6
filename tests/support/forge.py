"""The tools that archives made to harm are forged with, from an honest one."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Files = dict[str, bytes]
Make = Callable[[bytes], bytes]

TOUCH = 'touch "$CANARY"'


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


def files_of(archive: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def packed(files: Files | Iterable[tuple[str, bytes]], **entry: Any) -> bytes:
    """Zip files as the export does; `entry` are attributes that every one of them gets."""
    pairs = files.items() if isinstance(files, dict) else files
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in pairs:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            for key, value in entry.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return buffer.getvalue()


def consistent(files: Files, metadata: Mapping[str, Any] | None = None) -> Files:
    """Make sizes and hashes fit the files again, as an attacker would."""
    facts = json.loads(files["metadata.json"])
    listed = sorted({*files} - {"archive.json", "metadata.json"})
    facts["files"] = {name: facts_of(files[name]) for name in listed}
    return resealed(files, json.dumps({**facts, **(metadata or {})}).encode())


def facts_of(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def resealed(files: Files, metadata: bytes, **head: Any) -> Files:
    sealed = json.loads(files["archive.json"])
    sealed |= {"metadata_sha256": hashlib.sha256(metadata).hexdigest(), **head}
    return {**files, "archive.json": json.dumps(sealed).encode(), "metadata.json": metadata}


def with_file(name: str, content: bytes | Callable[[bytes], bytes]) -> Make:
    """An archive in which one file is another, all hashes fitting."""

    def make(honest: bytes) -> bytes:
        files = files_of(honest)
        new = content(files[name]) if callable(content) else content
        return packed(consistent({**files, name: new}))

    return make


def with_entry(name: str, content: bytes = b"evil") -> Make:
    """An archive with one more file, which nothing lists."""
    return lambda honest: packed([*files_of(honest).items(), (name, content)])


def with_metadata(**changes: Any) -> Make:
    return lambda honest: packed(consistent(files_of(honest), changes))


def with_metadata_text(change: Callable[[str], str]) -> Make:
    def make(honest: bytes) -> bytes:
        files = files_of(honest)
        return packed(resealed(files, change(files["metadata.json"].decode()).encode()))

    return make


def with_head(**changes: Any) -> Make:
    def make(honest: bytes) -> bytes:
        files = files_of(honest)
        return packed(resealed(files, files["metadata.json"], **changes))

    return make


def with_last(mode: int = stat.S_IFREG | 0o644, **entry: Any) -> Make:
    """An archive whose last file has other attributes."""

    def make(honest: bytes) -> bytes:
        *first, (name, content) = files_of(honest).items()
        last = packed([(name, content)], external_attr=mode << 16, **entry)
        return joined(packed(first), last)

    return make


# the bytes of a zip, by hand


def parts(archive: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the files, the index and the end."""
    size, start = struct.unpack_from("<2L", archive, len(archive) - 10)
    return archive[:start], archive[start : start + size], archive[-22:]


def joined(one: bytes, two: bytes) -> bytes:
    """Make one archive of two."""
    (files, index, _), (more, added, _) = parts(one), parts(two)
    moved = bytearray(added)
    struct.pack_into("<L", moved, 42, len(files))
    return built(files + more, index + bytes(moved), entries_in(one) + 1)


def entries_in(archive: bytes) -> int:
    (count,) = struct.unpack_from("<H", archive, len(archive) - 12)
    return int(count)


def built(files: bytes, index: bytes, count: int) -> bytes:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(index), len(files), 0)
    return files + index + end


def patched(archive: bytes, where: int, layout: str, value: int) -> bytes:
    changed = bytearray(archive)
    struct.pack_into(layout, changed, where, value)
    return bytes(changed)


def index_at(archive: bytes) -> int:
    return len(parts(archive)[0])


def in_index(offset: int, layout: str, value: int) -> Make:
    """Change a field of the first file in the index alone."""
    return lambda honest: patched(honest, index_at(honest) + offset, layout, value)


def in_local(offset: int, layout: str, value: int) -> Make:
    """Change a field in the first file's own header alone."""
    return lambda honest: patched(honest, offset, layout, value)


def in_end(offset: int, layout: str, value: int) -> Make:
    return lambda honest: patched(honest, len(honest) - 22 + offset, layout, value)


def gap(honest: bytes) -> bytes:
    files, index, _ = parts(honest)
    moved = bytearray(index)
    at = 0
    for _ in range(entries_in(honest)):
        (name,) = struct.unpack_from("<H", moved, at + 28)
        (offset,) = struct.unpack_from("<L", moved, at + 42)
        struct.pack_into("<L", moved, at + 42, offset + 16)
        at += 46 + name
    return built(b"#!/bin/sh\nexit 0\n"[:16] + files, bytes(moved), entries_in(honest))


def hidden_before_index(honest: bytes) -> bytes:
    files, index, _ = parts(honest)
    return built(files + b"hidden", index, entries_in(honest))


def hidden_after_index(honest: bytes) -> bytes:
    files, index, _ = parts(honest)
    return built(files, index + b"hidden", entries_in(honest))


def overlapping(honest: bytes) -> bytes:
    """Two names for the same bytes: a thousand of them make a bomb without compression."""
    files, index, _ = parts(honest)
    (name,) = struct.unpack_from("<H", index, 28)
    first = index[: 46 + name].replace(b"archive.json", b"archivf.json")
    return built(files, index + first, entries_in(honest) + 1)


def renamed(old: str, new: str) -> Make:
    """Another name in headers and index, byte by byte: what zipfile itself would not write."""

    def make(honest: bytes) -> bytes:
        assert len(old) == len(new)
        made = with_entry(old)(honest)
        return made.replace(old.encode(), new.encode("latin-1"))

    return make


def wrong_checksum(honest: bytes) -> bytes:
    """A file whose CRC-32 is wrong in header and index alike."""
    files, _, _ = parts(honest)
    crc = files[14:18]
    return honest.replace(crc, bytes(byte ^ 0xFF for byte in crc))


def changed_byte(honest: bytes) -> bytes:
    """A file with another byte and the fitting CRC-32, but the SHA-256 of before."""
    files = files_of(honest)
    content = bytearray(files["serving/scale.npy"])
    content[-1] ^= 1
    return packed({**files, "serving/scale.npy": bytes(content)})


def without(name: str) -> Make:
    return lambda honest: packed({k: v for k, v in files_of(honest).items() if k != name})


def bomb(honest: bytes) -> bytes:
    files = files_of(honest)
    files["serving/scale.npy"] = bytes(50_000_000)
    return packed(consistent(files), compress_type=zipfile.ZIP_DEFLATED)


def nested_zip64(honest: bytes) -> bytes:
    files, index, end = parts(honest)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(files), 1)
    index += locator
    return files + index + end[:12] + struct.pack("<L", len(index)) + end[16:]


# content


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def lying_header() -> bytes:
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


def parquet(change: Callable[[pa.Table], pa.Table], **options: Any) -> Callable[[bytes], bytes]:
    def make(content: bytes) -> bytes:
        buffer = io.BytesIO()
        pq.write_table(change(pq.read_table(io.BytesIO(content))), buffer, **options)
        return buffer.getvalue()

    return make


def repeated(table: pa.Table, times: int) -> pa.Table:
    return table.take(pa.array([0] * times))


def torch_zip(pickled: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("archive/data.pkl", pickled)
        made.writestr("archive/version", b"3\n")
    return buffer.getvalue()


def evil_pickle(protocol: int = 2) -> bytes:
    return pickle.dumps({"w": Call(os.system, TOUCH)}, protocol=protocol)


def evaluation_as_list(text: str) -> str:
    return json.dumps({**json.loads(text), "evaluation": [1, 2]})


def file_size(files: Files) -> Files:
    facts = json.loads(files["metadata.json"])
    facts["files"]["serving/scale.npy"]["bytes"] += 1
    return resealed(files, json.dumps(facts).encode())


def listed_twice(files: Files) -> Files:
    facts = json.loads(files["metadata.json"])
    facts["files"]["serving/SCALE.npy"] = copy.deepcopy(facts["files"]["serving/scale.npy"])
    return resealed(files, json.dumps(facts).encode())
