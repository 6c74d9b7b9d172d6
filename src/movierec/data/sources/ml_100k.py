"""MovieLens 100K: how it is recognised, and its copy in the Python package RecBole 1.2.1."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from movierec.columns import Columns
from movierec.data.formats.files import Files, open_files
from movierec.data.formats.movielens import ML_100K_GENRES, read_ml_100k
from movierec.data.formats.raw import RawTable
from movierec.errors import DataError, FormatError, SourceError

__all__ = [
    "PACKAGE",
    "PACKAGE_SHA256",
    "ZIP_SHA256",
    "catalogue_sha256",
    "download_package_copy",
    "sha256_of",
    "unpack_wheel",
    "verify_ml_100k",
]

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


# GroupLens publishes the MD5 0e33842e24a9c977be4e0107933c0723 beside this archive
ZIP_SHA256 = "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"
GROUPLENS_SHA256 = {
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.user": "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
}
PACKAGE_SHA256 = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
}
# over id, title, year and genres; accepts a u.item that was only encoded or wrapped anew
CATALOGUE_SHA256 = "5027d57184dbe2ca248b6a3e49a6c930f1880b2d6e7453ac6489d07facc45110"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def catalogue_sha256(movies: RawTable) -> str:
    """Return the SHA-256 over the movies' ids, titles, years and genres, in their order."""
    rows = movies.table.select(list(Columns.MOVIES)).to_pylist()
    digest = hashlib.sha256()
    for row in rows:
        genres = "|".join(sorted(row[Columns.GENRES].split("|")))
        year = "" if row[Columns.YEAR] is None else f"{row[Columns.YEAR]:.0f}"
        digest.update(f"{row[Columns.MOVIE]}\t{row[Columns.TITLE]}\t{year}\t{genres}\n".encode())
    return digest.hexdigest()


def verify_ml_100k(files: Files) -> dict[str, str]:
    """Return the SHA-256 of each file that was checked.

    Raises:
        SourceError: a file is missing, or is not the one of MovieLens 100K.

    """
    if "ml-100k.inter" in files:
        return {name: _expect(files, name, known) for name, known in PACKAGE_SHA256.items()}
    if "u.data" not in files:
        raise SourceError(
            f"{files.label} is not MovieLens 100K: it has neither u.data nor ml-100k.inter.",
            hint="Import other data with: movierec data import PATH",
        )
    found = {name: _expect(files, name, GROUPLENS_SHA256[name]) for name in ("u.data", "u.user")}
    return found | {"u.item": _expect_movies(files)}


def _expect(files: Files, name: str, known: str) -> str:
    text = files.read(name).replace(b"\r\n", b"\n")
    found = hashlib.sha256(text).hexdigest()
    if found != known:
        raise _altered(files, name)
    return found


def _altered(files: Files, name: str) -> SourceError:
    return SourceError(
        f"{name} in {files.label} is not the file of MovieLens 100K: its SHA-256 differs.",
        hint="Delete it and fetch again; import other data with: movierec data import PATH",
    )


def _expect_movies(files: Files) -> str:
    if "u.genre" in files and _genres(files) != ML_100K_GENRES:
        raise _altered(files, "u.genre")
    found = hashlib.sha256(files.read("u.item").replace(b"\r\n", b"\n")).hexdigest()
    if found != GROUPLENS_SHA256["u.item"] and _catalogue(files) != CATALOGUE_SHA256:
        raise _altered(files, "u.item")
    return found


def _catalogue(files: Files) -> str:
    try:
        movies = read_ml_100k(files, "ml-100k").movies
    except DataError as error:
        raise _altered(files, "u.item") from error
    return "" if movies is None else catalogue_sha256(movies)


def _genres(files: Files) -> tuple[str, ...]:
    lines = files.read("u.genre").decode("latin-1").split()
    return tuple(line.partition("|")[0] for line in lines)
