"""Changing a folder of the registry: one process at a time, and trouble told in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from movierec.errors import ArtifactError

__all__ = ["locked", "writing"]

LOCK_SECONDS = 60.0


@contextmanager
def locked(root: Path, doing: str) -> Iterator[None]:
    """Let one process at a time change a folder; ArtifactError when another keeps `doing` it."""
    try:
        with FileLock(root / ".lock", timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise ArtifactError(
            f"Another movierec is {doing}.", hint="Wait for it, or end it, and try again."
        ) from error


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
