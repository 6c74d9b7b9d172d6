"""Ranking baselines that the package implicit fits, kept as plain arrays.

A rating counts by being there, not by its height. Both run on the CPU, whatever the machine
has, so that they are measured on the same cores as their peers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from movierec.data.dataset import Dataset, Interactions
from movierec.errors import TrainingError
from movierec.models.arrays import require_ratings
from movierec.models.baselines.base import (
    BaselineHyperparameters,
    BaselineKind,
    bench_module,
    l2_penalty,
    passes,
    step_size,
    vector_length,
)
from movierec.models.factors import FactorModel
from movierec.models.fields import setting

__all__ = ["ALS", "BASELINES", "BPR"]


class ALSHyperparameters(BaselineHyperparameters):
    """Defaults are the best found on the validation part of `random` (docs/PEERS.md)."""

    factors: int = vector_length(32, "16..256:log")
    epochs: int = setting(
        40,
        "alternations between users and movies",
        ge=1,
        le=1000,
        unit="passes",
        search="5..50:log",
    )
    regularization: float = setting(
        35.0, "L2 penalty on the vectors", ge=0, le=1e6, search="0.01..100:log"
    )
    confidence: float = setting(
        5.6,
        "weight of a pair with a rating; one without has 1 (alpha)",
        gt=0,
        le=1e6,
        search="0.5..40:log",
    )


class BPRHyperparameters(BaselineHyperparameters):
    """Defaults are the best found on the validation part of `random` (docs/PEERS.md)."""

    factors: int = vector_length(16, "16..256:log")
    epochs: int = passes(173, "20..500:log", most=10_000)
    learning_rate: float = step_size(0.0035, "0.001..0.1:log")
    regularization: float = l2_penalty(0.02, "0.001..0.1:log")


@dataclass(frozen=True)
class ALS:
    """Weighted matrix factorization by alternating least squares (Hu, Koren, Volinsky 2008).

    Every pair of a user and a movie is a target: 1 with the weight `confidence` where there is
    a rating, 0 with the weight 1 where there is none.
    """

    hyperparameters: ALSHyperparameters = field(default_factory=ALSHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> FactorModel:
        """Fit on the training part; the seed draws the first vectors.

        Raises:
            EmptyDataError: there are no training ratings.
            TrainingError: implicit is not installed, or a vector became NaN.

        """
        algorithm = bench_module("implicit.als").AlternatingLeastSquares
        # implicit divides the rows among threads itself, and warns when the BLAS does too
        with bench_module("threadpoolctl").threadpool_limits(1, "blas"):
            model = algorithm(
                factors=self.hyperparameters.factors,
                iterations=self.hyperparameters.epochs,
                regularization=self.hyperparameters.regularization,
                alpha=self.hyperparameters.confidence,
                random_state=seed,
                use_gpu=False,
            )
            _fit(model, dataset, train)
        return FactorModel(
            dataset.n_users,
            dataset.n_movies,
            dataset.scale,
            ranking_user=model.user_factors,
            ranking_movie=model.item_factors,
        )


@dataclass(frozen=True)
class BPR:
    """Matrix factorization for the pairwise ranking loss (Rendle and others 2009).

    A movie that somebody else rated is the lesser of a pair as often as it was rated.
    """

    hyperparameters: BPRHyperparameters = field(default_factory=BPRHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> FactorModel:
        """Fit on the training part; the seed draws the first vectors and the pairs.

        One thread: several would write to the same vectors at the same time, and the result
        would depend on which was faster.

        Raises:
            EmptyDataError: there are no training ratings.
            TrainingError: implicit is not installed, or a vector became NaN.

        """
        algorithm = bench_module("implicit.bpr").BayesianPersonalizedRanking
        model = algorithm(
            factors=self.hyperparameters.factors,
            iterations=self.hyperparameters.epochs,
            learning_rate=self.hyperparameters.learning_rate,
            regularization=self.hyperparameters.regularization,
            random_state=seed,
            num_threads=1,
            use_gpu=False,
        )
        _fit(model, dataset, train)
        # implicit keeps a movie's bias behind its vector, and a 1 behind every user's
        return FactorModel(
            dataset.n_users,
            dataset.n_movies,
            dataset.scale,
            ranking_user=model.user_factors[:, :-1],
            ranking_movie=model.item_factors[:, :-1],
            ranking_movie_bias=model.item_factors[:, -1],
        )


def _fit(model: Any, dataset: Dataset, train: Interactions) -> None:
    require_ratings(train)
    try:
        model.fit(_binary(dataset, train), show_progress=False)
    except bench_module("implicit.recommender_base").ModelFitError as error:
        raise TrainingError(
            f"implicit could not fit the model: {error}.",
            hint="Lower the learning rate or raise the regularization.",
        ) from error


def _binary(dataset: Dataset, train: Interactions) -> sparse.csr_matrix:
    """Return who rated what as ones, (n_users, n_movies)."""
    matrix = train.matrix(dataset.n_users, dataset.n_movies)
    matrix.data = np.ones_like(matrix.data)
    return matrix


BASELINES = (
    BaselineKind(
        "als",
        "ALS",
        "Weighted matrix factorization of who rated what (implicit).",
        ALSHyperparameters,
        ALS,
        FactorModel.from_arrays,
        predicts_ratings=False,
    ),
    BaselineKind(
        "bpr",
        "BPR",
        "Matrix factorization that ranks rated movies above others (implicit).",
        BPRHyperparameters,
        BPR,
        FactorModel.from_arrays,
        predicts_ratings=False,
    ),
)
