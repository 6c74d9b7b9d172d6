"""The machine a computation runs on: device, threads, seeds, logging, seconds, memory."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import pwd
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from movierec.errors import SettingsError

if TYPE_CHECKING:
    import torch

__all__ = [
    "Stopwatch",
    "configure_logging",
    "git_state",
    "library_versions",
    "own_user",
    "peak_memory_mb",
    "pick_device",
    "seed_everything",
    "set_threads",
]

LIBRARIES = ("torch", "torch-geometric", "numpy", "scipy", "pandas", "scikit-surprise", "optuna")
BENCH_LIBRARIES = ("implicit", "myfm", "matplotlib")  # those of the optional group `bench`


class Stopwatch:
    """Seconds of wall time per stage; `seconds` are those of stages measured before."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds = dict(seconds or {})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what is done within the block."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return round(sum(self.seconds.values()), 3)


def pick_device(name: str = "auto") -> torch.device:
    """Return the device meant by `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Raises:
        SettingsError: the name is unknown or this machine has no such device.

    """
    import torch

    if name == "auto":
        return torch.device(_best_device())
    try:
        device = torch.device(name)
    except RuntimeError:
        raise SettingsError(
            f"There is no device called {name!r}.", hint="Use auto, cpu, cuda, cuda:1 or mps."
        ) from None
    if not _has_device(device):
        raise SettingsError(
            f"This machine offers torch no {name} device.",
            hint="Use --device auto or --device cpu.",
        )
    return device


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _has_device(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type == "cpu"


def set_threads(count: int) -> int:
    """Limit torch to `count` CPU threads (0: leave it as it is) and return the number in force."""
    import torch

    if count:
        torch.set_num_threads(count)
    return torch.get_num_threads()


def seed_everything(seed: int) -> None:
    """Seed torch on every device and make it deterministic on the CPU."""
    import torch

    torch.manual_seed(seed)
    # use_deterministic_algorithms() would say the same and load torch's compiler for seconds
    torch.set_deterministic_debug_mode("warn")


def configure_logging(level: int = logging.INFO, *, stream: Any = None) -> None:
    """Send movierec's own log records to a stream (stderr unless given)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("movierec")
    logger.handlers[:] = [handler]
    logger.setLevel(level)


def own_user() -> str:
    """Return the name of the user whose process this is, or the number of one without a name."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name or f"user {number}"
    except KeyError:  # a container's process may run as a number that nobody named
        return f"user {number}"


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes where Linux counts KiB
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that shape a result, optional ones if installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        found[name] = importlib.metadata.version(name)
    for name in BENCH_LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def git_state(folder: Path) -> dict[str, Any]:
    """Commit of the checkout and whether files differ from it; nulls outside a checkout."""
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
