"""Files and folders that appear whole or not at all, locks, and what killed processes left."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from movierec.errors import ArtifactError, MovierecError, SettingsError
from movierec.processes import is_alive, own_mark

__all__ = [
    "INCOMING",
    "REMOVED",
    "clear_abandoned",
    "discard",
    "incoming_folder",
    "is_locked",
    "locked",
    "remove_folder",
    "set_aside",
    "sync",
    "write_whole",
    "writing",
]

INCOMING = ".incoming-"
REMOVED = ".removed-"
FOREIGN_AGE_SECONDS = 86_400  # another host's process cannot be asked: wait a day
LOCK, LOCK_SECONDS = ".lock", 60.0


@contextmanager
def writing(
    folder: Path,
    error_type: type[MovierecError] = ArtifactError,
    hint: str = "Check its permissions and the free disk space.",
) -> Iterator[None]:
    """Make a folder; an OSError inside the block is raised as an error of this type."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise error_type(
            f"{folder} cannot be written: {error.strerror or error}.", hint=hint
        ) from error


def write_whole(path: Path, text: str) -> None:
    """Write a file in one step: a reader, or the next start, sees the old one or the new one.

    Raises:
        SettingsError: it cannot be written.

    """
    beside = path.with_name(f".{path.name[:100]}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():  # a pipe or a device; a folder refuses
            path.write_text(text, encoding="utf-8")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}.", hint="Name another file."
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


@contextmanager
def locked(
    folder: Path, doing: str, *, file: str = LOCK, seconds: float = LOCK_SECONDS
) -> Iterator[None]:
    """Let one process at a time change a folder.

    Each `file` is a lock of its own; who takes two of them takes `LOCK` last.

    Raises:
        ArtifactError: another process is still `doing` it after so many seconds.

    """
    try:
        with FileLock(folder / file, timeout=seconds):
            yield
    except Timeout as error:
        raise ArtifactError(
            f"Another movierec is {doing}.", hint="Wait for it, or end it, and try again."
        ) from error


def is_locked(folder: Path, file: str) -> bool:
    """Return whether a process holds this lock now."""
    try:
        with FileLock(folder / file, timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def incoming_folder(parent: Path) -> Iterator[Path]:
    """Make a folder beside its destination; what the block leaves there is removed.

    Its name carries host and process, so that others can tell whether it is abandoned.
    """
    mark = own_mark()
    owner = f"{mark.host}-{mark.pid}-{mark.started_at:.0f}"
    path = parent / f"{INCOMING}{owner}-{uuid.uuid4().hex[:12]}"
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(path: Path, into: Path | None = None) -> Path | None:
    """Rename a folder so that nobody finds it any more; None when there is no such folder.

    It stays where it was, or goes `into` another folder of the same disk.
    """
    aside = (into or path.parent) / f"{REMOVED}{path.name}-{uuid.uuid4().hex[:12]}"
    try:
        return path.rename(aside)
    except FileNotFoundError:
        return None


def discard(path: Path) -> None:
    """Remove what was set aside; of a link the link alone, never what it leads to."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder so that no other process ever sees half of it."""
    aside = set_aside(path)
    if aside is not None:
        discard(aside)


def clear_abandoned(parent: Path) -> list[str]:
    """Remove what killed processes left under way; return the names removed."""
    gone = [
        path
        for path in parent.glob(".*-*")
        if path.name.startswith(REMOVED) or (path.name.startswith(INCOMING) and _is_orphan(path))
    ]
    for path in gone:
        discard(path)
    return [path.name for path in gone]


def _is_orphan(path: Path) -> bool:
    try:
        host, pid, started_at, _ = path.name.removeprefix(INCOMING).rsplit("-", 3)
        if host != own_mark().host:
            return time.time() - path.stat().st_mtime > FOREIGN_AGE_SECONDS
        return not is_alive(int(pid), float(started_at))
    except ValueError:
        return True  # not a name of ours
    except FileNotFoundError:
        return False  # its owner was faster
