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
from movierec.models.baselines.config import (
    BiasesHyperparameters,
    NeighboursHyperparameters,
    SVDHyperparameters,
    SVDppHyperparameters,
)
from movierec.models.baselines.knn import NeighbourModel
from movierec.models.factors import FactorModel
from movierec.models.serving import RatingLists, require_ratings

__all__ = ["BYTES_A_RATING", "NEIGHBOURS_MAX", "SVD", "NearestNeighbours", "SVDpp"]

NEIGHBOURS_MAX = 10_000  # Surprise fills five matrices of 8 bytes a pair: 4 GB
BYTES_A_RATING = 400  # Surprise keeps each as Python objects, in three lists (docs/LOG.md)
GIB = 2**30


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
        fitted = _fitted(algorithm, dataset, train)
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
        fitted = _fitted(surprise.SVDpp(**options, cache_ratings=True), dataset, train)
        implicit = _implicit(train, fitted.by_movie("yj"), dataset.n_users)
        return fitted.factor_model(dataset, fitted.by_user("pu") + implicit, fitted.by_movie("qi"))


@dataclass(frozen=True)
class NearestNeighbours:
    """kNN-Baseline: Surprise's shrunk Pearson-baseline similarities, numpy predictions.

    Similar movies unless `based_on` says users. (Surprise's own class starts from similar
    users with mean squared difference, and its documentation recommends the similarity
    used here.)
    """

    hyperparameters: NeighboursHyperparameters = field(default_factory=NeighboursHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> NeighbourModel:  # noqa: ARG002
        """Fit on the training part; the seed changes nothing.

        Raises:
            EmptyDataError: there are no training ratings.
            TrainingError: more than NEIGHBOURS_MAX movies (users), or too many ratings: there is
                not enough memory.

        """
        by_users = self.hyperparameters.based_on == "users"
        _require_pairs(dataset.n_users if by_users else dataset.n_movies, by_users)
        fitted = _fitted(self._algorithm(by_users), dataset, train)
        return NeighbourModel(
            fitted.similarity(by_users),
            _lists(dataset, train, by_users),
            fitted.by_user("bu"),
            fitted.by_movie("bi"),
            fitted.mean,
            dataset.scale,
            self.hyperparameters.neighbours,
            self.hyperparameters.min_neighbours,
            by_users,
            self.hyperparameters.user_regularization,
        )

    def _algorithm(self, by_users: bool) -> Any:
        import surprise

        similarity = {
            "name": "pearson_baseline",
            "user_based": by_users,
            "shrinkage": self.hyperparameters.shrinkage,
        }
        return surprise.KNNBaseline(
            sim_options=similarity, bsl_options=_bias_options(self.hyperparameters), verbose=False
        )


@dataclass(frozen=True)
class _Fitted:
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
        return float(np.float32(self.algorithm.trainset.global_mean))  # as it is stored

    def by_user(self, name: str) -> FloatArray:
        return _scattered(getattr(self.algorithm, name), self.users, self.n_users)

    def by_movie(self, name: str) -> FloatArray:
        return _scattered(getattr(self.algorithm, name), self.movies, self.n_movies)

    def similarity(self, by_users: bool) -> FloatArray:
        place, size = (self.users, self.n_users) if by_users else (self.movies, self.n_movies)
        similarity = np.zeros((size, size), np.float32)
        similarity[np.ix_(place, place)] = self.algorithm.sim
        return similarity

    def factor_model(
        self, dataset: Dataset, user: FloatArray | None = None, movie: FloatArray | None = None
    ) -> FactorModel:
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


def _fitted(algorithm: Any, dataset: Dataset, train: Interactions) -> _Fitted:
    import surprise

    require_ratings(train)
    _require_memory(len(train))
    frame = pd.DataFrame({"user": train.user, "movie": train.movie, "rating": train.rating})
    reader = surprise.Reader(rating_scale=(dataset.scale.low, dataset.scale.high))
    trainset = surprise.Dataset.load_from_df(frame, reader).build_full_trainset()
    algorithm.fit(trainset)
    users = [trainset.to_raw_uid(inner) for inner in trainset.all_users()]
    movies = [trainset.to_raw_iid(inner) for inner in trainset.all_items()]
    return _Fitted(
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


def _lists(dataset: Dataset, train: Interactions, by_users: bool) -> RatingLists:
    if by_users:
        return RatingLists.build(train.movie, train.user, train.rating, n_rows=dataset.n_movies)
    return RatingLists.build(train.user, train.movie, train.rating, n_rows=dataset.n_users)


def _bias_options(hyperparameters: BiasesHyperparameters) -> dict[str, Any]:
    return {
        "method": "als",
        "n_epochs": hyperparameters.epochs,
        "reg_u": hyperparameters.user_regularization,
        "reg_i": hyperparameters.movie_regularization,
    }


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


def _require_pairs(size: int, by_users: bool) -> None:
    if size > NEIGHBOURS_MAX:
        kind = "users" if by_users else "movies"
        raise TrainingError(
            f"The similarities of {size:,} {kind} do not fit in memory; "
            f"the limit is {NEIGHBOURS_MAX:,}.",
            hint="Base the neighbours on the other side, or use another model.",
        )
