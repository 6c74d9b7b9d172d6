"""Who is alive: a process id alone lies, because ids are given again."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

import psutil

__all__ = ["ProcessMark", "is_alive", "mark_of", "own_mark"]

# Linux derives start times from the boot time, which moves a little when the clock is set.
START_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True)
class ProcessMark:
    """What tells one process from every other: host, id and start (seconds since 1970)."""

    host: str
    pid: int
    started_at: float


def own_mark() -> ProcessMark:
    """Return the mark of the calling process."""
    return mark_of(os.getpid())


def mark_of(pid: int) -> ProcessMark:
    """Return the mark of a process of this host; of one that is gone, a mark nobody has."""
    try:
        started_at = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started_at = 0.0
    return ProcessMark(socket.gethostname(), pid, started_at)


def is_alive(pid: int, started_at: float) -> bool:
    """Return whether this very process still runs on this host; a zombie does not."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started_at) < START_TOLERANCE_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # somebody else's process: it exists, more cannot be known
