"""How alike movies are, from a model's vectors or from who rated them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from movierec.data.dataset import FloatArray, IntArray, Interactions
from movierec.inference.results import SimilarityBasis
from movierec.models.arrays import one_thread
from movierec.models.factors import FactorModel
from movierec.models.protocol import Recommender
from movierec.models.residuals import ResidualModel

__all__ = ["Likeness"]


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
