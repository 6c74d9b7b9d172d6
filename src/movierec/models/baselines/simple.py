"""Baselines without any taste: the mean, generosity and popularity, and a random order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.models.arrays import Float64Array, NamedArrays, integers, require_ratings
from movierec.models.baselines.base import BaselineHyperparameters, BaselineKind
from movierec.models.factors import FactorModel
from movierec.models.fields import setting
from movierec.models.protocol import Arrays

__all__ = [
    "BASELINES",
    "Biases",
    "BiasesHyperparameters",
    "GlobalMean",
    "MostPopular",
    "RandomModel",
    "RandomOrder",
    "constant",
]

RATINGS_AT_ONCE = 2**22  # 100 MB of numbers that are thrown away


class BiasesHyperparameters(BaselineHyperparameters):
    """Defaults are those of Surprise's alternating least squares."""

    epochs: int = setting(10, "alternations between users and movies", ge=1, le=1000, unit="passes")
    user_regularization: float = setting(
        15.0,
        "ratings at the mean added to each user; more shrinks the user's bias",
        gt=0,
        le=1e6,
        unit="ratings",
        search="1..50:log",
    )
    movie_regularization: float = setting(
        10.0,
        "ratings at the mean added to each movie; more shrinks the movie's bias",
        gt=0,
        le=1e6,
        unit="ratings",
        search="1..50:log",
    )


@dataclass(frozen=True)
class GlobalMean:
    """Predicts the mean training rating for everything; ranks nothing above anything."""

    hyperparameters: BaselineHyperparameters = field(default_factory=BaselineHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> FactorModel:  # noqa: ARG002
        """Fit on the training part; the seed changes nothing.

        Raises:
            EmptyDataError: there are no training ratings.

        """
        require_ratings(train)
        return constant(dataset, float(train.rating.mean(dtype=np.float64)))


def constant(dataset: Dataset, stars: float) -> FactorModel:
    """Return the model that predicts so many stars for everything, clipped to the scale."""
    return FactorModel(
        dataset.n_users,
        dataset.n_movies,
        dataset.scale,
        rating_user=np.zeros((dataset.n_users, 0), np.float32),
        rating_movie=np.zeros((dataset.n_movies, 0), np.float32),
        offset=stars,
    )


@dataclass(frozen=True)
class MostPopular:
    """Ranks movies by their number of training ratings, the same for everybody."""

    hyperparameters: BaselineHyperparameters = field(default_factory=BaselineHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> FactorModel:  # noqa: ARG002
        """Fit on the training part; the seed changes nothing.

        Raises:
            EmptyDataError: there are no training ratings.

        """
        require_ratings(train)
        return FactorModel(
            dataset.n_users,
            dataset.n_movies,
            dataset.scale,
            ranking_user=np.zeros((dataset.n_users, 0), np.float32),
            ranking_movie=np.zeros((dataset.n_movies, 0), np.float32),
            ranking_movie_bias=np.bincount(train.movie, minlength=dataset.n_movies).astype(
                np.float32
            ),
        )


@dataclass(frozen=True)
class RandomOrder:
    """Ranks movies in a random order of each user's own."""

    hyperparameters: BaselineHyperparameters = field(default_factory=BaselineHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> RandomModel:  # noqa: ARG002
        """Make the model; it looks at no rating."""
        return RandomModel(dataset.n_users, dataset.n_movies, seed)


@dataclass(frozen=True)
class RandomModel:
    """Scores drawn uniformly from [0, 1), fixed by the seed and the user."""

    n_users: int
    n_movies: int
    seed: int

    def predict(self, user: IntArray, movie: IntArray) -> FloatArray:  # noqa: ARG002
        """Return NaN: a random order predicts no ratings. Shapes: (n,), (n,) -> (n,)."""
        return np.full(len(user), np.nan, np.float32)

    def score(self, users: IntArray) -> FloatArray:
        """Return each user's random scores. Shapes: users: (n,) -> (n, n_movies)."""
        scores = np.empty((len(users), self.n_movies), np.float32)
        for row, user in enumerate(users):
            rng = np.random.default_rng([self.seed, int(user)])
            rng.random(dtype=np.float32, out=scores[row])
        return scores

    def with_interactions(self, ratings: Interactions) -> RandomModel:  # noqa: ARG002
        """Return itself."""
        return self

    def arrays(self) -> Arrays:
        """Return name -> array; `from_arrays` reads it back."""
        return {"shape": np.array([self.n_users, self.n_movies], np.int64), "seed": self._seed}

    @classmethod
    def from_arrays(cls, arrays: NamedArrays) -> RandomModel:
        """Bring a model back from `arrays()`; ArtifactError when one is missing."""
        n_users, n_movies = integers(arrays, "shape", 2)
        return cls(int(n_users), int(n_movies), int(integers(arrays, "seed", 1)[0]))

    @property
    def _seed(self) -> IntArray:
        return np.array([self.seed], np.int64)


@dataclass(frozen=True)
class Biases:
    """mu + b_u + b_i by alternating least squares (Koren 2010, section 2.1).

    Each half-step is b = sum of residuals / (regularization + number of ratings). These are the
    numbers of Surprise's BaselineOnly, which needs some 400 bytes of memory a rating for them.
    """

    hyperparameters: BiasesHyperparameters = field(default_factory=BiasesHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> FactorModel:  # noqa: ARG002
        """Fit on the training part; the seed changes nothing.

        Raises:
            EmptyDataError: there are no training ratings.

        """
        require_ratings(train)
        data = _Residuals(train, float(train.rating.mean(dtype=np.float64)))
        users, movies = np.zeros(dataset.n_users), np.zeros(dataset.n_movies)
        shrunk_users = data.counts(train.user, users) + self.hyperparameters.user_regularization
        shrunk_movies = data.counts(train.movie, movies) + self.hyperparameters.movie_regularization
        for _ in range(self.hyperparameters.epochs):
            movies = data.left(train.movie, train.user, users, len(movies)) / shrunk_movies
            users = data.left(train.user, train.movie, movies, len(users)) / shrunk_users
        return replace(
            constant(dataset, data.mean),
            rating_user_bias=users.astype(np.float32),
            rating_movie_bias=movies.astype(np.float32),
        )


@dataclass(frozen=True, eq=False)
class _Residuals:
    train: Interactions
    mean: float

    def counts(self, rows: IntArray, like: Float64Array) -> IntArray:
        return np.bincount(rows, minlength=len(like))

    def left(
        self, rows: IntArray, columns: IntArray, bias: Float64Array, size: int
    ) -> Float64Array:
        """Return the sum by row of what mean and the columns' bias leave unexplained, (size,)."""
        total = np.zeros(size)
        for start in range(0, len(rows), RATINGS_AT_ONCE):
            part = slice(start, start + RATINGS_AT_ONCE)
            left = self.train.rating[part].astype(np.float64) - self.mean - bias[columns[part]]
            total += np.bincount(rows[part], left, size)
        return total


BASELINES = (
    BaselineKind(
        "mean",
        "Global mean",
        "Predicts the mean training rating for everything.",
        BaselineHyperparameters,
        GlobalMean,
        FactorModel.from_arrays,
        predicts_ratings=True,
    ),
    BaselineKind(
        "biases",
        "Biases",
        "Mean rating plus how generous the user and how liked the movie is.",
        BiasesHyperparameters,
        Biases,
        FactorModel.from_arrays,
        predicts_ratings=True,
        tuned={"user_regularization": 2.1, "movie_regularization": 2.8},
    ),
    BaselineKind(
        "popular",
        "Most popular",
        "Ranks movies by their number of ratings, the same for everybody.",
        BaselineHyperparameters,
        MostPopular,
        FactorModel.from_arrays,
        predicts_ratings=False,
    ),
    BaselineKind(
        "random",
        "Random order",
        "Ranks movies at random: the floor of every ranking metric.",
        BaselineHyperparameters,
        RandomOrder,
        RandomModel.from_arrays,
        predicts_ratings=False,
    ),
)
