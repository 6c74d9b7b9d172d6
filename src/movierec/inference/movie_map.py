"""A map of the movies: a version's vectors on a plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import svds

from movierec.data.dataset import FloatArray
from movierec.inference.results import SimilarityBasis
from movierec.inference.version import LoadedVersion

__all__ = ["MovieMap", "movie_map"]

MOST = 2000  # movies drawn: more than these no screen tells apart
_TOO_SMALL = 3  # rows or columns, for a truncated decomposition
_NOTHING = 1e-6  # of variance, in rows of length 1

Float64Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MovieMap:
    """The most rated movies on a plane: near ones are alike to the version.

    `movies`: one row each, the most rated first: `movie_id`, `title`, `year`, `genre` (its first
    one), `ratings`, `x`, `y`. `explained` is the share of the variance of the directions that the
    plane holds, 0 to 1; `basis` says what the directions are.
    """

    movies: pd.DataFrame
    explained: float
    basis: SimilarityBasis


def movie_map(version: LoadedVersion, most: int = MOST) -> MovieMap:
    """Return the map of a version's movies by principal component analysis.

    The components are those of the movies' directions (vectors of length 1; rows of raters where
    a model has none), centred. Each axis points to where most of it lies, so that the same
    version gives the same map.
    """
    order = np.argsort(-version.popularity, kind="stable")[:most]
    order = order[version.likeness.known[order]]
    places, explained = _plane(version.likeness.unit[order])
    facts = [version.facts(movie) for movie in order.tolist()]
    table = pd.DataFrame(
        {
            "movie_id": [each[0] for each in facts],
            "title": [each[1] for each in facts],
            "year": [each[2] for each in facts],
            "genre": [each[3][0] if each[3] else "none" for each in facts],
            "ratings": version.popularity[order],
            "x": places[:, 0],
            "y": places[:, 1],
        }
    )
    return MovieMap(table, explained, version.likeness.basis)


def _plane(unit: FloatArray | sparse.csr_matrix) -> tuple[FloatArray, float]:
    """Return each row's place on its two principal components, (n, 2), and their share."""
    places = np.zeros((unit.shape[0], 2))
    is_dense = not sparse.issparse(unit) or min(unit.shape) <= _TOO_SMALL
    left, size, variance = _components(_dense(unit)) if is_dense else _sparse_components(unit)
    if variance < _NOTHING:  # all alike: a point holds all there is
        return places.astype(np.float32), 1.0
    places[:, : len(size)] = left * size
    places *= np.where((places**3).sum(axis=0) < 0, -1, 1)
    return places.astype(np.float32), float(min(1.0, (size**2).sum() / variance))


def _components(rows: Float64Array) -> tuple[Float64Array, Float64Array, float]:
    """Return the two first left singular vectors of centred rows, their sizes, the variance."""
    if not rows.size:
        return rows[:, :0], np.zeros(0), 0.0
    left, size, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    return left[:, :2], size[:2], float((size**2).sum())


def _sparse_components(unit: Any) -> tuple[Float64Array, Float64Array, float]:
    """Return the same of sparse rows, which stay sparse."""
    n = unit.shape[0]
    mean = np.asarray(unit.mean(axis=0)).ravel().astype(np.float64)
    variance = float(unit.multiply(unit).sum() - n * (mean @ mean))
    if variance < _NOTHING:
        return np.zeros((n, 0)), np.zeros(0), 0.0
    centred = sparse.linalg.LinearOperator(
        unit.shape,
        matvec=lambda v: unit @ v.ravel() - mean @ v.ravel(),
        rmatvec=lambda v: unit.T @ v.ravel() - mean * v.sum(),
        dtype=np.float64,
    )
    start = np.random.default_rng(0).normal(size=min(unit.shape))
    left, size, _ = svds(centred, k=2, v0=start)
    return left[:, ::-1], size[::-1], variance


def _dense(unit: Any) -> Float64Array:
    return np.asarray(unit.toarray() if sparse.issparse(unit) else unit, np.float64)
