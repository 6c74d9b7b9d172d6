"""EASE: a linear model from movies to movies, solved in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import linalg, sparse

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.errors import ArtifactError, TrainingError
from movierec.models.arrays import NamedArrays, RatingLists, floats, require_ratings
from movierec.models.baselines.base import BaselineHyperparameters, BaselineKind
from movierec.models.fields import setting
from movierec.models.protocol import Arrays

__all__ = ["BASELINES", "EASE", "EASE_MAX_MOVIES", "EASEModel"]

EASE_MAX_MOVIES = 20_000  # three float32 matrices of movies x movies: 4.8 GB while fitting


class EASEHyperparameters(BaselineHyperparameters):
    """The one number of Steck's shallow autoencoder."""

    regularization: float = setting(
        500.0,
        "L2 penalty on the movie-to-movie weights (lambda)",
        gt=0,
        le=1e9,
        search="50..2000:log",
    )


@dataclass(frozen=True, eq=False)
class EASEModel:
    """Ranks by x_u B: each movie a user rated votes for the others. Predicts no ratings.

    Shapes:
        weights: (n_movies, n_movies) float32, B with a zero diagonal;
        seen: the rated movies of each user.
    """

    weights: FloatArray
    seen: RatingLists
    n_users: int
    n_movies: int

    def predict(self, user: IntArray, movie: IntArray) -> FloatArray:  # noqa: ARG002
        """Return NaN: the scores are not in stars. Shapes: (n,), (n,) -> (n,)."""
        return np.full(len(user), np.nan, np.float32)

    def score(self, users: IntArray) -> FloatArray:
        """Return x_u B, zeros for a user without ratings. Shapes: users: (n,) -> (n, n_movies)."""
        return np.asarray(_binary(self.seen, self.n_movies)[users] @ self.weights, np.float32)

    def with_interactions(self, ratings: Interactions) -> EASEModel:
        """Return the model with these ratings added to their users' rows; B stays."""
        seen = self.seen.extended(ratings.user, ratings.movie, ratings.rating)
        return EASEModel(self.weights, seen, self.n_users, self.n_movies)

    def arrays(self) -> Arrays:
        """Return name -> array, lossless; `from_arrays` reads it back."""
        return {"weights": self.weights} | self.seen.arrays()

    @classmethod
    def from_arrays(cls, arrays: NamedArrays) -> EASEModel:
        """Bring a model back from `arrays()`; ArtifactError when one is missing or misfits."""
        weights = floats(arrays, "weights")
        if weights.ndim != 2 or weights.shape[0] != weights.shape[1]:
            raise ArtifactError(f"EASE's weights have the shape {weights.shape}, not a square.")
        seen = RatingLists.from_arrays(arrays, n_columns=len(weights))
        return cls(weights, seen, len(seen), len(weights))


@dataclass(frozen=True)
class EASE:
    """Steck 2019, "Embarrassingly shallow autoencoders for sparse data", equation 8.

    With the binary matrix X of who rated what, P = (X^T X + lambda I)^-1 and
    B_ij = -P_ij / P_jj off the diagonal, 0 on it.
    """

    hyperparameters: EASEHyperparameters = field(default_factory=EASEHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> EASEModel:  # noqa: ARG002
        """Solve for B on the training part; the seed changes nothing.

        Raises:
            EmptyDataError: there are no training ratings.
            TrainingError: more than EASE_MAX_MOVIES movies, so B would not fit in memory.

        """
        require_ratings(train)
        _require_size(dataset.n_movies)
        seen = RatingLists.build(train.user, train.movie, train.rating, n_rows=dataset.n_users)
        binary = _binary(seen, dataset.n_movies)
        weights = _solve(binary, self.hyperparameters.regularization)
        return EASEModel(weights, seen, dataset.n_users, dataset.n_movies)


def _binary(seen: RatingLists, n_movies: int) -> sparse.csr_matrix:
    """Return who rated what as ones, (n_users, n_movies)."""
    ones = np.ones(len(seen.index), np.float32)
    return sparse.csr_matrix((ones, seen.index, seen.start), shape=(len(seen), n_movies))


def _solve(binary: sparse.csr_matrix, regularization: float) -> FloatArray:
    gram = (binary.T @ binary).toarray()
    np.fill_diagonal(gram, gram.diagonal() + np.float32(regularization))
    inverse = linalg.inv(gram, overwrite_a=True, check_finite=False)
    inverse /= -inverse.diagonal()
    np.fill_diagonal(inverse, 0.0)
    return np.asarray(inverse, np.float32)


def _require_size(n_movies: int) -> None:
    if n_movies > EASE_MAX_MOVIES:
        raise TrainingError(
            f"EASE keeps a weight for every pair of movies; {n_movies:,} movies are more than "
            f"the {EASE_MAX_MOVIES:,} it is limited to.",
            hint="Use a smaller data set or another model.",
        )


BASELINES = (
    BaselineKind(
        "ease",
        "EASE",
        "Every rated movie votes for the others; linear, solved in closed form.",
        EASEHyperparameters,
        EASE,
        EASEModel.from_arrays,
        predicts_ratings=False,
        tuned={"regularization": 410.0},
    ),
)
