"""What a machine must have: a system with PyTorch, room, a free port; for tests a few programs."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

GIB = 2**30
LOOPBACK = "127.0.0.1"
MACOS_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", MACOS_CHROME)
# Debian and Ubuntu keep PostgreSQL off the PATH, one folder for each version
POSTGRES = Path("/usr/lib/postgresql")
CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")


class SetupError(Exception):
    """One line: what is missing and what to do about it."""


def check_platform(system: str, machine: str, libc: str) -> None:
    """Raise where PyTorch offers no build for this Python.

    Arguments are `platform.system()`, `platform.machine()` and the first of `libc_ver()`.
    """
    if system == "Darwin" and machine != "arm64":
        raise SetupError(
            "PyTorch has no build for Intel Macs any more (nor for an Intel Python on Apple "
            "silicon): use Linux, or name an arm64 Python with PYTHON=/path/to/python3."
        )
    if system == "Linux" and libc != "glibc":
        raise SetupError(
            "PyTorch has no build for musl systems such as Alpine: use Debian, Ubuntu or macOS."
        )


def check_port(text: str) -> int:
    """Return the port, free to listen on at this machine's loopback address."""
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise SetupError(f"PORT={text} is not a port: choose 1024 to 65535, as in PORT=8502.")
    port = int(text)
    problem = _port_problem(port)
    if problem == errno.EACCES:
        raise SetupError(f"Port {port} is for root only: choose another, as in PORT=8502 make run")
    if problem:
        beyond = range(max(port + 1, 1024), 65_536)
        free = next((other for other in beyond if not _port_problem(other)), 8501)
        raise SetupError(
            f"Port {port} is taken by another program, or by a dashboard that already runs: "
            f"PORT={free} make run"
        )
    return port


def _port_problem(port: int) -> int:
    """Return 0 for a free port, else an errno."""
    # connecting finds a listener on the wildcard address, which binding overlooks on macOS
    with socket.socket() as client:
        client.settimeout(1)
        if client.connect_ex((LOOPBACK, port)) == 0:
            return errno.EADDRINUSE
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        return error.errno or errno.EADDRINUSE
    return 0


def free_bytes(folder: Path) -> int:
    """Return what is free, in bytes, on the disk that holds the folder, made or not."""
    return shutil.disk_usage(_existing(folder)).free


def check_space(needs: Mapping[Path, int], free: Callable[[Path], int] = free_bytes) -> None:
    """Raise when a disk has less room than its folders are about to fill, in bytes."""
    disks: dict[int, list[Path]] = defaultdict(list)
    for folder in needs:
        disks[_existing(folder).stat().st_dev].append(folder)
    for folders in disks.values():
        need, have = sum(needs[folder] for folder in folders), free(folders[0])
        if have < need:
            raise SetupError(
                f"Set-up fills about {need / GIB:.1f} GiB and the disk of {folders[0]} has "
                f"{have / GIB:.1f} GiB left: free some space and run it again."
            )


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def find_chromium(search_path: str | None = None) -> str | None:
    """Return the path of a Chromium or Chrome, or None."""
    found = (shutil.which(name, path=search_path) for name in CHROMIUM)
    return next((path for path in found if path), None)


def find_postgres(search_path: str | None = None, versions: Path = POSTGRES) -> Path | None:
    """Return the folder of PostgreSQL's programs: the PATH's, else the newest installed."""
    on_path = shutil.which("initdb", path=search_path)
    installed = sorted(versions.glob("*/bin"), key=_version, reverse=True)
    folders = [*([Path(on_path).resolve().parent] if on_path else []), *installed]
    whole = (
        each for each in folders if (each / "initdb").exists() and (each / "postgres").exists()
    )
    return next(whole, None)


def _version(folder: Path) -> list[int]:
    return [int(part) for part in folder.parent.name.split(".") if part.isdecimal()]


def ensure_chromium(environ: Mapping[str, str]) -> None:
    """Install Chromium for the browser tests where that needs nobody's password."""
    if not find_chromium(environ.get("PATH")) and not _install(environ, "chromium"):
        _skip_tests(environ, "Chromium", "the browser tests")


def ensure_postgres(
    environ: Mapping[str, str], versions: Path = POSTGRES, clusters: Path = CLUSTERS
) -> None:
    """Install PostgreSQL's programs, with which the tests make clusters of their own."""
    there = find_postgres(environ.get("PATH"), versions)
    if not there and not _install_postgres(environ, clusters):
        _skip_tests(environ, "PostgreSQL", "its tests")


def _install_postgres(environ: Mapping[str, str], clusters: Path) -> bool:
    """Install Debian's version without the cluster that its package would start."""
    if not _install(environ, "postgresql-common"):
        return False
    kept = clusters.read_text("utf-8")
    try:
        clusters.write_text(kept + "\ncreate_main_cluster = false\n", "utf-8")
        return _install(environ, "postgresql")
    finally:
        clusters.write_text(kept, "utf-8")


def _skip_tests(environ: Mapping[str, str], name: str, tests: str) -> None:
    """Say that tests will be skipped, which CI may not do."""
    if environ.get("CI"):
        raise SetupError(f"{name} is missing: apt-get install {name.lower()}")
    print(f"{name} is missing, so {tests} are skipped (Debian: apt install {name.lower()}).")


def _install(environ: Mapping[str, str], package: str) -> bool:
    """Install a Debian package as root on Debian; return whether it is there now."""
    if not _may_install(environ):
        return False
    apt = ["apt-get", "-qq", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"]
    quiet = {**environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--no-install-recommends", package]):
        done = subprocess.run([*apt, *step], env=quiet, stdin=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def _may_install(environ: Mapping[str, str]) -> bool:
    """Say whether this is root on Debian; Ubuntu's Chromium only points to a snap."""
    release = Path("/etc/os-release")
    debian = release.exists() and "\nID=debian" in "\n" + release.read_text("utf-8")
    return debian and os.geteuid() == 0 and bool(shutil.which("apt-get", path=environ.get("PATH")))
