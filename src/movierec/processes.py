"""Processes by host, id and start: an id alone is not enough, because ids are given again."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

__all__ = ["ProcessMark", "is_alive", "mark_of", "own_mark"]

START_TOLERANCE_SECONDS = 2.0  # Linux tells the time of its boot in whole seconds
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BOOT_DIGITS = 5  # hexadecimal: a mark stays small enough for a float to hold its seconds
_LONGEST_UPTIME = 1e9  # seconds


@dataclass(frozen=True)
class ProcessMark:
    """Identity of a process: host, id and start.

    The start is in seconds, from a moment of the host's own: see `_start_of`.
    """

    host: str
    pid: int
    started_at: float


def own_mark() -> ProcessMark:
    """Return the mark of the calling process."""
    return mark_of(os.getpid())


def mark_of(pid: int) -> ProcessMark:
    """Return the mark of a process of this host; of one that is gone, a mark nobody has."""
    try:
        started_at = _start_of(psutil.Process(pid))
    except psutil.NoSuchProcess:
        started_at = 0.0
    return ProcessMark(socket.gethostname(), pid, started_at)


def is_alive(pid: int, started_at: float) -> bool:
    """Return whether this very process still runs on this host; a zombie does not."""
    try:
        process = psutil.Process(pid)
        same = abs(_start_of(process) - started_at) < START_TOLERANCE_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # somebody else's process: it exists, more cannot be known


def _start_of(process: psutil.Process) -> float:
    """Return when a process started; setting the clock does not change what this returns.

    Linux knows seconds since its boot, and psutil adds when that was by the clock as it stands
    now: a clock set back by an hour would make an hour's difference. A number of the boot
    stands in for its time.
    """
    if not psutil.LINUX:
        return process.create_time()
    return _boot() * _LONGEST_UPTIME + process.create_time() - psutil.boot_time()


@cache
def _boot() -> int:
    """Return a number of this boot of the host; 0 where the system gives none."""
    try:
        return int(_BOOT_ID.read_text()[:_BOOT_DIGITS], 16)
    except (OSError, ValueError):
        return 0
