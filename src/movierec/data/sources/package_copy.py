"""The copy of MovieLens 100K inside the Python package RecBole 1.2.1.

It comes through the index that the user's pip is configured for. Only a wheel is accepted and
only three text files of it are read: no code of the package runs.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from movierec.data.formats.files import open_files
from movierec.data.sources.checksums import PACKAGE_SHA256
from movierec.errors import FormatError, SourceError

__all__ = ["PACKAGE", "download_package_copy", "unpack_wheel"]

PACKAGE = "recbole==1.2.1"
MEMBERS = "recbole/dataset_example/ml-100k/"
TIMEOUT = 300  # seconds; the wheel is 2 MB
DOWNLOAD = (
    "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet",
    "--disable-pip-version-check", "--dest", ".", PACKAGE,
)  # fmt: skip


def download_package_copy(folder: Path) -> None:
    """Fill `folder` with ml-100k.inter, .item and .user, unchecked, and nothing else.

    Raises:
        SourceError: there is no pip, or its index does not have the package.

    """
    answer = _run([*_pip(), *DOWNLOAD], folder)
    wheels = list(folder.glob("*.whl"))
    if answer.returncode or not wheels:
        raise SourceError(
            f"pip cannot download {PACKAGE}: {_last_error(answer.stderr)}",
            hint="Check which package index pip is configured for: pip config list",
        )
    unpack_wheel(wheels[0], folder)
    wheels[0].unlink()


def unpack_wheel(wheel: Path, folder: Path) -> None:
    """Copy the data set's three files from the wheel into the folder.

    Raises:
        SourceError: the wheel is damaged or does not carry them.

    """
    try:
        files = open_files(wheel)
        for name in PACKAGE_SHA256:
            (folder / name).write_bytes(files.read(MEMBERS + name))
    except FormatError as error:
        raise SourceError(f"The package copy is damaged: {error.message}") from error


def _pip() -> list[str]:
    """Return a pip that runs: this environment's, else the base Python's, else PATH's."""
    base = [str(Path(sys.base_prefix) / "bin" / "python3"), "-m", "pip"]
    own = [sys.executable, "-m", "pip"]
    candidates = [own] if importlib.util.find_spec("pip") else []
    candidates += [base, *([found] for name in ("pip3", "pip") if (found := shutil.which(name)))]
    for command in candidates:
        if _run([*command, "--version"], Path(sys.base_prefix)).returncode == 0:
            return command
    raise SourceError(
        "No pip was found to obtain MovieLens 100K with.",
        hint="Install pip, or put GroupLens' ml-100k.zip into the data folder.",
    )


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"ERROR: {error}")


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no reason given"])[-1]
