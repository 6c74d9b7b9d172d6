"""Who is alive: a process id alone lies, because ids are given again."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

import psutil

__all__ = ["ProcessMark", "is_alive", "own_mark"]

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
    return ProcessMark(socket.gethostname(), os.getpid(), psutil.Process().create_time())


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
