"""What an import found: how many rows, which were dropped and why, how the data is spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import Dataset, RatingScale
from movierec.errors import StoreError

__all__ = ["CountDistribution", "DroppedRows", "ImportReport", "Level", "describe", "iso_date"]


@dataclass(frozen=True)
class DroppedRows:
    """Rows left out for one reason, with the first few of their lines (from 1)."""

    reason: str
    count: int
    first_lines: tuple[int, ...]

    def __str__(self) -> str:
        lines = ", ".join(f"{line}" for line in self.first_lines)
        more = ", …" if self.count > len(self.first_lines) else ""
        return f"{self.count:,} {self.reason} (line {lines}{more})"


@dataclass(frozen=True)
class Level:
    """How many ratings have one value, in stars."""

    rating: float
    count: int


@dataclass(frozen=True)
class CountDistribution:
    """Distribution of the number of ratings per user or per movie; those with none count."""

    min: int
    q1: float
    median: float
    q3: float
    p90: float
    max: int
    mean: float

    @classmethod
    def of(cls, degrees: npt.NDArray[np.int64]) -> CountDistribution:
        """Return the distribution of these degrees, (n,) with n > 0."""
        q1, median, q3, p90 = (float(q) for q in np.quantile(degrees, [0.25, 0.5, 0.75, 0.9]))
        mean = float(degrees.mean())
        return cls(int(degrees.min()), q1, median, q3, p90, int(degrees.max()), mean)


@dataclass(frozen=True)
class ImportReport:
    """The facts of one import.

    `density` is ratings / (users · movies); dates are ISO 8601 in UTC, None without
    timestamps; `seconds` is wall time per stage.
    """

    format: str
    source: str
    ratings_file: str
    files: tuple[str, ...]
    rows_read: int
    rows_kept: int
    dropped: tuple[DroppedRows, ...]
    users: int
    movies: int
    users_without_ratings: int
    movies_without_ratings: int
    density: float
    scale: RatingScale
    scale_inferred: bool
    first_rating: str | None
    last_rating: str | None
    histogram: tuple[Level, ...]
    ratings_per_user: CountDistribution
    ratings_per_movie: CountDistribution
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def rows_dropped(self) -> int:
        """Number of rows left out, for whatever reason."""
        return self.rows_read - self.rows_kept

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        facts = asdict(self)
        lists = ("files", "dropped", "histogram")
        return facts | {name: list(facts[name]) for name in lists} | _plain_lines(facts)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> ImportReport:
        """Return the report that `as_dict` wrote.

        Raises:
            StoreError: a field is missing or has another form.

        """
        try:
            return cls(**{**facts, **_nested(facts)})
        except (KeyError, TypeError) as error:
            raise StoreError(
                f"The stored import report cannot be read: {error}.", hint="Import the data again."
            ) from error


def _plain_lines(facts: Mapping[str, Any]) -> dict[str, Any]:
    rows = [row | {"first_lines": list(row["first_lines"])} for row in facts["dropped"]]
    return {"dropped": rows, "seconds": dict(facts["seconds"])}


def _nested(facts: Mapping[str, Any]) -> dict[str, Any]:
    dropped = (
        DroppedRows(**{**d, "first_lines": tuple(d["first_lines"])}) for d in facts["dropped"]
    )
    return {
        "files": tuple(facts["files"]),
        "dropped": tuple(dropped),
        "scale": RatingScale(**facts["scale"]),
        "histogram": tuple(Level(**level) for level in facts["histogram"]),
        "ratings_per_user": CountDistribution(**facts["ratings_per_user"]),
        "ratings_per_movie": CountDistribution(**facts["ratings_per_movie"]),
    }


def iso_date(seconds: int) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def describe(dataset: Dataset, **facts: Any) -> ImportReport:
    """Return the report of a data set; `facts` are the fields that only the checks know."""
    ratings = dataset.ratings
    per_user = np.bincount(ratings.user, minlength=dataset.n_users)
    per_movie = np.bincount(ratings.movie, minlength=dataset.n_movies)
    first, last = _dates(ratings.timestamp)
    return ImportReport(
        source=dataset.source,
        rows_kept=len(ratings),
        users=dataset.n_users,
        movies=dataset.n_movies,
        users_without_ratings=int((per_user == 0).sum()),
        movies_without_ratings=int((per_movie == 0).sum()),
        density=len(ratings) / (dataset.n_users * dataset.n_movies),
        scale=dataset.scale,
        first_rating=first,
        last_rating=last,
        histogram=_histogram(ratings.rating),
        ratings_per_user=CountDistribution.of(per_user),
        ratings_per_movie=CountDistribution.of(per_movie),
        **facts,
    )


def _dates(timestamps: npt.NDArray[np.int64] | None) -> tuple[str | None, str | None]:
    if timestamps is None:
        return None, None
    return iso_date(int(timestamps.min())), iso_date(int(timestamps.max()))


def _histogram(ratings: npt.NDArray[np.float32]) -> tuple[Level, ...]:
    """Count each value; more than 100 distinct ones are counted in 50 equal bins."""
    values, counts = np.unique(ratings, return_counts=True)
    if len(values) > 100:
        counts, edges = np.histogram(ratings, bins=50)
        values = edges[:-1]
    return _levels(values.tolist(), counts.tolist())


def _levels(values: Sequence[float], counts: Sequence[int]) -> tuple[Level, ...]:
    return tuple(Level(round(value, 4), count) for value, count in zip(values, counts, strict=True))
