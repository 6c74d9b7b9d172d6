"""Chromium, which the browser tests drive."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from tools.bootstrap.checks import SetupError
from tools.bootstrap.packages import install_packages

__all__ = ["ensure_chromium", "find_chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def find_chromium(search_path: str | None = None) -> str | None:
    """Return the path of a Chromium or Chrome, or None."""
    found = (shutil.which(name, path=search_path) for name in (*NAMES, MACOS))
    return next((path for path in found if path), None)


def ensure_chromium(environ: Mapping[str, str]) -> None:
    """Install Chromium where that needs nobody's password.

    Raises:
        SetupError: it is missing under CI, where browser tests may not be skipped.

    """
    if find_chromium(environ.get("PATH")) or install_packages(environ, "chromium"):
        return
    if environ.get("CI"):
        raise SetupError("Chromium is missing: apt-get install chromium")
    print("Chromium is missing, so the browser tests are skipped (Debian: apt install chromium).")
