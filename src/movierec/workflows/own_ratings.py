"""One person's ratings from a file, for a version that never saw them."""

from __future__ import annotations

import math
from pathlib import Path

from movierec.columns import Columns
from movierec.data.formats.raw import RawTable
from movierec.data.formats.tables import read_own
from movierec.errors import FormatError, NotFoundError
from movierec.inference.version import LoadedVersion

__all__ = ["own_ratings"]


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
    return _checked(table, version)


def _checked(table: RawTable, version: LoadedVersion) -> dict[str, float]:
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
