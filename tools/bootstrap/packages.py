"""Debian packages that the tests need, installed where that needs nobody's password."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["install_packages"]

TRIES = 3


def install_packages(environ: Mapping[str, str], *names: str) -> bool:
    """Install Debian packages as root on Debian; return whether all of them are there now."""
    return _may_install(environ) and _install(environ, names)


def _may_install(environ: Mapping[str, str]) -> bool:
    """Say whether this is root on Debian; Ubuntu's Chromium only points to a snap."""
    release = Path("/etc/os-release")
    debian = release.exists() and "\nID=debian" in "\n" + release.read_text("utf-8")
    return debian and os.geteuid() == 0 and bool(shutil.which("apt-get", path=environ.get("PATH")))


def _install(environ: Mapping[str, str], names: tuple[str, ...]) -> bool:
    quiet = {**environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = ["apt-get", "update", "-qq"]
    install = ["apt-get", "install", "-qq", "--no-install-recommends", *names]
    for attempt in range(TRIES):
        time.sleep(5 * attempt)
        steps = (
            subprocess.run(step, env=quiet, stdin=subprocess.DEVNULL, check=False).returncode
            for step in (update, install)
        )
        if not any(list(steps)):
            return True
    return False
