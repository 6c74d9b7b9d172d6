"""A real dashboard as its own process, and what processes cost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

import psutil

from movierec.errors import MovierecError
from movierec.settings import Settings, project_root

__all__ = ["Api", "Hello", "Server", "cpu_by_process"]

START_SECONDS = 120.0


class Server:
    """`streamlit run Home.py` on a free port of this machine; a context manager."""

    name = "dashboard"
    health = "_stcore/health"

    def __init__(self, settings: Settings, core: int | None = None) -> None:
        self.settings = settings
        self.core = core  # the only one that it may use
        self.port = 0
        self.address = ""

    def __enter__(self) -> Self:
        self.port = _free_port()
        self.address = f"http://localhost:{self.port}"
        pinned = [] if self.core is None else ["taskset", "--cpu-list", str(self.core)]
        environment = os.environ | {"MOVIEREC_HOME": str(self.settings.home)}
        self._log = (self.settings.home / "server.log").open("ab")
        self.process = subprocess.Popen(
            [*pinned, sys.executable, *self.arguments()], cwd=project_root(), env=environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        self._wait_until_healthy()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._log.close()

    def arguments(self) -> list[str]:
        """Return what Python is called with."""
        return [
            "-m", "streamlit", "run", "Home.py", "--server.port", str(self.port),
            "--server.headless", "true", "--server.fileWatcherType", "none",
        ]  # fmt: skip

    def _wait_until_healthy(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.address}/{self.health}", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.01)
        self.process.kill()
        raise MovierecError(
            f"The {self.name} did not start.", hint=f"Look into {Path(self._log.name)}."
        )


class Api(Server):
    """`movierec serve`, which logs no line for each request."""

    name = "API"
    health = "health"

    def arguments(self) -> list[str]:
        """Return what Python is called with."""
        return ["-m", "movierec", "serve", "--port", str(self.port), "--no-access-log"]


class Hello(Server):
    """The least that the same server program can answer: see `live.hello`."""

    name = "bare server"
    health = ""

    def arguments(self) -> list[str]:
        """Return what Python is called with."""
        return [
            "-m", "uvicorn", "live.hello:app", "--app-dir", str(Path(__file__).parents[1]),
            "--port", str(self.port), "--loop", "uvloop", "--http", "httptools",
            "--no-access-log", "--log-level", "warning", "--lifespan", "off",
        ]  # fmt: skip


def cpu_by_process(roots: dict[str, int]) -> dict[int, tuple[str, float]]:
    """Return CPU seconds so far of this machine's processes below the named ones, by process id.

    Each belongs to the nearest named ancestor, itself included; what runs below this process
    and under no other name is a browser's.
    """
    found: dict[int, tuple[str, float]] = {}
    for name, pid in [("browsers", os.getpid()), *roots.items()]:
        for process in _family(pid):
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            found[process.pid] = (name, times.user + times.system)
    own = psutil.Process().cpu_times()
    found[os.getpid()] = ("benchmark", own.user + own.system)
    return found


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port
