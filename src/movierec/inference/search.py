"""Finding a movie by what somebody types."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from movierec.data.dataset import Dataset, IntArray
from movierec.inference.facts import movie_facts

__all__ = ["MovieHit", "MovieSearch"]

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
