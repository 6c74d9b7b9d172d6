"""Versions to and from the location that machines share, checked on both ways, and their copies."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from movierec.errors import ArtifactError
from movierec.folders import sync
from movierec.progress import Progress
from movierec.registry.files import problems_of
from movierec.registry.manifest import FileFacts, Manifest, facts_of, parse_manifest, read_manifest
from movierec.registry.names import METADATA, SERVING
from movierec.registry.shared.location import Location
from movierec.store import VersionRecord

__all__ = ["Copies", "problems_there", "pull", "push"]

COPIES = ".shared"


class Copies:
    """Notes about which folders of this machine are copies of what a location has.

    `models/.shared/vX.Y.Z` names the location and the hash of `metadata.json`: a folder without
    one is work of this machine that is not pushed yet, and is never removed because other
    machines know nothing of it.
    """

    def __init__(self, root: Path, shown: str) -> None:
        self._notes = root / COPIES
        self._shown = shown

    def note(self, folder: Path) -> None:
        """Note that a version's folder is a copy."""
        self._notes.mkdir(exist_ok=True)
        (self._notes / folder.name).write_text(self._mark(folder), "utf-8")

    def forget(self, name: str) -> None:
        """Take the note back: it is no copy any more, or there is none."""
        (self._notes / name).unlink(missing_ok=True)

    def holds(self, folder: Path) -> bool:
        """Return whether a folder, as it is now, is a copy."""
        try:
            return (self._notes / folder.name).read_text("utf-8") == self._mark(folder)
        except (OSError, UnicodeDecodeError):
            return False

    def knew(self, name: str) -> bool:
        """Return whether there was a copy of this name, whatever its folder holds by now."""
        try:
            noted = (self._notes / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        return noted.partition(" ")[2] == f"{self._shown}\n"

    def _mark(self, folder: Path) -> str:
        return f"{facts_of(folder / METADATA).sha256} {self._shown}\n"


def push(location: Location, folder: Path, on_progress: Progress) -> None:
    """Copy a whole version there, `metadata.json` last: half of it never counts as a version.

    Raises:
        ArtifactError: it is not whole, the location cannot be written, or another version of this
            name is there.

    """
    name = folder.name
    problems = problems_of(folder)
    if problems:
        raise ArtifactError(
            f"Version {name} cannot be pushed: {problems[0]}",
            hint="Restore its files from a backup, or train it again.",
        )
    manifest = read_manifest(folder)
    _require_own(location, folder)
    meter = _Meter(f"{name} to {location.shown}", manifest.size_bytes, on_progress)
    for file, facts in manifest.files.items():
        location.put(name, file, folder / file)
        meter.add(facts.bytes)
    location.put(name, METADATA, folder / METADATA)


def pull(location: Location, record: VersionRecord, folder: Path, on_progress: Progress) -> None:
    """Copy a version into an empty folder; each file has the hash of the database's copy.

    Raises:
        ArtifactError: it is not there or not what the database describes, the location cannot be
            read, or there is no room.

    """
    manifest, content = _described(location, record)
    _require_room(folder, manifest)
    (folder / METADATA).write_bytes(content)
    (folder / SERVING).mkdir()
    meter = _Meter(f"{record.name} from {location.shown}", manifest.size_bytes, on_progress)
    for file, facts in manifest.files.items():
        _fetch(location.chunks(record.name, file), folder / file, facts, meter)
        if not _is_whole(folder / file, facts, meter.digest):
            raise _changed(location, record.name, file)
    for written in (folder / METADATA, folder / SERVING, folder):
        sync(written)


def problems_there(location: Location, record: VersionRecord) -> list[str]:
    """Return the problems of a version there, as far as names and sizes show."""
    try:
        manifest, content = _described(location, record)
    except ArtifactError as error:
        return [error.message]
    found = location.sizes(record.name)
    expected = {METADATA: len(content), **{n: f.bytes for n, f in manifest.files.items()}}
    missing = [f"{n} is missing in {location.shown}." for n in expected if n not in found]
    return missing or [
        f"{n} has {found[n]:,} bytes instead of {size:,} in {location.shown}."
        for n, size in expected.items()
        if found[n] != size
    ]


@dataclass
class _Meter:
    """Progress of a transfer, and the hash of the file that was read last."""

    stage: str
    total: int
    on_progress: Progress
    done: int = 0
    digest: str = ""

    def add(self, size: int) -> None:
        self.done += size
        self.on_progress(self.stage, min(self.done / max(self.total, 1), 1.0))


def _fetch(chunks: Iterator[bytes], path: Path, expected: FileFacts, meter: _Meter) -> None:
    """Write a file as it comes, no further than it should be long."""
    digest, left = hashlib.sha256(), expected.bytes
    with path.open("xb") as copy:
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                break
            digest.update(chunk)
            copy.write(chunk)
            meter.add(len(chunk))
    meter.digest = digest.hexdigest()
    sync(path)


def _is_whole(path: Path, expected: FileFacts, digest: str) -> bool:
    return path.stat().st_size == expected.bytes and digest == expected.sha256


def _described(location: Location, record: VersionRecord) -> tuple[Manifest, bytes]:
    """Return the manifest of a version there, which is the database's own, and its bytes."""
    content = location.metadata(record.name)
    if content is None:
        raise ArtifactError(
            f"Version {record.name} is not in {location.shown}.",
            hint="Push it from the machine that has it: "
            f"`movierec versions push {record.name}` there.",
        )
    manifest = parse_manifest(content, record.name)
    if manifest.metadata != record.metadata.as_dict():
        raise _changed(location, record.name, METADATA)
    return manifest, content


def _require_own(location: Location, folder: Path) -> None:
    """Refuse to write over another version, as of another database."""
    there = location.metadata(folder.name)
    if there is None or there == (folder / METADATA).read_bytes():
        return
    try:
        parse_manifest(there, folder.name)
    except ArtifactError:
        return  # half written by a process that was killed
    raise ArtifactError(
        f"{location.shown} has another version {folder.name}; it was left alone.",
        hint="Give each database a place of its own: set MOVIEREC_ARTIFACTS_URL to another folder.",
    )


def _require_room(folder: Path, manifest: Manifest) -> None:
    needed, free = manifest.size_bytes, shutil.disk_usage(folder).free
    if needed > free:
        raise ArtifactError(
            f"Version {manifest.facts.model_version} needs {needed:,} bytes in {folder.parent}, "
            f"where {free:,} are free.",
            hint="Free some space: `movierec versions empty-trash`.",
        )


def _changed(location: Location, name: str, file: str) -> ArtifactError:
    return ArtifactError(
        f"{file} of version {name} in {location.shown} was changed: it is not what the database "
        "describes. Nothing of it was kept.",
        hint=f"On a machine where it is whole: `movierec versions push {name}`, once its "
        "folder there is removed.",
    )
