"""Rating baselines that Surprise fits, kept as plain arrays.

Surprise is imported when something is fitted, not before: it takes a noticeable fraction of
a second, and serving a version does not need it. A user or movie without a training rating
keeps the zeros it starts with, which is Surprise's own fallback to the biases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import psutil
from scipy import sparse

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.errors import TrainingError
from movierec.models.arrays import require_ratings
from movierec.models.baselines.base import (
    BaselineHyperparameters,
    BaselineKind,
    l2_penalty,
    passes,
    step_size,
    vector_length,
)
from movierec.models.factors import FactorModel

__all__ = ["BASELINES", "BYTES_A_RATING", "SVD", "FittedBySurprise", "SVDpp", "fitted_by_surprise"]

BYTES_A_RATING = 400  # Surprise keeps each as Python objects, in three lists (docs/LOG.md)
GIB = 2**30


class SVDHyperparameters(BaselineHyperparameters):
    """Defaults are those of Surprise's SVD."""

    factors: int = vector_length(100, "10..200:log")
    epochs: int = passes(20, "10..80:log")
    learning_rate: float = step_size(0.005, "0.001..0.02:log")
    regularization: float = l2_penalty(0.02, "0.01..0.2:log")


class SVDppHyperparameters(SVDHyperparameters):
    """Defaults are those of Surprise's SVD++."""

    factors: int = vector_length(20, "10..200:log")
    learning_rate: float = step_size(0.007, "0.001..0.02:log")


@dataclass(frozen=True)
class SVD:
    """mu + b_u + b_i + <p_u, q_i> by stochastic gradient descent (Funk 2006)."""

    hyperparameters: SVDHyperparameters = field(default_factory=SVDHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> FactorModel:
        """Fit on the training part; the seed draws the first vectors.

        Raises:
            EmptyDataError: there are no training ratings.
            TrainingError: the descent diverged, or there is not enough memory for Surprise.

        """
        import surprise

        algorithm = surprise.SVD(**_descent_options(self.hyperparameters, seed))
        fitted = fitted_by_surprise(algorithm, dataset, train)
        return fitted.factor_model(dataset, fitted.by_user("pu"), fitted.by_movie("qi"))


@dataclass(frozen=True)
class SVDpp:
    """mu + b_u + b_i + <p_u + |I_u|^-1/2 sum_j y_j, q_i> (Koren 2008, section 4)."""

    hyperparameters: SVDppHyperparameters = field(default_factory=SVDppHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> FactorModel:
        """Fit on the training part; the seed draws the first vectors.

        The sum over the movies a user rated is folded into the user's vector.

        Raises:
            EmptyDataError: there are no training ratings.
            TrainingError: the descent diverged, or there is not enough memory for Surprise.

        """
        import surprise

        options = _descent_options(self.hyperparameters, seed)
        # without the cache Surprise 1.1.5 loses memory in every epoch, and is slower
        fitted = fitted_by_surprise(surprise.SVDpp(**options, cache_ratings=True), dataset, train)
        implicit = _implicit(train, fitted.by_movie("yj"), dataset.n_users)
        return fitted.factor_model(dataset, fitted.by_user("pu") + implicit, fitted.by_movie("qi"))


@dataclass(frozen=True)
class FittedBySurprise:
    """A fitted Surprise algorithm, read by the data set's indices.

    Surprise numbers users and movies by their first appearance; `users` and `movies` hold
    the data set's index of each.
    """

    algorithm: Any
    users: IntArray
    movies: IntArray
    n_users: int
    n_movies: int

    @property
    def mean(self) -> float:
        """The mean training rating in stars."""
        return float(np.float32(self.algorithm.trainset.global_mean))  # as it is stored

    def by_user(self, name: str) -> FloatArray:
        """Return a parameter of the users, (n_users, ...); zeros for users without a rating."""
        return _scattered(getattr(self.algorithm, name), self.users, self.n_users)

    def by_movie(self, name: str) -> FloatArray:
        """Return a parameter of the movies, (n_movies, ...); zeros as for users."""
        return _scattered(getattr(self.algorithm, name), self.movies, self.n_movies)

    def similarity(self, by_users: bool) -> FloatArray:
        """Return the similarities of all users, or of all movies, (n, n)."""
        place, size = (self.users, self.n_users) if by_users else (self.movies, self.n_movies)
        similarity = np.zeros((size, size), np.float32)
        similarity[np.ix_(place, place)] = self.algorithm.sim
        return similarity

    def factor_model(
        self, dataset: Dataset, user: FloatArray | None = None, movie: FloatArray | None = None
    ) -> FactorModel:
        """Return mean, biases and, where given, vectors as arrays."""
        return FactorModel(
            self.n_users,
            self.n_movies,
            dataset.scale,
            rating_user=np.zeros((self.n_users, 0), np.float32) if user is None else user,
            rating_movie=np.zeros((self.n_movies, 0), np.float32) if movie is None else movie,
            rating_user_bias=self.by_user("bu"),
            rating_movie_bias=self.by_movie("bi"),
            offset=self.mean,
        )


def fitted_by_surprise(algorithm: Any, dataset: Dataset, train: Interactions) -> FittedBySurprise:
    """Fit an algorithm of Surprise on the training part.

    Raises:
        EmptyDataError: there are no training ratings.
        TrainingError: there is not enough memory for Surprise.

    """
    import surprise

    require_ratings(train)
    _require_memory(len(train))
    frame = pd.DataFrame({"user": train.user, "movie": train.movie, "rating": train.rating})
    reader = surprise.Reader(rating_scale=(dataset.scale.low, dataset.scale.high))
    trainset = surprise.Dataset.load_from_df(frame, reader).build_full_trainset()
    algorithm.fit(trainset)
    users = [trainset.to_raw_uid(inner) for inner in trainset.all_users()]
    movies = [trainset.to_raw_iid(inner) for inner in trainset.all_items()]
    return FittedBySurprise(
        algorithm,
        np.array(users, np.int64),
        np.array(movies, np.int64),
        dataset.n_users,
        dataset.n_movies,
    )


def _scattered(values: FloatArray, place: IntArray, size: int) -> FloatArray:
    """Return float32 rows at their places among zeros, (size, ...)."""
    if not np.isfinite(values).all():
        raise TrainingError(
            "The gradient descent diverged: a parameter is not finite.",
            hint="Lower the learning rate or raise the regularization.",
        )
    rows = np.zeros((size, *values.shape[1:]), np.float32)
    rows[place] = values
    return rows


def _implicit(train: Interactions, vectors: FloatArray, n_users: int) -> FloatArray:
    """Return |I_u|^-1/2 sum_j y_j over the movies each user rated, (n_users, d)."""
    counts = np.bincount(train.user, minlength=n_users)
    share = 1 / np.sqrt(counts[train.user])
    matrix = sparse.csr_matrix((share, (train.user, train.movie)), (n_users, len(vectors)))
    return np.asarray(matrix @ vectors, np.float32)


def _descent_options(hyperparameters: SVDHyperparameters, seed: int) -> dict[str, Any]:
    return {
        "n_factors": hyperparameters.factors,
        "n_epochs": hyperparameters.epochs,
        "lr_all": hyperparameters.learning_rate,
        "reg_all": hyperparameters.regularization,
        "random_state": seed,
    }


def _require_memory(n_ratings: int) -> None:
    needed, free = n_ratings * BYTES_A_RATING, psutil.virtual_memory().available
    if needed > free:
        raise TrainingError(
            f"Surprise keeps every rating as Python objects: {n_ratings:,} ratings take about "
            f"{needed / GIB:,.1f} GiB of memory, and {free / GIB:,.1f} GiB are free.",
            hint="Use biases, als or a GraphSAGE, which keep ratings as arrays, or a machine with "
            "more memory.",
        )


BASELINES = (
    BaselineKind(
        "svd",
        "SVD",
        "Biased matrix factorization by gradient descent (Surprise).",
        SVDHyperparameters,
        SVD,
        FactorModel.from_arrays,
        predicts_ratings=True,
        tuned={"factors": 200, "epochs": 80, "learning_rate": 0.0044, "regularization": 0.087},
    ),
    BaselineKind(
        "svdpp",
        "SVD++",
        "SVD that also learns from which movies a user rated at all (Surprise).",
        SVDppHyperparameters,
        SVDpp,
        FactorModel.from_arrays,
        predicts_ratings=True,
        tuned={"factors": 40, "epochs": 34, "learning_rate": 0.0063, "regularization": 0.083},
    ),
)
