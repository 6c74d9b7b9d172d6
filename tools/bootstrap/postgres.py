"""PostgreSQL's programs, with which the tests make clusters of their own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tools.bootstrap.checks import SetupError
from tools.bootstrap.packages import install_packages

__all__ = ["ensure_postgres", "find_postgres"]

PROGRAMS = ("initdb", "postgres")
# Debian and Ubuntu keep them off the PATH, one folder for each version
VERSIONS = Path("/usr/lib/postgresql")
CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")


def find_postgres(search_path: str | None = None, versions: Path = VERSIONS) -> Path | None:
    """Return the folder of PostgreSQL's programs: the PATH's, else the newest installed."""
    on_path = shutil.which("initdb", path=search_path)
    installed = sorted(versions.glob("*/bin"), key=_number, reverse=True)
    folders = [*([Path(on_path).resolve().parent] if on_path else []), *installed]
    return next((folder for folder in folders if _is_whole(folder)), None)


def ensure_postgres(
    environ: Mapping[str, str], versions: Path = VERSIONS, clusters: Path = CLUSTERS
) -> None:
    """Install PostgreSQL where that needs nobody's password, without starting a server.

    Raises:
        SetupError: it is missing under CI, where its tests may not be skipped.

    """
    if find_postgres(environ.get("PATH"), versions) or _install(environ, clusters):
        return
    if environ.get("CI"):
        raise SetupError("PostgreSQL is missing: apt-get install postgresql")
    print("PostgreSQL is missing, so its tests are skipped (Debian: apt install postgresql).")


def _install(environ: Mapping[str, str], clusters: Path) -> bool:
    """Install the version that Debian has; the server's package would also start a cluster."""
    if not install_packages(environ, "postgresql-common"):
        return False
    kept = clusters.read_text("utf-8")
    try:
        clusters.write_text(kept + "\ncreate_main_cluster = false\n", "utf-8")
        return install_packages(environ, "postgresql")
    finally:
        clusters.write_text(kept, "utf-8")


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in PROGRAMS)


def _number(folder: Path) -> float:
    name = folder.parent.name
    return float(name) if name.replace(".", "", 1).isdigit() else 0.0
