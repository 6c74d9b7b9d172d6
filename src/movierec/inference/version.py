"""A version ready to answer: who should see what, why, and what is like what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import FloatArray, IntArray
from movierec.errors import EvaluationError
from movierec.inference import explain, newcomers
from movierec.inference.batch import Options, TopK, block_size, from_lines, top_lists
from movierec.inference.content import VersionContent
from movierec.inference.filters import EVERYTHING, Filters, RankBy, allowed_movies
from movierec.inference.person import Person, stars_and_probabilities
from movierec.inference.results import Explanation, Reason, Recommendation, SimilarMovie
from movierec.inference.topk import best, check_diversity, diverse, n_candidates

__all__ = ["LoadedVersion", "TopK"]

MOST_MASKS = 64  # of filters, a byte per movie each


class LoadedVersion(VersionContent):
    """One version, ready to answer. Changes nothing, needs no torch."""

    def person(self, user_id: str) -> Person:
        """Return a user with the ratings the version knows.

        A user whom the data set does not know has the reason "fallback", and so has one without
        ratings for whom the model scores all movies alike.
        """
        if user_id not in self.dataset.users:
            none = np.zeros(0, np.int64)
            return Person(user_id, self.recommender, 0, none, none.astype(np.float32), "fallback")
        user = self.dataset.users.index(user_id)
        seen, stars = self._seen(user)
        reason: Reason = "known"
        if not len(seen):
            says_nothing = not np.ptp(self.recommender.score(np.array([user]))[0])
            reason = "fallback" if says_nothing else "no-ratings"
        return Person(user_id, self.recommender, user, seen, stars, reason)

    def newcomer(
        self, ratings: Mapping[str, float], features: Mapping[str, object] | None = None
    ) -> Person:
        """Return somebody who was not in training; see `inference.newcomers.newcomer`."""
        return newcomers.newcomer(self, ratings, features)

    def recommend(
        self,
        user_id: str,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        filters: Filters = EVERYTHING,
        diversity: float = 0.0,
        by: RankBy = "ranking",
    ) -> list[Recommendation]:
        """Return a user's top k movies, best first; fewer where the catalogue ends.

        `filters` limit which movies, `diversity` is explained in `inference.topk`, and `by`
        sorts by the ranking score or by the predicted rating. A person with the reason
        "fallback" gets the most popular movies. Equal scores are sorted by popularity.

        Raises:
            EvaluationError: k is below 1, the diversity is not between 0 and 1, or the version
                predicts no ratings to sort by.
            NotFoundError: a filter names an unknown genre or movie.

        """
        person = self.person(user_id)
        return self.recommend_for(
            person, k, exclude_seen=exclude_seen, filters=filters, diversity=diversity, by=by
        )

    def recommend_for_new_user(
        self,
        ratings: Mapping[str, float],
        features: Mapping[str, object] | None = None,
        k: int = 10,
        **options: Any,
    ) -> list[Recommendation]:
        """Return the top k movies of somebody who was not in training; see `newcomer`.

        `ratings` are stars by movie id, `features` what is known beside (age, gender, …);
        `options` and errors as for `recommend`.
        """
        return self.recommend_for(self.newcomer(ratings, features), k, **options)

    def recommend_for(
        self,
        person: Person,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        filters: Filters = EVERYTHING,
        diversity: float = 0.0,
        by: RankBy = "ranking",
    ) -> list[Recommendation]:
        """Return a person's top k movies; as `recommend`."""
        _require_length(k)
        check_diversity(diversity)
        allowed = self._allowed(filters)
        if exclude_seen and len(person.seen):
            allowed = allowed.copy()
            allowed[person.seen] = False
        scores = self.scores_of(person, by)
        wanted = n_candidates(k) if diversity else k
        movies = best(scores, allowed, self.popularity, wanted)
        if diversity:
            likeness = self.likeness.among(movies)
            movies = movies[diverse(scores[movies], likeness, k, diversity)]
        return self._lines(person, movies, scores, by)

    def recommend_all(
        self,
        k: int = 10,
        *,
        users: IntArray | None = None,
        exclude_seen: bool = True,
        filters: Filters = EVERYTHING,
        diversity: float = 0.0,
        by: RankBy = "ranking",
        predict: bool = True,
        block: int | None = None,
    ) -> Iterator[TopK]:
        """Yield the top k movies of many users, `block` users at a time.

        `users`: their indices, everybody's when left out. The lists are `recommend`'s, which also
        says what the options and errors are; users about whom the model can tell nothing get the
        most popular movies. Without `predict` there are no predicted ratings: it takes half as
        long.
        """
        options = Options(k, exclude_seen, filters, diversity, by)
        _check(options)
        everybody = np.arange(self.dataset.n_users) if users is None else users
        allowed = self._allowed(filters)
        size = block or block_size(self.dataset.n_movies)
        for start in range(0, len(everybody), size):
            some = everybody[start : start + size]
            if options.is_plain:
                yield top_lists(self, some, options, allowed, self._lists, predict=predict)
            else:
                yield self._one_by_one(some, options)

    def ranking(self, user_id: str) -> IntArray:
        """Return the indices of all movies a user has not seen, in `recommend`'s order."""
        person = self.person(user_id)
        allowed = np.ones(self.dataset.n_movies, np.bool_)
        allowed[person.seen] = False
        return best(self.scores_of(person), allowed, self.popularity, len(allowed))

    def explain(self, user: str | Person, movie_id: str, *, most: int = 5) -> Explanation:
        """Return why a movie is, or is not, recommended; see `inference.explain.explain`."""
        person = self.person(user) if isinstance(user, str) else user
        return explain.explain(self, person, movie_id, most=most)

    def score(self, user_id: str, movie_ids: Sequence[str]) -> FloatArray:
        """Return the ranking scores of some movies for a user, (n,).

        Raises:
            NotFoundError: there is no such user or movie.

        """
        user = self.dataset.users.index(user_id)
        scores: FloatArray = self.recommender.score(np.array([user]))[0]
        return scores[self.dataset.movies.indices(movie_ids)]

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
        values = self.likeness.of(movie)
        allowed = ~np.isnan(values)
        allowed[movie] = False
        basis = self.likeness.basis
        return [
            SimilarMovie(rank, *self.facts(at), float(values[at]), basis, version=self.name)
            for rank, at in enumerate(best(values, allowed, self.popularity, k).tolist(), 1)
        ]

    @cached_property
    def _masks(self) -> dict[Filters, npt.NDArray[np.bool_]]:
        return {}

    def _allowed(self, filters: Filters) -> npt.NDArray[np.bool_]:
        """Return which movies pass the filters, (n_movies,); not to be written to."""
        found = self._masks.get(filters)
        if found is None:
            found = allowed_movies(filters, self.dataset, self.popularity)
            if len(self._masks) >= MOST_MASKS:
                self._masks.clear()
            self._masks[filters] = found
        return found

    def _lines(
        self, person: Person, movies: IntArray, scores: FloatArray, by: RankBy
    ) -> list[Recommendation]:
        stars, probabilities = self._stars(person, movies)
        values = scores[movies].tolist()
        if by == "rating" and person.reason != "fallback":
            values = stars
        return [
            Recommendation(
                place + 1, *self.facts(movie), values[place], stars[place], person.reason,
                version=self.name, distribution=probabilities[place],
            )
            for place, movie in enumerate(movies.tolist())
        ]  # fmt: skip

    def _stars(self, person: Person, movies: IntArray) -> tuple[list[Any], list[Any]]:
        """Return predicted stars and their distribution, None where there is none."""
        if person.reason == "fallback" or not self.predicts_ratings:
            return [None] * len(movies), [None] * len(movies)
        stars, probabilities = stars_and_probabilities(person, movies)
        rows = (
            [None] * len(movies) if probabilities is None else [*map(tuple, probabilities.tolist())]
        )
        return stars.tolist(), rows

    def _one_by_one(self, users: IntArray, options: Options) -> TopK:
        """Return lists that need more than the ranking scores, each as `recommend` makes it."""
        ids = self.dataset.users.ids[users]
        lists = [self.recommend(str(user_id), **vars(options)) for user_id in ids]
        return from_lines(users, lists, self.dataset.movies)


def _check(options: Options) -> None:
    _require_length(options.k)
    check_diversity(options.diversity)


def _require_length(k: int) -> None:
    if k < 1:
        raise EvaluationError(f"k = {k} is no list length.", hint="Use k of 1 or more.")
