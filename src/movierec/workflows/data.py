"""Bring a data set into the database and get it back out; read one person's own ratings."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from movierec.columns import Columns
from movierec.data.dataset import Dataset, RatingScale
from movierec.data.formats.detect import ColumnChoice, read_raw
from movierec.data.formats.raw import RawData, RawTable
from movierec.data.formats.tables import read_own
from movierec.data.sources.obtain import fetch_data_set
from movierec.data.staging import staging_folder
from movierec.data.validation.checks import gathered
from movierec.data.validation.report import ImportReport
from movierec.data.validation.rows import LAYOUT, Staging, checked_rows
from movierec.errors import DataError, FormatError, NotFoundError
from movierec.progress import Progress, part_of, silent
from movierec.settings import Settings
from movierec.store import DatasetRecord, Store, open_store

if TYPE_CHECKING:
    from movierec.inference.version import LoadedVersion

__all__ = [
    "ImportOutcome",
    "fetch_and_import",
    "import_data",
    "keep",
    "load_dataset",
    "own_ratings",
    "require_name",
]

MAX_NAME = 64  # characters
_NAME = re.compile(r"[\w.+ -]+")
FETCH_SHARE = 0.6  # of a progress bar that spans fetch and import
READ, CHECKED = 0.35, 0.45  # shares of an import's time, measured on 32 million ratings
STAGED_FROM = 64 << 20  # bytes; smaller files are read again in seconds


@dataclass(frozen=True)
class ImportOutcome:
    """The data set's row, what its import found, and whether it was there before.

    `resumed` is the number of rows that an earlier import of the file had read.
    """

    record: DatasetRecord
    report: ImportReport
    already_there: bool
    resumed: int = 0


def import_data(
    path: Path,
    settings: Settings,
    *,
    name: str | None = None,
    columns: ColumnChoice | None = None,
    scale: RatingScale | None = None,
    users: Path | None = None,
    movies: Path | None = None,
    source: str | None = None,
    on_progress: Progress | None = None,
) -> ImportOutcome:
    """Read, check and store a data set in one transaction.

    `name` defaults to that of the folder or file. `users` and `movies` are tables to go with
    a plain ratings table. `source` says where the data came from; by default, the path's name.

    Raises:
        DataError: the data cannot be read or used, or the name is taken by other data.
        StoreError: the database cannot be written.

    """
    report = on_progress or silent
    if name is not None:
        require_name(name)
    report("reading", 0.0)
    started = time.perf_counter()
    raw = read_raw(path, name=name, columns=columns, scale=scale, users=users, movies=movies)
    raw = replace(raw, source=source or raw.source)
    with _staged(raw, settings) as staging:
        rows = checked_rows(raw.ratings, raw.scale, staging, part_of(report, 0.0, READ))
        reading = time.perf_counter() - started
        report("checking", READ)
        dataset, found = gathered(raw, rows)
        found = replace(found, seconds={"reading": reading, **found.seconds})
        report("storing", CHECKED)
        with open_store(settings) as store:
            outcome = keep(dataset, found, store, part_of(report, CHECKED, 1.0))
    report("stored", 1.0)
    return replace(outcome, resumed=rows.resumed)


@contextmanager
def _staged(raw: RawData, settings: Settings) -> Iterator[Staging | None]:
    """Keep what is read of a large file until the block ends; a small one is read at once."""
    path = raw.ratings.path
    if path is None or path.stat().st_size < STAGED_FROM:
        yield None
        return
    options = {
        "file": raw.ratings.file,
        "columns": raw.ratings.source,
        "scaled": None if raw.scale is None else asdict(raw.scale),
        "layout": LAYOUT,
    }
    with staging_folder(settings.data_path / "cache", path, options) as folder:
        yield None if folder is None else Staging(folder)


def require_name(name: str) -> None:
    """Raise DataError for what cannot be the name of a data set."""
    if not (len(name) <= MAX_NAME and _NAME.fullmatch(name)):
        raise DataError(
            f"{name[:80]!r} cannot be the name of a data set.",
            hint=f"Use 1 to {MAX_NAME} letters, digits, blanks and . _ + -",
        )


def keep(
    dataset: Dataset, report: ImportReport, store: Store, on_progress: Progress = silent
) -> ImportOutcome:
    """Store a data set in one transaction, or return the one with the same content."""
    known = store.datasets.find(dataset.fingerprint)
    if known is not None:
        return ImportOutcome(known, ImportReport.from_dict(known.report), already_there=True)
    record = store.datasets.add(dataset, report.as_dict(), on_progress)
    return ImportOutcome(record, report, already_there=False)


def fetch_and_import(
    settings: Settings,
    name: str = "ml-100k",
    source: Path | None = None,
    on_progress: Progress | None = None,
) -> ImportOutcome:
    """Obtain a known data set, from `source` if given, and import it under its name.

    Raises:
        NotFoundError: no data set of that name can be fetched.
        DataError: it cannot be obtained, fails its checksum, or the name is taken.
        StoreError: the database cannot be written.

    """
    report = on_progress or silent
    fetched = fetch_data_set(
        name,
        settings,
        source=source,
        on_progress=part_of(report, 0.0, FETCH_SHARE),
    )
    return import_data(
        fetched.path,
        settings,
        name=name,
        source=fetched.origin,
        on_progress=part_of(report, FETCH_SHARE, 1.0),
    )


def load_dataset(name: str | None, settings: Settings) -> Dataset:
    """Return a data set from the database; the newest when no name is given.

    Raises:
        NotFoundError: there is none of this name.
        StoreError: the database cannot be read.

    """
    with open_store(settings) as store:
        return store.datasets.load(name)


def own_ratings(path: Path, version: LoadedVersion) -> dict[str, float]:
    """Return stars by movie id, each line checked against the version's data set.

    Raises:
        FormatError: a line has another number of fields, a rating is no number or off the scale,
            or a movie has two.
        NotFoundError: there is no such movie.
        EmptyDataError: there is nothing in the file.

    """
    table = read_own(path)
    if len(table.malformed):
        raise FormatError(
            f"Line {table.malformed[0]} of {table.file} has another number of fields than the "
            "first one.",
            hint="Give each line a movie and a rating.",
        )
    return _stars_by_movie(table, version)


def _stars_by_movie(table: RawTable, version: LoadedVersion) -> dict[str, float]:
    found: dict[str, float] = {}
    lines: dict[str, int] = {}
    movies, ratings = (table.column(n).to_pylist() for n in (Columns.MOVIE, Columns.RATING))
    for line, movie, text in zip(table.lines.tolist(), movies, ratings, strict=True):
        place = f"Line {line} of {table.file}"
        movie = movie.strip()
        if movie not in version.dataset.movies:
            raise NotFoundError(
                f"{place}: there is no movie {movie!r} in the data set {version.dataset.name}.",
                hint="`movierec similar TITLE` names the ids of the movies that fit a title.",
            )
        if movie in lines:
            raise FormatError(
                f"{place} rates movie {movie!r}, and so does line {lines[movie]}.",
                hint="Keep one of them.",
            )
        found[movie], lines[movie] = _stars(text, place, version), line
    return found


def _stars(text: str, place: str, version: LoadedVersion) -> float:
    scale = version.dataset.scale
    try:
        stars = float(text)
    except ValueError:
        stars = math.nan
    if not scale.low <= stars <= scale.high:
        raise FormatError(
            f"{place}: {text.strip()!r} is no rating of {scale.low:g} to {scale.high:g} stars.",
            hint="Mend it, or leave the line out.",
        )
    return stars
