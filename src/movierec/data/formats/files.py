"""A data set's files, wherever they lie: a folder, a zip or one plain file.

Archives are read in place and never unpacked, so no member can be written anywhere.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from movierec.errors import FormatError

__all__ = ["Files", "Member", "Stream", "open_files", "stem_of"]

MAX_UNPACKED = 8 << 30  # bytes; MovieLens 32M, the largest we know, unpacks to 1 GB
BOMB_SIZE = 64 << 20  # bytes; below this no ratio hurts
BOMB_RATIO = 60  # MovieLens' own archives pack their text 3 to 5 times
DOUBLE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".zip", ".inter", ".data", ".dat")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """One readable file: its bytes when unpacked, and the file on disk: itself, or its archive."""

    size: int
    opened: Callable[[], IO[bytes]]
    path: Path
    packed: bool = False


@dataclass(frozen=True)
class Stream:
    """A file read from its front; whatever goes wrong is a FormatError that names it."""

    shown: str
    raw: IO[bytes]

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, or all that are left; fewer only at the end."""
        with _translated(self.shown):
            return self.raw.read(size)

    def go_to(self, offset: int) -> None:
        """Go on reading from this byte."""
        with _translated(self.shown):
            self.raw.seek(offset)


@dataclass(frozen=True)
class Files:
    """Readable files by name; names are relative to the data set's own top folder."""

    label: str
    members: Mapping[str, Member]

    def __contains__(self, name: object) -> bool:
        return name in self.members

    @property
    def names(self) -> list[str]:
        """Names of all files, sorted."""
        return sorted(self.members)

    def member(self, name: str) -> Member:
        """Return what is known of one file; FormatError when it is missing."""
        if name not in self.members:
            raise FormatError(f"{self.label} has no {name}.", hint=f"It has {self.listing()}.")
        return self.members[name]

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        """Open one file for reading in pieces.

        Raises:
            FormatError: it is missing, unreadable or broken; the message names it.

        """
        member = self.member(name)
        shown = name if name == self.label else f"{name} in {self.label}"
        with _translated(shown):
            raw = member.opened()
        with raw:
            yield Stream(shown, raw)

    def read(self, name: str) -> bytes:
        """Return all bytes of one file; raises what `open` raises."""
        with self.open(name) as stream:
            return stream.read()

    def listing(self, limit: int = 8) -> str:
        """Return the names for a message, at most `limit` of them."""
        shown = ", ".join(self.names[:limit]) or "no files"
        left_out = len(self.members) - limit
        return shown + (f" and {left_out} more" if left_out > 0 else "")


@contextmanager
def _translated(shown: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise FormatError(f"{shown} is damaged: {error}.", hint="Get the archive again.") from error
    except OSError as error:
        raise FormatError(
            f"{shown} cannot be read: {error.strerror or error}.",
            hint="Check the file's permissions.",
        ) from error


def stem_of(path: Path) -> str:
    """Return a file's or folder's name without the endings of data files."""
    name = path.name
    while name.lower().endswith(DOUBLE_SUFFIXES):
        name = name.rpartition(".")[0]
    return name or path.name


def open_files(path: Path) -> Files:
    """Return the files of a folder, zip or single file; one folder inside it is stepped into.

    Raises:
        FormatError: there is nothing there, or the archive is damaged or unsafe.

    """
    try:
        if path.is_dir():
            return _folder(path)
        if not path.is_file():
            raise FormatError(f"There is no {path}.", hint="Check the path.")
        if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
            return _archive(path)
    except OSError as error:
        raise FormatError(
            f"{path} cannot be read: {error.strerror or error}.",
            hint="Check the path and its permissions.",
        ) from error
    return Files(path.name, {path.name: _plain(path)})


def _plain(path: Path) -> Member:
    return Member(path.stat().st_size, lambda: path.open("rb"), path)


def _folder(path: Path) -> Files:
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    files = {entry.name: _plain(entry) for entry in entries if entry.is_file()}
    if not files and len(entries) == 1 and entries[0].is_dir():
        return _folder(entries[0])
    return Files(path.name or str(path), files)


def _archive(path: Path) -> Files:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if _is_data(m)]
    except _BROKEN as error:
        raise FormatError(
            f"{path.name} is not a whole zip archive: {error}.", hint="Get it again."
        ) from error
    _refuse_unsafe(path.name, members)
    top = _top_folder(members)
    return Files(
        path.name,
        {
            m.filename.removeprefix(top): Member(
                m.file_size, partial(_open_member, path, m.filename), path, packed=True
            )
            for m in members
        },
    )


def _open_member(path: Path, name: str) -> IO[bytes]:
    # the member keeps the archive's file open for as long as it is read
    with zipfile.ZipFile(path) as archive:
        return archive.open(name)


def _is_data(member: zipfile.ZipInfo) -> bool:
    return not member.is_dir() and not member.filename.startswith("__MACOSX/")


def _top_folder(members: list[zipfile.ZipInfo]) -> str:
    tops = {member.filename.partition("/")[0] for member in members}
    nested = all("/" in member.filename for member in members)
    return f"{tops.pop()}/" if nested and len(tops) == 1 else ""


def _refuse_unsafe(label: str, members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in member.filename:
            raise _unsafe(label, f"member {member.filename!r} points outside the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _unsafe(label, f"member {member.filename!r} is a symbolic link")
    size = sum(member.file_size for member in members)
    packed = max(1, sum(member.compress_size for member in members))
    if size > MAX_UNPACKED or (size > BOMB_SIZE and size / packed > BOMB_RATIO):
        raise _unsafe(label, f"{packed:,} bytes would unpack to {size:,}")


def _unsafe(label: str, reason: str) -> FormatError:
    return FormatError(
        f"{label} is refused: {reason}.", hint="Get the archive from a source you trust."
    )
