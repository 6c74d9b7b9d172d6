"""What is shown of every movie, ready at hand."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from movierec.columns import Columns
from movierec.data.dataset import Dataset

__all__ = ["MovieFacts", "movie_facts"]

# id, title, year, genres
MovieFacts: TypeAlias = tuple[str, str, int | None, tuple[str, ...]]


def movie_facts(dataset: Dataset) -> list[MovieFacts]:
    """Return id, title, year and genres of every movie, by index."""
    frame = dataset.movie_frame
    years = frame[Columns.YEAR].tolist() if Columns.YEAR in frame else [None] * len(frame)
    genres = frame[Columns.GENRES].tolist() if Columns.GENRES in frame else [None] * len(frame)
    ids = [str(movie) for movie in dataset.movies.ids]
    split = {text: _parts(text) for text in set(genres)}  # far fewer than movies
    parts = (split[text] for text in genres)
    return list(zip(ids, dataset.titles, map(_year, years), parts, strict=True))


def _year(year: float | None) -> int | None:
    return None if year is None or np.isnan(year) else int(year)


def _parts(genres: object) -> tuple[str, ...]:
    return tuple(filter(None, genres.split("|"))) if isinstance(genres, str) else ()
