"""Chromium, which the browser tests drive."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tools.bootstrap.checks import SetupError

__all__ = ["ensure_chromium", "find_chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
TRIES = 3


def find_chromium(search_path: str | None = None) -> str | None:
    """Return the path of a Chromium or Chrome, or None."""
    found = (shutil.which(name, path=search_path) for name in (*NAMES, MACOS))
    return next((path for path in found if path), None)


def ensure_chromium(environ: Mapping[str, str]) -> None:
    """Install Chromium where that needs nobody's password.

    Raises:
        SetupError: it is missing under CI, where browser tests may not be skipped.

    """
    if find_chromium(environ.get("PATH")) or (_may_install(environ) and _install(environ)):
        return
    if environ.get("CI"):
        raise SetupError("Chromium is missing: apt-get install chromium")
    print("Chromium is missing, so the browser tests are skipped (Debian: apt install chromium).")


def _may_install(environ: Mapping[str, str]) -> bool:
    """Say whether this is root on Debian; Ubuntu's package only points to a snap."""
    release = Path("/etc/os-release")
    debian = release.exists() and "\nID=debian" in "\n" + release.read_text("utf-8")
    return debian and os.geteuid() == 0 and bool(shutil.which("apt-get", path=environ.get("PATH")))


def _install(environ: Mapping[str, str]) -> bool:
    quiet = {**environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = ["apt-get", "update", "-qq"]
    install = ["apt-get", "install", "-qq", "--no-install-recommends", "chromium"]
    for attempt in range(TRIES):
        time.sleep(5 * attempt)
        steps = (
            subprocess.run(step, env=quiet, stdin=subprocess.DEVNULL, check=False).returncode
            for step in (update, install)
        )
        if not any(list(steps)):
            return True
    return False
