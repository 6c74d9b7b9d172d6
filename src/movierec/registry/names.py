"""Names of versions and of the files in them. Nothing else is ever joined to a path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from movierec.errors import ArtifactError, NotFoundError

__all__ = [
    "CURRENT",
    "METADATA",
    "SERVING",
    "TRASH",
    "array_of",
    "check_file",
    "check_name",
    "is_folder",
    "is_name",
    "listed",
    "next_name",
]

CURRENT = "current"
METADATA = "metadata.json"
SERVING = "serving"
TRASH = ".trash"

_NAME = re.compile(r"v(\d{1,6})\.(\d{1,6})\.(\d{1,6})", re.ASCII)
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}", re.ASCII)


def is_name(text: str) -> bool:
    """Return whether this can be a version's name: v1.0.0 and the like."""
    return _NAME.fullmatch(text) is not None


def is_folder(path: Path) -> bool:
    """Return whether this is a folder itself, not a link to one."""
    return path.is_dir() and not path.is_symlink()


def check_name(text: str) -> str:
    """Return the name.

    Raises:
        NotFoundError: no version can have this name.

    """
    if not is_name(text):
        raise NotFoundError(
            f"{text[:100]!r} is not a version's name.",
            hint="Names look like v1.2.0; `movierec versions list` shows them.",
        )
    return text


def next_name(taken: Iterable[str]) -> str:
    """Return the first name, or the next minor version after the highest."""
    numbers = [tuple(map(int, m.groups())) for m in map(_NAME.fullmatch, taken) if m]
    if not numbers:
        return "v1.0.0"
    major, minor, _ = max(numbers)
    return f"v{major}.{minor + 1}.0"


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words: "v1.0.0, v1.1.0 and v1.2.0"."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def check_file(name: str) -> str:
    """Return a file's name inside a version: plain, at most one folder deep (`serving/`).

    Raises:
        ArtifactError: it could lead elsewhere or is kept for the registry.

    """
    plain = name.removeprefix(f"{SERVING}/")
    if not _FILE.fullmatch(plain) or plain in (METADATA, SERVING) or name.endswith("."):
        raise ArtifactError(
            f"{name[:100]!r} cannot be the name of a version's file.",
            hint="Use letters, digits, '.', '_' and '-'.",
        )
    return name


def array_of(name: str) -> str | None:
    """Return the name of the serving array that a file holds, or None for any other file."""
    if name.startswith(f"{SERVING}/") and name.endswith(".npy"):
        return name.removeprefix(f"{SERVING}/").removesuffix(".npy")
    return None
