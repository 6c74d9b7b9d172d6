"""A version ready to answer: who should see what, and what is like what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from movierec.columns import Columns
from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.errors import ArtifactError, EvaluationError
from movierec.inference.results import Reason, Recommendation, SimilarMovie
from movierec.inference.similar import similarities
from movierec.models.protocol import Recommender
from movierec.models.serving import RatingLists

__all__ = ["LoadedVersion"]


@dataclass(frozen=True, eq=False)
class LoadedVersion:
    """One version, its data set and the ratings it knows. Changes nothing, needs no torch.

    `known` holds the ratings the version may know (the split's train, validation and support
    parts); a user's seen movies are those. `metadata` is the version's `metadata.json`.

    Raises:
        ArtifactError: the model and the data set do not have the same users and movies.

    """

    name: str
    recommender: Recommender
    dataset: Dataset
    known: Interactions
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        model = (self.recommender.n_users, self.recommender.n_movies)
        if model != (self.dataset.n_users, self.dataset.n_movies):
            raise ArtifactError(
                f"Version {self.name} knows {model[0]} users and {model[1]} movies, the data set "
                f"{self.dataset.name} has {self.dataset.n_users} and {self.dataset.n_movies}.",
                hint="Train a version on this data set.",
            )

    def recommend(
        self, user_id: str, k: int = 10, *, exclude_seen: bool = True
    ) -> list[Recommendation]:
        """Return a user's top k movies, best first; fewer where the catalogue ends.

        A user whom the data set does not know gets the most popular movies with the reason
        "fallback", and so does one without ratings for whom the model scores all movies
        alike. Equal scores are sorted by popularity.

        Raises:
            EvaluationError: k is below 1.

        """
        _require_length(k)
        order, scores, reason = self._order(user_id, exclude_seen=exclude_seen)
        movies = order[:k]
        ratings = np.full(len(movies), np.nan, np.float32)
        if reason != "fallback":
            user = self.dataset.users.index(user_id)
            ratings = self.recommender.predict(np.full(len(movies), user), movies)
        return self._lines(movies, scores, ratings, reason)

    def ranking(self, user_id: str) -> IntArray:
        """Return the indices of all movies a user has not seen, in `recommend`'s order."""
        return self._order(user_id, exclude_seen=True)[0]

    def score(self, user_id: str, movie_ids: Sequence[str]) -> FloatArray:
        """Return the ranking scores of some movies for a user, (n,).

        Raises:
            NotFoundError: there is no such user or movie.

        """
        user = self.dataset.users.index(user_id)
        return self._scores(user)[self.dataset.movies.indices(movie_ids)]

    def predict(self, user_id: str, movie_ids: Sequence[str]) -> FloatArray:
        """Return predicted ratings in stars, (n,); NaN where the model predicts none.

        Raises:
            NotFoundError: there is no such user or movie.

        """
        movies = self.dataset.movies.indices(movie_ids)
        users = np.full(len(movies), self.dataset.users.index(user_id))
        return self.recommender.predict(users, movies)

    def similar(self, movie_id: str, k: int = 10) -> list[SimilarMovie]:
        """Return the k movies most like one, best first; none where nothing is known of it.

        Raises:
            NotFoundError: there is no such movie.
            EvaluationError: k is below 1.

        """
        _require_length(k)
        movie = self.dataset.movies.index(movie_id)
        values, basis = similarities(self.recommender, self.known, movie)
        unknown = np.flatnonzero(np.isnan(values))
        movies = self._sorted(values, np.append(unknown, movie))[:k]
        return [
            SimilarMovie(rank, *self.facts(index), float(values[index]), basis)
            for rank, index in enumerate(movies.tolist(), start=1)
        ]

    @cached_property
    def popularity(self) -> IntArray:
        """Number of known ratings of each movie, (n_movies,)."""
        return np.bincount(self.known.movie, minlength=self.dataset.n_movies)

    @cached_property
    def _lists(self) -> RatingLists:
        known = self.known
        return RatingLists.build(known.user, known.movie, known.rating, n_rows=self.dataset.n_users)

    @cached_property
    def _titles(self) -> list[str]:
        return self.dataset.titles

    def _seen(self, user: int) -> IntArray:
        return self._lists.index[self._lists.of(user)]

    def _scores(self, user: int) -> FloatArray:
        scores: FloatArray = self.recommender.score(np.array([user]))[0]
        return scores

    def _sorted(self, scores: np.ndarray, excluded: IntArray) -> IntArray:
        allowed = np.setdiff1d(np.arange(self.dataset.n_movies), excluded)
        return allowed[np.lexsort((-self.popularity[allowed], -scores[allowed]))]

    def _order(self, user_id: str, *, exclude_seen: bool) -> tuple[IntArray, FloatArray, Reason]:
        """Return the movies best first, the score of every movie, and where they come from."""
        seen, popular = np.zeros(0, np.int64), self.popularity.astype(np.float32)
        if user_id not in self.dataset.users:
            return self._sorted(popular, seen), popular, "fallback"
        user = self.dataset.users.index(user_id)
        seen, scores = self._seen(user), self._scores(user)
        excluded = seen if exclude_seen else seen[:0]
        if not len(seen) and not np.ptp(scores):
            return self._sorted(popular, excluded), popular, "fallback"
        reason: Reason = "known" if len(seen) else "no-ratings"
        return self._sorted(scores, excluded), scores, reason

    def _lines(
        self, movies: IntArray, scores: FloatArray, ratings: FloatArray, reason: Reason
    ) -> list[Recommendation]:
        return [
            Recommendation(rank, *self.facts(movie), float(scores[movie]), _number(rating), reason)
            for rank, (movie, rating) in enumerate(
                zip(movies.tolist(), ratings.tolist(), strict=True), start=1
            )
        ]

    def facts(self, movie: int) -> tuple[str, str, int | None, tuple[str, ...]]:
        """Return id, title, year and genres of a movie by its index."""
        row = self.dataset.movie_frame.iloc[movie]
        year = _number(row.get(Columns.YEAR))
        return (
            str(self.dataset.movies.ids[movie]),
            self._titles[movie],
            None if year is None else int(year),
            _parts(row.get(Columns.GENRES)),
        )


def _require_length(k: int) -> None:
    if k < 1:
        raise EvaluationError(f"k = {k} is no list length.", hint="Use k of 1 or more.")


def _parts(genres: object) -> tuple[str, ...]:
    return tuple(filter(None, genres.split("|"))) if isinstance(genres, str) else ()


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
