"""The floors every model must clear: a constant, the popular movies, a random order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.models.baselines.config import BaselineHyperparameters
from movierec.models.factors import FactorModel
from movierec.models.protocol import Arrays
from movierec.models.serving import NamedArrays, integers, require_ratings

__all__ = ["GlobalMean", "MostPopular", "RandomModel", "RandomOrder", "constant"]


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
