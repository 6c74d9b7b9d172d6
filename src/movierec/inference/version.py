"""A version ready to answer: who should see what, why, and what is like what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.errors import ArtifactError, EvaluationError
from movierec.inference import explain, newcomers
from movierec.inference.batch import Options, TopK, block_size, one_by_one, top_lists
from movierec.inference.diversity import check_diversity, diverse, n_candidates
from movierec.inference.facts import MovieFacts, movie_facts
from movierec.inference.filters import EVERYTHING, Filters, RankBy, allowed_movies
from movierec.inference.parts import SplitParts
from movierec.inference.person import Person
from movierec.inference.results import Explanation, Reason, Recommendation, SimilarMovie
from movierec.inference.similar import Likeness
from movierec.inference.stars import chances_of, stars_of
from movierec.inference.topk import best
from movierec.metadata import VersionMetadata
from movierec.models.graphsage.features import FeaturePreprocessor
from movierec.models.graphsage.user_encoder import UserEncoder, newest_ratings
from movierec.models.protocol import Recommender
from movierec.models.serving import RatingLists

__all__ = ["LoadedVersion", "TopK"]

MOST_MASKS = 64  # of filters, a byte per movie each


@dataclass(frozen=True, eq=False)
class LoadedVersion:
    """One version, its data set and the ratings it knows. Changes nothing, needs no torch.

    `known` holds the ratings the version may know (the split's train, validation and support
    parts); a user's seen movies are those. `metadata` is the version's `metadata.json`.
    `inductive` and `preprocessor` answer for people who were not in training, where the version
    kept what that needs. `parts` are those of its split, where it was loaded with them.

    Raises:
        ArtifactError: the model and the data set do not have the same users and movies.

    """

    name: str
    recommender: Recommender
    dataset: Dataset
    known: Interactions
    metadata: VersionMetadata = field(default_factory=VersionMetadata)
    inductive: UserEncoder | None = None
    preprocessor: FeaturePreprocessor | None = None
    parts: SplitParts | None = None

    def __post_init__(self) -> None:
        model = (self.recommender.n_users, self.recommender.n_movies)
        if model != (self.dataset.n_users, self.dataset.n_movies):
            raise ArtifactError(
                f"Version {self.name} knows {model[0]} users and {model[1]} movies, the data set "
                f"{self.dataset.name} has {self.dataset.n_users} and {self.dataset.n_movies}.",
                hint="Train a version on this data set.",
            )

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
        """Return somebody who was not in training; see `inference.newcomer.newcomer`."""
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

        `filters` limit which movies, `diversity` is explained in `inference.diversity`, and `by`
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
        scores = self._scores(person, by)
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
                yield one_by_one(self, some, options)

    def ranking(self, user_id: str) -> IntArray:
        """Return the indices of all movies a user has not seen, in `recommend`'s order."""
        person = self.person(user_id)
        allowed = np.ones(self.dataset.n_movies, np.bool_)
        allowed[person.seen] = False
        return best(self._scores(person, "ranking"), allowed, self.popularity, len(allowed))

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
    def popularity(self) -> IntArray:
        """Number of known ratings of each movie, (n_movies,)."""
        return self.known.grouped("movie", self.dataset.n_movies).counts

    @cached_property
    def mean_rating(self) -> float:
        """Mean of the known ratings in stars; NaN where there is none."""
        return float(self.known.rating.mean()) if len(self.known) else float("nan")

    @cached_property
    def predicts_ratings(self) -> bool:
        """Whether the version predicts ratings in stars."""
        first = np.zeros(1, np.int64)
        return bool(np.isfinite(self.recommender.predict(first, first)).all())

    @cached_property
    def likeness(self) -> Likeness:
        """How alike movies are."""
        return Likeness.of_model(self.recommender, self.known)

    @cached_property
    def genre_table(self) -> FloatArray:
        """Which movie has which of `genres`, (n_movies, n_genres), 0 or 1."""
        return self.dataset.genre_matrix

    @cached_property
    def genres(self) -> list[str]:
        """Every genre, in the order of `genre_table`'s columns."""
        return sorted({genre for facts in self._facts for genre in facts[3]})

    def rows_of(self, user: int) -> IntArray:
        """Return where a user's known ratings are, in source order."""
        rows: IntArray = self.known.grouped("user", self.dataset.n_users).positions(user)
        return rows

    def raters_of(self, movie: int) -> IntArray:
        """Return the users who are known to have rated a movie, ascending."""
        rows = self.known.grouped("movie", self.dataset.n_movies).positions(movie)
        return np.unique(self.known.user[rows])

    @cached_property
    def is_newest(self) -> npt.NDArray[np.bool_]:
        """Which known ratings are among the newest tenth, (n,)."""
        return newest_ratings(self.known)

    @cached_property
    def no_features(self) -> FloatArray:
        """What the model reads of somebody of whom nothing is known, (1, n_features)."""
        if self.preprocessor is None:
            return np.ones((1, 1), np.float32)
        return self.preprocessor.users(pd.DataFrame(index=[0]))

    def facts(self, movie: int) -> MovieFacts:
        """Return id, title, year and genres of a movie by its index."""
        return self._facts[movie]

    def scores_of(self, person: Person) -> FloatArray:
        """Return a person's ranking scores of every movie, (n_movies,)."""
        return self._scores(person, "ranking")

    def _seen(self, user: int) -> tuple[IntArray, FloatArray]:
        """Return a user's movies and stars; of a movie that was rated twice the later."""
        rows = self.rows_of(user)
        movie, stars = self.known.movie[rows], self.known.rating[rows]
        own = RatingLists.build(np.zeros_like(movie), movie, stars, n_rows=1)
        return own.index, own.rating

    @cached_property
    def _lists(self) -> RatingLists:
        known = self.known
        return RatingLists.build(known.user, known.movie, known.rating, n_rows=self.dataset.n_users)

    @cached_property
    def _facts(self) -> list[MovieFacts]:
        return movie_facts(self.dataset)

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

    def _scores(self, person: Person, by: RankBy) -> FloatArray:
        if person.reason == "fallback":
            return self.popularity.astype(np.float32)
        if by == "rating":
            return self._predicted(person)
        scores: FloatArray = person.recommender.score(np.array([person.index]))[0]
        return scores

    def _predicted(self, person: Person) -> FloatArray:
        """Return predicted stars of every movie, unclipped where the model can say so."""
        if not self.predicts_ratings:
            raise EvaluationError(
                f"Version {self.name} predicts no ratings to sort by.",
                hint="Sort by ranking, or use a version that predicts ratings.",
            )
        return stars_of(person, np.arange(self.dataset.n_movies), clipped=False)

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
        stars, probabilities = chances_of(person, movies)
        rows = (
            [None] * len(movies) if probabilities is None else [*map(tuple, probabilities.tolist())]
        )
        return stars.tolist(), rows


def _check(options: Options) -> None:
    _require_length(options.k)
    check_diversity(options.diversity)


def _require_length(k: int) -> None:
    if k < 1:
        raise EvaluationError(f"k = {k} is no list length.", hint="Use k of 1 or more.")
