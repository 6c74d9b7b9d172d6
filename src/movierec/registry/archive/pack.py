"""A version as one file, written to be read anywhere and read as if an enemy had written it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import uuid
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from movierec.errors import ArtifactError
from movierec.folders import sync
from movierec.registry.archive.content import (
    FORMAT,
    Head,
    check_contents,
    check_metadata,
    is_known,
    read_head,
)
from movierec.registry.archive.layout import (
    HEAD,
    MAX_BYTES,
    RefusedError,
    open_zip,
    read_chunks,
    read_json,
)
from movierec.registry.manifest import FileFacts, parse_manifest, read_manifest
from movierec.registry.names import METADATA, SERVING
from movierec.registry.registry import Registry
from movierec.store import VersionRecord

__all__ = ["SUFFIX", "archive_name", "export_archive", "import_archive"]

SUFFIX = ".movierec.zip"
CHUNK = 2**20
MAX_JSON_BYTES = 8 * 2**20  # a hundred times what a long training writes
LARGEST = MAX_BYTES - 2**20  # room for names, `archive.json` and annotations
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip knows: the same bytes at any time


def archive_name(record: VersionRecord) -> str:
    """Return the default file name of a version's archive."""
    dataset = "".join(c if c.isalnum() or c in "-_." else "-" for c in record.dataset_name)
    return f"{dataset.strip('.')[:60] or 'version'}-{record.name}{SUFFIX}"


def export_archive(registry: Registry, name: str, target: Path) -> Path:
    """Write a version into one file and return its path; a folder gets the usual name in it.

    Nothing is compressed: what takes room are numbers, which hardly shrink, and a reader then
    needs no more memory than the file has bytes. The same version gives the same bytes.

    Raises:
        NotFoundError: there is no such version.
        ArtifactError: its files are not whole or too large, there is a file of that name, or it
            cannot be written.

    """
    record = registry.get(name)
    path = target / archive_name(record) if target.is_dir() else target
    problems = registry.verify(record.name)
    if problems:
        raise ArtifactError(
            f"Version {record.name} cannot be exported: {problems[0]}",
            hint="Restore its files from a backup, or train it again.",
        )
    _require_small(record)
    folder = registry.path(record.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _written_aside(path, lambda file: _write(file, folder, record))
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint="Name another file with `--to`, or make room.",
        ) from error
    return path


def import_archive(registry: Registry, path: Path, *, name: str | None = None) -> VersionRecord:
    """Keep the version of an archive under its name, the next free one, or the name given.

    The archive may come from anybody: everything in it is checked before the version is there,
    and nothing is left of one that is refused. It is not made current, and its data set need
    not be in the database.

    Raises:
        ArtifactError: the file is not such an archive, is damaged or too large; or the name is
            taken.
        UntrustedError: a file in it asks for code to be run.

    """
    try:
        with _opened(path) as file:
            return _imported(registry, file, path, name)
    except RefusedError as error:
        raise _refused(path, f"{error}.") from error
    except UnicodeError as error:
        raise _refused(path, "a name in it cannot be read.") from error


def _imported(registry: Registry, file: BinaryIO, path: Path, name: str | None) -> VersionRecord:
    with open_zip(file) as archive:
        content = {kept: _small(archive, kept) for kept in (HEAD, METADATA)}
        head = read_head(content[HEAD], content[METADATA])
        metadata = read_json(METADATA, content[METADATA])
        check_metadata(metadata)

        def unpack(folder: Path) -> Mapping[str, Any]:
            try:
                return _unpacked(archive, folder, content[METADATA], metadata)
            except ArtifactError as error:
                raise _refused(path, error.message, type(error)) from error

        return registry.import_version(
            unpack, name=name, preferred_name=head.name, tags=head.tags, notes=head.notes,
            origin=_origin(path, head),
        )  # fmt: skip


def _origin(path: Path, head: Head) -> dict[str, str]:
    return {
        "archive": path.name,
        "name": head.name,
        "imported_at": datetime.now(UTC).isoformat(),
    }


def _unpacked(
    archive: zipfile.ZipFile, folder: Path, metadata: bytes, facts: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Write the files into a folder and check them; return the metadata."""
    (folder / METADATA).write_bytes(metadata)
    files = parse_manifest(metadata, str(facts["model_version"])).files
    _check_files({entry.filename: entry.file_size for entry in archive.infolist()}, files)
    _require_room(folder, files)
    (folder / SERVING).mkdir()
    for name, expected in files.items():
        _copy(archive, name, folder / name, expected)
    sync(folder / SERVING)
    check_contents(folder, files, facts["model"])
    return facts


def _check_files(sizes: Mapping[str, int], files: Mapping[str, FileFacts]) -> None:
    """Check that the archive holds the files that the metadata lists, and no others."""
    folded = {name.casefold() for name in files}
    if len(folded) != len(files):
        raise RefusedError(f"{METADATA} lists a name twice")
    for name, facts in files.items():
        if not is_known(name):
            raise RefusedError(f"{name!r} is no file that a version has")
        if name not in sizes:
            raise RefusedError(f"{name} is missing")
        if sizes[name] != facts.bytes:
            raise RefusedError(f"{name} has {sizes[name]:,} bytes, not {facts.bytes:,}")
    unlisted = sorted({*sizes} - {*files, HEAD, METADATA})
    if unlisted:
        raise RefusedError(f"{unlisted[0]!r} is not listed in {METADATA}")


def _require_room(folder: Path, files: Mapping[str, FileFacts]) -> None:
    needed, free = sum(facts.bytes for facts in files.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise RefusedError(f"it needs {needed:,} bytes of disk space and {free:,} are free")


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read one of the two JSON files."""
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    if name not in sizes:
        raise RefusedError(f"{name} is missing: it is no version of movierec")
    if sizes[name] > MAX_JSON_BYTES:
        raise RefusedError(f"{name} has {sizes[name]:,} bytes; that much is not believed")
    return b"".join(read_chunks(archive, name))


def _copy(archive: zipfile.ZipFile, name: str, path: Path, expected: FileFacts) -> None:
    digest = hashlib.sha256()
    with path.open("xb") as copy:
        for chunk in read_chunks(archive, name):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() != expected.sha256:
        raise RefusedError(f"{name} was changed: wrong SHA-256")
    sync(path)


def _opened(path: Path) -> BinaryIO:
    try:
        # a pipe would wait for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read: {error.strerror}.",
            hint="Name a file that `movierec versions export` wrote.",
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RefusedError("it is no plain file")
    return os.fdopen(descriptor, "rb")


def _refused(path: Path, cause: str, kind: type[ArtifactError] = ArtifactError) -> ArtifactError:
    return kind(
        f"{path.name} cannot be imported: {cause}",
        hint="Nothing of it was kept. Export it again where it comes from: "
        "`movierec versions export`.",
    )


def _require_small(record: VersionRecord) -> None:
    if record.size_bytes > LARGEST:
        raise ArtifactError(
            f"Version {record.name} has {record.size_bytes:,} bytes; an archive holds at most "
            f"{LARGEST:,}.",
            hint="Copy its folder into the other project's folder of versions instead: it is "
            "taken up there as soon as movierec is started.",
        )


def _written_aside(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file beside its place and rename it; one that is there already is not replaced."""
    if path.exists():
        raise ArtifactError(
            f"{path} is there already.", hint="Name another file with `--to`, or remove it."
        )
    aside = path.with_name(f".{path.name[:100]}-{uuid.uuid4().hex[:12]}")
    try:
        with aside.open("xb") as file:
            write(file)
        sync(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _write(file: BinaryIO, folder: Path, record: VersionRecord) -> None:
    metadata = (folder / METADATA).read_bytes()
    manifest = read_manifest(folder)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        archive.writestr(_entry(HEAD), _head_of(record, metadata))
        archive.writestr(_entry(METADATA), metadata)
        for name, facts in sorted(manifest.files.items()):
            digest = hashlib.sha256()
            with (
                archive.open(_entry(name, facts.bytes), "w") as copy,
                (folder / name).open("rb") as original,
            ):
                while chunk := original.read(CHUNK):
                    digest.update(chunk)
                    copy.write(chunk)
            if digest.hexdigest() != facts.sha256:
                raise ArtifactError(
                    f"{name} of version {record.name} changed while it was exported.",
                    hint="Try again.",
                )


def _head_of(record: VersionRecord, metadata: bytes) -> bytes:
    """Return the `archive.json` of a version: the same for the same version and annotations."""
    head = Head(
        format=FORMAT,
        kind="movierec version",
        name=record.name,
        movierec=version("movierec"),
        created_at=record.created_at.astimezone(UTC),
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
        tags=[*record.tags],
        notes=record.notes,
    )
    facts = head.model_dump(mode="json")
    return (json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _entry(name: str, size: int = 0) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3  # unix, on any machine
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.file_size = size
    return entry
