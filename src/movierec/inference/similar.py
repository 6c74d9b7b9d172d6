"""How alike movies are, from a model's vectors or from who rated them."""

from __future__ import annotations

import numpy as np

from movierec.data.dataset import FloatArray, Interactions
from movierec.inference.results import SimilarityBasis
from movierec.models.factors import FactorModel
from movierec.models.protocol import Recommender
from movierec.models.residuals import ResidualModel

__all__ = ["similarities"]


def similarities(
    recommender: Recommender, known: Interactions, movie: int
) -> tuple[FloatArray, SimilarityBasis]:
    """Return the cosine of one movie with every movie, and what it was taken over.

    Shapes: (n_movies,). NaN for a movie about which nothing is known.
    """
    if isinstance(recommender, FactorModel | ResidualModel) and recommender.movie_vectors.shape[1]:
        return _cosine(recommender.movie_vectors, movie), "vectors"
    return _shared_raters(known, recommender.n_users, recommender.n_movies, movie), "ratings"


def _cosine(vectors: FloatArray, movie: int) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1)
    return _ratio(vectors @ vectors[movie], lengths * lengths[movie])


def _shared_raters(known: Interactions, n_users: int, n_movies: int, movie: int) -> FloatArray:
    """Return |U_i and U_j| / sqrt(|U_i| |U_j|) over the users who rated each movie."""
    is_rater = np.zeros(n_users, bool)
    is_rater[known.user[known.movie == movie]] = True
    shared = np.bincount(known.movie[is_rater[known.user]], minlength=n_movies)
    raters = np.bincount(known.movie, minlength=n_movies)
    return _ratio(shared, np.sqrt(raters * raters[movie]))


def _ratio(part: np.ndarray, whole: np.ndarray) -> FloatArray:
    known = whole > 0
    return np.where(known, part / np.where(known, whole, 1), np.nan).astype(np.float32)
