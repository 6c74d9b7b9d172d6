"""A version's files: writing them safely, checking them, opening them."""

from __future__ import annotations

import json
import logging
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from movierec.errors import ArtifactError
from movierec.folders import sync
from movierec.registry.manifest import FileFacts, Manifest, facts_of, read_manifest
from movierec.registry.names import METADATA, SERVING, check_file, is_folder

__all__ = [
    "LARGE",
    "Content",
    "check_content",
    "is_known",
    "problems_of",
    "read_array",
    "remember",
    "write_files",
]

Facts: TypeAlias = dict[str, Any]

log = logging.getLogger(__name__)

LARGE = 16 << 20  # bytes; smaller files are hashed in some hundredths of a second
FOLDER = ".checked"
# A file changed this shortly before it was hashed may be changed again within the same time:
# clocks of file systems tick some 4 ms apart.
TICK = 50_000_000  # ns


Content: TypeAlias = bytes | Callable[[Path], None]
PLAIN_KINDS = "biufU"  # numbers, truth values and text: nothing that holds objects


def write_files(
    folder: Path, files: Mapping[str, Content], arrays: Mapping[str, npt.NDArray[Any]]
) -> dict[str, FileFacts]:
    """Write every file and flush it to the disk; return sizes and hashes by name.

    Raises:
        ArtifactError: a name leads elsewhere, or an array holds Python objects.

    """
    (folder / SERVING).mkdir()
    for name, content in files.items():
        _write(folder / check_file(name), content)
    for name, array in arrays.items():
        _write_array(folder / check_file(f"{SERVING}/{name}.npy"), array)
    names = [*files, *(f"{SERVING}/{name}.npy" for name in arrays)]
    for name in names:
        sync(folder / name)
    sync(folder / SERVING)
    return {name: facts_of(folder / name) for name in sorted(names)}


def _write_array(path: Path, array: npt.NDArray[Any]) -> None:
    if array.dtype.kind not in PLAIN_KINDS:
        raise ArtifactError(
            f"The array {path.stem} has the type {array.dtype}, which cannot be stored.",
            hint="Give numbers or text.",
        )
    with path.open("wb") as file:
        # handed the file itself, numpy writes past Python and cannot say why it failed
        np.save(SimpleNamespace(write=file.write), array, allow_pickle=False)


def problems_of(folder: Path) -> list[str]:
    """Return the problems of a version's folder; nothing when it is whole.

    Checks the metadata, that every file is there with its size and SHA-256, and that there is
    nothing else, links least of all.
    """
    if not is_folder(folder):
        return ["Its folder is missing."]
    try:
        manifest = read_manifest(folder)
    except ArtifactError as error:
        return [error.message]
    problems = [] if manifest.facts.model_version == folder.name else [_other_version(manifest)]
    problems += [p for name in manifest.files if (p := problem_with(folder, name, manifest))]
    known = {*manifest.files, METADATA, SERVING}
    try:
        return problems + [f"{name} does not belong to it." for name in _walk(folder, known)]
    except OSError as error:  # it was deleted meanwhile, or may not be read
        return [*problems, f"Its folder: {os.strerror(error.errno or 0).lower()}."]


def _other_version(manifest: Manifest) -> str:
    return f"{METADATA} is that of {manifest.facts.model_version[:40]!r}."


def _walk(folder: Path, known: set[str]) -> Iterator[str]:
    """Yield what a version should not contain, one level of `serving/` included."""
    for entry in sorted(folder.iterdir()):
        if entry.name not in known or entry.is_symlink():
            yield entry.name
        elif entry.name == SERVING and entry.is_dir():
            names = (f"{SERVING}/{inner.name}" for inner in sorted(entry.iterdir()))
            yield from (name for name in names if name not in known)


def problem_with(folder: Path, name: str, manifest: Manifest, *, again: bool = True) -> str | None:
    """Return the problem of one file of a version, or None.

    A large one is not hashed `again` when that is not asked for and it is as it was.
    """
    path, expected = folder / name, manifest.files[name]
    try:
        if path.parent.is_symlink() or not stat.S_ISREG(path.lstat().st_mode):
            return f"{name} is a link or no plain file."
        if path.stat().st_size != expected.bytes:
            return f"{name} has {path.stat().st_size:,} bytes instead of {expected.bytes:,}."
        same = _is_same(folder, name, expected, again=again)
        return None if same else f"{name} was changed: wrong SHA-256."
    except OSError as error:
        return f"{name}: {os.strerror(error.errno or 0).lower()}."


def _is_same(folder: Path, name: str, expected: FileFacts, *, again: bool) -> bool:
    if expected.bytes < LARGE or again:
        return facts_of(folder / name) == expected
    if is_known(folder, name, expected.sha256):
        return True
    since = time.time_ns()
    if facts_of(folder / name) != expected:
        return False
    remember(folder, name, expected.sha256, since)
    return True


def check_content(folder: Path, name: str, manifest: Manifest) -> Path:
    """Return the path of a file whose size and hash are those recorded.

    A large file is hashed once, and again when it is no longer the same one.

    Raises:
        ArtifactError: the file is missing or was changed.

    """
    problem: str | None = f"It has no {name[:100]}."
    if name in manifest.files:
        problem = problem_with(folder, name, manifest, again=False)
    if problem is not None:
        raise ArtifactError(
            f"Version {folder.name} cannot be used: {problem}",
            hint="Restore the file from a backup, or delete the version and train it again.",
        )
    return folder / name


def read_array(path: Path, *, mmap: bool) -> npt.NDArray[Any]:
    """Open a `.npy` file of plain numbers or text, mapped read-only or copied into memory.

    It is mapped in either case: a header that promises more than the file holds is refused
    before memory is taken for it.

    Raises:
        ArtifactError: it is not such a file.

    """
    try:
        mapped = np.asarray(np.lib.format.open_memmap(path, mode="r"))
        if mapped.dtype.kind not in PLAIN_KINDS:
            raise ValueError(f"it holds {mapped.dtype}")
    except (ValueError, TypeError, OverflowError, OSError, EOFError, MemoryError) as error:
        raise ArtifactError(
            f"{path.parent.parent.name}/{SERVING}/{path.name} is not a plain array.",
            hint="Restore the file from a backup, or delete the version and train it again.",
        ) from error
    return mapped if mmap else mapped.copy()


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
        _keep(file, {**_read(file), name: facts | {"sha256": sha256}})
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


def _write(path: Path, content: Content) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)


def _keep(target: Path, known: Facts) -> None:
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
