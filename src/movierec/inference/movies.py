"""Movies: their facts, finding one by its title, and which groups of users like one."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from movierec.columns import Columns
from movierec.data.dataset import Dataset, IntArray, RatingScale
from movierec.models.graphsage.features import AGE_BANDS

__all__ = [
    "LEAST_RATERS",
    "MovieFacts",
    "MovieHit",
    "MovieSearch",
    "groups_of",
    "movie_facts",
]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class MovieHit:
    """A movie that fits what was typed; `n_ratings` counts all of the data set."""

    movie_id: str
    title: str
    year: int | None
    genres: tuple[str, ...]
    n_ratings: int


class MovieSearch:
    """The titles of a data set, folded once: no case, no accents, words apart.

    A movie fits when each word typed begins a word of its title or is its year. Movies whose title
    begins as typed come first, then the most rated.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._facts = movie_facts(dataset)
        self._counts: IntArray = np.bincount(dataset.ratings.movie, minlength=dataset.n_movies)
        self._order = np.argsort(-self._counts, kind="stable").tolist()
        self._index = {facts[0]: place for place, facts in enumerate(self._facts)}
        # a blank before each word, so that a word's beginning is found as text
        self._folded = [_folded(f"{title} {year or ''}") for _, title, year, _ in self._facts]

    def find(self, text: str, limit: int = 20) -> list[MovieHit]:
        """Return the movies that fit, best first; the most rated where nothing is typed.

        An exact id is the first hit.
        """
        typed = _folded(text)
        words = [f" {word}" for word in typed.split()]
        fitting = (m for m in self._order if all(word in self._folded[m] for word in words))
        if not words:
            found = [m for m, _ in zip(fitting, range(limit), strict=False)]
        else:
            found = sorted(fitting, key=lambda movie: not self._folded[movie].startswith(typed))
        exact = self._index.get(text.strip())
        if exact is not None:
            found = [exact, *[movie for movie in found if movie != exact]]
        return [self.hit(movie) for movie in found[:limit]]

    def hit(self, movie: int) -> MovieHit:
        """Return the facts of a movie by its index."""
        return MovieHit(*self._facts[movie], n_ratings=int(self._counts[movie]))


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return "".join(f" {word}" for word in _WORD.findall(letters))


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


LEAST_RATERS = 5  # a mean over fewer says nothing
_Z = 1.96  # of a 95 % interval


def groups_of(dataset: Dataset, movie: int) -> pd.DataFrame:
    """Return how groups of users rated a movie, the best mean first.

    One row per group with at least five raters: `kind` (age, gender, occupation), `group`, `n`
    raters, `mean` stars, and `low` and `high`, the 95 % interval of the mean (normal
    approximation) as far as it lies on the scale. Empty where nothing is known of the users.
    """
    rows = dataset.by_movie.positions(movie)
    raters = dataset.user_frame.iloc[dataset.ratings.user[rows]].reset_index(drop=True)
    stars = pd.Series(dataset.ratings.rating[rows].astype(np.float64))
    parts = [
        _grouped(kind, labels, stars, dataset.scale) for kind, labels in _labels(raters).items()
    ]
    columns = ["kind", "group", "n", "mean", "low", "high"]
    found = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
    found = found[found["n"] >= LEAST_RATERS]
    return found.sort_values("mean", ascending=False, kind="stable", ignore_index=True)[columns]


def _labels(raters: pd.DataFrame) -> dict[str, pd.Series]:
    labels = {
        kind: raters[kind].astype(object)
        for kind in (Columns.GENDER, Columns.OCCUPATION)
        if kind in raters
    }
    if Columns.AGE in raters:
        labels[Columns.AGE] = raters[Columns.AGE].map(_band)
    return labels


def _band(age: float | None) -> str | None:
    if age is None or np.isnan(age):
        return None
    above = [edge for edge in AGE_BANDS if edge > age]
    below = [edge for edge in AGE_BANDS if edge <= age]
    if not below:
        return f"under {above[0]:.0f}"
    return f"{below[-1]:.0f} to {above[0] - 1:.0f}" if above else f"{below[-1]:.0f} and over"


def _grouped(kind: str, labels: pd.Series, stars: pd.Series, scale: RatingScale) -> pd.DataFrame:
    found = stars.groupby(labels).agg(["size", "mean", "std"])
    half = _Z * found["std"].fillna(0) / np.sqrt(found["size"])
    return pd.DataFrame(
        {
            "kind": kind,
            "group": [str(label) for label in found.index],
            "n": found["size"].to_numpy(),
            "mean": found["mean"].to_numpy(),
            "low": (found["mean"] - half).clip(lower=scale.low).to_numpy(),
            "high": (found["mean"] + half).clip(upper=scale.high).to_numpy(),
        }
    )
