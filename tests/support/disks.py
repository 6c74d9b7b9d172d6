"""Real disks of a few megabytes, to be filled or made read-only. Only root may mount them."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_FILLER = ".filler"


@dataclass(frozen=True)
class Disk:
    """A disk mounted on a folder."""

    folder: Path

    def fill(self, left: int = 0) -> None:
        """Leave so many bytes free and no more."""
        with (self.folder / _FILLER).open("wb", buffering=0) as filler:
            for size in (2**20, 2**12):
                _write_all(filler, size)
            filler.truncate(max(0, filler.tell() - left))

    def make_space(self) -> None:
        """Undo `fill`."""
        (self.folder / _FILLER).unlink(missing_ok=True)

    def make_read_only(self) -> None:
        self._remount("ro")

    def make_writable(self) -> None:
        self._remount("rw")

    def _remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.folder)], check=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Mount an empty disk on a folder until the block ends; skip the test where that is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "movierec-test", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount the small disk that this test fills")
    try:
        yield Disk(folder)
    finally:
        # lazily: a process that a failed test left may still hold a file open
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _write_all(file, size: int) -> None:
    try:
        while file.write(bytes(size)) == size:
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
