"""Which movies a list may hold, and in what order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from movierec.columns import Columns
from movierec.data.dataset import Dataset, IntArray, genre_dummies
from movierec.errors import EvaluationError, NotFoundError

__all__ = ["EVERYTHING", "Filters", "RankBy", "allowed_movies"]

Mask: TypeAlias = npt.NDArray[np.bool_]

RankBy: TypeAlias = Literal["ranking", "rating"]


@dataclass(frozen=True)
class Filters:
    """What a list is limited to; the default is everything.

    `genres`: a movie has at least one of them; `without_genres`: none of them. Years are
    inclusive, and a movie of unknown year passes only where no year is asked for. `min_ratings`:
    known ratings a movie has at least. `exclude`: ids of movies left out.
    """

    genres: tuple[str, ...] = ()
    without_genres: tuple[str, ...] = ()
    year_from: int | None = None
    year_to: int | None = None
    min_ratings: int = 0
    exclude: tuple[str, ...] = ()


EVERYTHING = Filters()


def allowed_movies(filters: Filters, dataset: Dataset, popularity: IntArray) -> Mask:
    """Return which movies pass, (n_movies,); `popularity` counts the known ratings of each.

    Raises:
        NotFoundError: there is no such genre or movie.
        EvaluationError: the years are in the wrong order, or the number of ratings is negative.

    """
    _check(filters)
    allowed = popularity >= filters.min_ratings
    allowed &= _in_years(filters, dataset)
    if filters.genres:
        allowed &= _of_genres(filters.genres, dataset)
    if filters.without_genres:
        allowed &= ~_of_genres(filters.without_genres, dataset)
    allowed[dataset.movies.indices(filters.exclude)] = False
    return allowed


def _check(filters: Filters) -> None:
    if filters.min_ratings < 0:
        raise EvaluationError(
            f"min_ratings = {filters.min_ratings} is below 0.", hint="Use 0 for no limit."
        )
    first, last = filters.year_from, filters.year_to
    if first is not None and last is not None and first > last:
        raise EvaluationError(
            f"No year is from {first} on and up to {last}.", hint="Exchange the two years."
        )


def _in_years(filters: Filters, dataset: Dataset) -> Mask:
    if filters.year_from is None and filters.year_to is None:
        return np.ones(dataset.n_movies, np.bool_)
    if Columns.YEAR not in dataset.movie_frame:
        return np.zeros(dataset.n_movies, np.bool_)
    year = dataset.movie_frame[Columns.YEAR].to_numpy(np.float64)
    first = -np.inf if filters.year_from is None else filters.year_from
    last = np.inf if filters.year_to is None else filters.year_to
    return np.asarray((year >= first) & (year <= last))


def _of_genres(genres: tuple[str, ...], dataset: Dataset) -> Mask:
    """Return which movies have at least one of the genres."""
    if Columns.GENRES not in dataset.movie_frame:
        raise NotFoundError(f"The data set {dataset.name} has no genres.")
    has = genre_dummies(dataset.movie_frame[Columns.GENRES])
    unknown = sorted(set(genres) - set(has.columns))
    if unknown:
        raise NotFoundError(
            f"There is no genre {unknown[0]!r} in this data set.",
            hint=f"There is {', '.join(has.columns)}.",
        )
    return np.asarray(has[list(genres)].to_numpy().any(axis=1))
