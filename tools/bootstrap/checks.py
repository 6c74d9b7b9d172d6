"""What can be wrong with a machine before the long work starts."""

from __future__ import annotations

import errno
import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["SetupError", "check_platform", "check_port", "check_space", "free_bytes"]

GIB = 2**30
LOOPBACK = "127.0.0.1"


class SetupError(Exception):
    """One line: what is missing and what to do about it."""


def check_platform(system: str, machine: str, libc: str) -> None:
    """Raise where PyTorch offers no build for this Python.

    Arguments are `platform.system()`, `platform.machine()` and the first of `libc_ver()`.
    """
    if system == "Darwin" and machine != "arm64":
        raise SetupError(
            "PyTorch has no build for Intel Macs any more (nor for an Intel Python on Apple "
            "silicon): use Linux, or name an arm64 Python with PYTHON=/path/to/python3."
        )
    if system == "Linux" and libc != "glibc":
        raise SetupError(
            "PyTorch has no build for musl systems such as Alpine: use Debian, Ubuntu or macOS."
        )


def check_port(text: str) -> int:
    """Return the port, free to listen on at this machine's loopback address."""
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise SetupError(f"PORT={text} is not a port: choose 1024 to 65535, as in PORT=8502.")
    port = int(text)
    reason = _why_not(port)
    if reason == errno.EACCES:
        raise SetupError(f"Port {port} is for root only: choose another, as in PORT=8502 make run")
    if reason:
        raise SetupError(
            f"Port {port} is taken by another program, or by a dashboard that already runs: "
            f"PORT={_next_free(port)} make run"
        )
    return port


def _why_not(port: int) -> int:
    """Return 0 for a free port, else an errno.

    Connecting finds a listener on the wildcard address, which binding overlooks on macOS.
    """
    with socket.socket() as client:
        client.settimeout(1)
        if client.connect_ex((LOOPBACK, port)) == 0:
            return errno.EADDRINUSE
    with socket.socket() as server:
        # as the server itself does: a port that a closed connection still lingers on is free
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, port))
        except OSError as error:
            return error.errno or errno.EADDRINUSE
    return 0


def _next_free(port: int) -> int:
    beyond = (other for other in range(max(port + 1, 1024), 65_536) if not _why_not(other))
    return next(beyond, 8501)


def free_bytes(folder: Path) -> int:
    """Return what is free, in bytes, on the disk that holds the folder, made or not."""
    return shutil.disk_usage(_existing(folder)).free


def check_space(needs: Mapping[Path, int], free: Callable[[Path], int] = free_bytes) -> None:
    """Raise when a disk has less room than its folders are about to fill, in bytes."""
    disks: dict[int, list[Path]] = {}
    for folder in needs:
        disks.setdefault(_existing(folder).stat().st_dev, []).append(folder)
    for folders in disks.values():
        need, have = sum(needs[folder] for folder in folders), free(folders[0])
        if have < need:
            raise SetupError(
                f"Set-up fills about {need / GIB:.1f} GiB and the disk of {folders[0]} has "
                f"{have / GIB:.1f} GiB left: free some space and run it again."
            )


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())
