"""A real Streamlit server of a project, which can be killed and started again on its port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from movierec.settings import Settings
from tests.conftest import PROJECT

START_SECONDS = 60.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """One project's dashboard; settings beyond the usual ones come from `more`."""

    settings: Settings
    more: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            sys.executable, "-m", "streamlit", "run", "Home.py", "--server.port", str(self.port),
            "--server.headless", "true", "--server.fileWatcherType", "none",
        ]  # fmt: skip
        places = {"MOVIEREC_HOME": str(self.settings.home), "MOVIEREC_DEVICE": "cpu"}
        with Path(self.settings.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=PROJECT, env=os.environ | places | self.more, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._wait_until_healthy(self.process)

    def stop(self) -> None:
        """Ask it to end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word."""
        self._end(signal.SIGKILL)

    def _end(self, sign: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(sign)
            self.process.wait(timeout=20)
            self.process = None

    def _wait_until_healthy(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            assert process.poll() is None, "the server ended at once"
            try:
                with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        pytest.fail(f"the server did not answer within {START_SECONDS:.0f} s")
