"""A map of the movies: a version's vectors on a plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import svds

from movierec.data.dataset import FloatArray
from movierec.inference.results import SimilarityBasis
from movierec.inference.serving import LoadedVersion

__all__ = ["MovieMap", "movie_map"]

MOST = 2000  # movies drawn: more than these no screen tells apart


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


def _plane(unit: Any) -> tuple[FloatArray, float]:
    """Return each row's place on its two principal components, (n, 2), and their share."""
    n = unit.shape[0]
    if n < 4 or unit.shape[1] < 3:
        dense = unit.toarray() if sparse.issparse(unit) else np.asarray(unit)
        places = np.zeros((n, 2), np.float32)
        places[:, : dense.shape[1]] = dense[:, :2]
        return places, 1.0
    mean = np.asarray(unit.mean(axis=0)).ravel().astype(np.float64)
    ones = np.ones(n)
    centred = sparse.linalg.LinearOperator(
        unit.shape,
        matvec=lambda v: unit @ v.ravel() - ones * (mean @ v.ravel()),
        rmatvec=lambda v: unit.T @ v.ravel() - mean * v.sum(),
        dtype=np.float64,
    )
    start = np.random.default_rng(0).normal(size=min(unit.shape))
    left, size, _ = svds(centred, k=2, v0=start)
    places = left[:, ::-1] * size[::-1]
    places = places * np.sign((places**3).sum(axis=0) + 1e-12)
    squares = unit.multiply(unit).sum() if sparse.issparse(unit) else np.square(unit).sum()
    variance = float(squares - n * (mean @ mean))
    return places.astype(np.float32), float((size**2).sum() / max(variance, 1e-12))
