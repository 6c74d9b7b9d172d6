"""What a version is made of: model, data set, known ratings; look-ups and similarity of movies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.errors import ArtifactError, EvaluationError
from movierec.inference.filters import RankBy
from movierec.inference.movies import MovieFacts, movie_facts
from movierec.inference.parts import SplitParts
from movierec.inference.person import Person, stars_of
from movierec.inference.results import SimilarityBasis
from movierec.metadata import VersionMetadata
from movierec.models.arrays import RatingLists, one_thread
from movierec.models.factors import FactorModel
from movierec.models.graphsage.features import FeaturePreprocessor
from movierec.models.graphsage.formulas import newest_ratings
from movierec.models.graphsage.user_encoder import UserEncoder
from movierec.models.protocol import Recommender
from movierec.models.residuals import ResidualModel

__all__ = [
    "Likeness",
    "VersionContent",
]


@dataclass(frozen=True, eq=False)
class VersionContent:
    """The parts of a version and what is looked up in them; `LoadedVersion` answers with them.

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

    def scores_of(self, person: Person, by: RankBy = "ranking") -> FloatArray:
        """Return what a person's list is sorted by, of every movie, (n_movies,).

        The number of ratings for a person with the reason "fallback", else the ranking score or
        the predicted rating in stars, unclipped where the model can say so.

        Raises:
            EvaluationError: the version predicts no ratings to sort by.

        """
        if person.reason == "fallback":
            return self.popularity.astype(np.float32)
        if by == "rating":
            return self._predicted(person)
        scores: FloatArray = person.recommender.score(np.array([person.index]))[0]
        return scores

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

    def _predicted(self, person: Person) -> FloatArray:
        """Return predicted stars of every movie, unclipped where the model can say so."""
        if not self.predicts_ratings:
            raise EvaluationError(
                f"Version {self.name} predicts no ratings to sort by.",
                hint="Sort by ranking, or use a version that predicts ratings.",
            )
        return stars_of(person, np.arange(self.dataset.n_movies), clipped=False)


@dataclass(frozen=True, eq=False)
class Likeness:
    """Cosines between movies, each of the vector of a model or of its raters.

    Without vectors it is |U_i and U_j| / sqrt(|U_i| |U_j|) over the users who rated each movie.

    Shapes: unit: (n_movies, d) dense or sparse rows of length 1; known: (n_movies,) whether there
    is anything to compare a movie by.
    """

    unit: FloatArray | sparse.csr_matrix
    known: np.ndarray
    basis: SimilarityBasis

    @classmethod
    def of_model(cls, recommender: Recommender, known: Interactions) -> Likeness:
        """Return the likeness of a model's movies; of their raters where it has no vectors."""
        if isinstance(recommender, FactorModel | ResidualModel):
            vectors = recommender.movie_vectors
            if vectors.shape[1]:
                lengths = np.linalg.norm(vectors, axis=1)
                unit = vectors / np.where(lengths > 0, lengths, 1)[:, None]
                return cls(unit, lengths > 0, "vectors")
        return cls(*_raters(known, recommender.n_users, recommender.n_movies), "ratings")

    def of(self, movie: int) -> FloatArray:
        """Return the cosine of one movie with every movie, (n_movies,); NaN where unknown."""
        values = _dense(self.unit @ _dense(self.unit[[movie]]).ravel())
        unknown = ~self.known if self.known[movie] else np.ones_like(self.known)
        return np.where(unknown, np.float32(np.nan), values).astype(np.float32)

    def among(self, movies: IntArray) -> FloatArray:
        """Return the cosines of some movies with each other, (n, n); 0 where unknown."""
        rows = self.unit[movies]
        with one_thread():
            return _dense(rows @ rows.T)


def _dense(matrix: Any) -> FloatArray:
    return np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix, np.float32)


def _raters(
    known: Interactions, n_users: int, n_movies: int
) -> tuple[sparse.csr_matrix, np.ndarray]:
    ones = np.ones(len(known), np.float32)
    matrix = sparse.csr_matrix((ones, (known.movie, known.user)), shape=(n_movies, n_users))
    matrix.data[:] = 1  # a pair that was rated twice counts once
    count = np.diff(matrix.indptr)
    scale = sparse.diags(1 / np.sqrt(np.maximum(count, 1)).astype(np.float32))
    return (scale @ matrix).tocsr(), count > 0
