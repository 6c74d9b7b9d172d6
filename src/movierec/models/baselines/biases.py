"""Mean, generosity and popularity: what ratings say without knowing anybody's taste."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import Dataset, IntArray, Interactions
from movierec.models.baselines.config import BiasesHyperparameters
from movierec.models.baselines.simple import constant
from movierec.models.factors import FactorModel
from movierec.models.serving import require_ratings

__all__ = ["Biases"]

Float64Array: TypeAlias = npt.NDArray[np.float64]

RATINGS_AT_ONCE = 2**22  # 100 MB of numbers that are thrown away


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
        data = _Ratings(train, float(train.rating.mean(dtype=np.float64)))
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
class _Ratings:
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
