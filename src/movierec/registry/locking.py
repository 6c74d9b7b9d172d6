"""Changing a folder of the registry: one process at a time, and trouble told in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from movierec.errors import ArtifactError

__all__ = ["FETCHING", "KEEPING", "TRANSFER_SECONDS", "is_locked", "locked", "writing"]

LOCK_SECONDS = 60.0
TRANSFER_SECONDS = 3600.0  # what goes over a network takes longer
LOCK, KEEPING, FETCHING = ".lock", ".keeping", ".fetching"


@contextmanager
def locked(
    root: Path, doing: str, *, file: str = LOCK, seconds: float = LOCK_SECONDS
) -> Iterator[None]:
    """Let one process at a time change a folder; ArtifactError when another keeps `doing` it.

    Each `file` is a lock of its own; who takes two of them takes `LOCK` last.
    """
    try:
        with FileLock(root / file, timeout=seconds):
            yield
    except Timeout as error:
        raise ArtifactError(
            f"Another movierec is {doing}.", hint="Wait for it, or end it, and try again."
        ) from error


def is_locked(root: Path, file: str) -> bool:
    """Return whether a process holds one of the locks now."""
    try:
        with FileLock(root / file, timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Make a folder and tell as an ArtifactError why nothing can be written there."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ArtifactError(
            f"{root} cannot be written: {error.strerror or error}.",
            hint="Check its permissions and the free disk space.",
        ) from error
