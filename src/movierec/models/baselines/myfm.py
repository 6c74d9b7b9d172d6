"""The Bayesian factorization machine that the package myfm fits, kept as a table of ratings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from movierec.columns import Columns
from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions, RatingScale
from movierec.errors import ArtifactError, TrainingError
from movierec.models.arrays import (
    NamedArrays,
    floats,
    read_only,
    require_ratings,
    scale_array,
    scale_from,
)
from movierec.models.baselines.base import BaselineHyperparameters, BaselineKind, bench_module
from movierec.models.fields import setting
from movierec.models.protocol import Arrays

__all__ = ["BASELINES", "MyFM", "RatingTable"]

TABLE_MAX_CELLS = 100_000_000  # 4 bytes each: 400 MB
YEARS = 5  # width of the bands of ages and of release years; myFM's own examples use it for ages


class MyFMHyperparameters(BaselineHyperparameters):
    """Defaults are the best found on the validation part of `random` (docs/PEERS.md)."""

    factors: int = setting(
        9, "length of the vectors (rank)", ge=1, le=1000, unit="numbers", search="4..32:log"
    )
    samples: int = setting(
        300,
        "Gibbs samples that are averaged",
        ge=1,
        le=10_000,
        unit="draws",
        search="100..1000:log",
    )
    burn_in: int = setting(20, "samples that are drawn and left out", ge=0, le=10_000, unit="draws")


@dataclass(frozen=True)
class MyFM:
    """Factorization machine (Rendle 2010) averaged over Gibbs samples, with side information.

    A user is described by id, age band, gender, occupation, first character of the zip code and
    the rated movies; a movie by id, year band, genres and the users who rated it. Every kind of
    description has priors of its own. (After examples/ml-100k-extended.ipynb and
    ml-1m-extended.ipynb of myFM, without the date of the rating, which nobody knows when movies
    are recommended.)

    The mean of many samples' products is no product, so the predictions for all pairs are kept.
    """

    hyperparameters: MyFMHyperparameters = field(default_factory=MyFMHyperparameters)

    def fit(self, dataset: Dataset, train: Interactions, *, seed: int) -> RatingTable:
        """Fit on the training part; the seed draws every sample.

        Raises:
            EmptyDataError: there are no training ratings.
            TrainingError: myfm is not installed, or the table would be too large.

        """
        require_ratings(train)
        _require_table_size(dataset.n_users, dataset.n_movies)
        users, movies = _sides(dataset, train)
        kept = _Samples(users.matrix, movies.matrix, self.hyperparameters.burn_in)
        self._run(train, users, movies, kept, seed)
        return RatingTable(kept.mean_rating(), dataset.scale)

    def _run(
        self, train: Interactions, users: _Side, movies: _Side, kept: _Samples, seed: int
    ) -> None:
        myfm = _quiet_myfm()
        # relation blocks: each user and movie is described once, not with every rating
        blocks = [
            myfm.RelationBlock(train.user.tolist(), users.matrix),
            myfm.RelationBlock(train.movie.tolist(), movies.matrix),
        ]
        myfm.MyFMGibbsRegressor(rank=self.hyperparameters.factors, random_seed=seed).fit(
            None,
            train.rating.astype(np.float64),
            X_rel=blocks,
            n_iter=self.hyperparameters.burn_in + self.hyperparameters.samples,
            n_kept_samples=1,  # `kept` has them all, in a smaller form
            group_shapes=[*users.sizes, *movies.sizes],
            callback=kept.add,
        )


@dataclass(frozen=True)
class _Side:
    """Descriptions of all users, or of all movies, side by side."""

    matrix: sparse.csr_matrix
    sizes: Sequence[int]  # columns of each kind of description

    @classmethod
    def of(cls, blocks: Sequence[sparse.csr_matrix]) -> _Side:
        known = [block for block in blocks if block.shape[1]]  # myfm refuses an empty group
        return cls(sparse.hstack(known, format="csr"), [block.shape[1] for block in known])


@dataclass
class _Samples:
    """Every sample's scores, split into a user's share, a movie's share and vectors.

    A factorization machine's score of a user and a movie is
    w0 + f(user) + f(movie) + <V^T x_user, V^T x_movie>, where f holds the linear terms and the
    products within one side.
    """

    users: sparse.csr_matrix
    movies: sparse.csr_matrix
    burn_in: int
    offsets: list[float] = field(default_factory=list)
    user: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)
    movie: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)

    def add(self, iteration: int, machine: Any, *_: Any) -> tuple[bool, None]:
        """Keep one sample; myfm's callback, which returns whether to stop and a text to show."""
        if iteration >= self.burn_in:
            n, linear, vectors = self.users.shape[1], np.asarray(machine.w), np.asarray(machine.V)
            self.offsets.append(machine.w0)
            self.user.append(_share(self.users, linear[:n], vectors[:n]))
            self.movie.append(_share(self.movies, linear[n:], vectors[n:]))
        return False, None

    def mean_rating(self) -> FloatArray:
        """Return the mean of the samples' scores, (n_users, n_movies)."""
        user, movie = (np.concatenate([v for _, v in side], axis=1) for side in self._both)
        user_bias, movie_bias = (np.mean([b for b, _ in side], axis=0) for side in self._both)
        mean = (user / np.float32(len(self.offsets))) @ movie.T
        mean += user_bias[:, None] + np.float32(np.mean(self.offsets))
        mean += movie_bias
        return np.asarray(mean, np.float32)

    @property
    def _both(self) -> tuple[list[tuple[FloatArray, FloatArray]], ...]:
        return self.user, self.movie


def _share(
    side: sparse.csr_matrix, linear: FloatArray, vectors: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return f(x) and V^T x of every row, (n,) and (n, d); Rendle 2010, equation 5 for f."""
    summed = side @ vectors
    squares = side.multiply(side) @ (vectors**2)
    own = side @ linear + 0.5 * (summed**2 - squares).sum(axis=1)
    return own.astype(np.float32), summed.astype(np.float32)


def _sides(dataset: Dataset, train: Interactions) -> tuple[_Side, _Side]:
    rated = train.matrix(dataset.n_users, dataset.n_movies).astype(np.float64)
    rated.data = np.ones_like(rated.data)
    people, films = dataset.user_frame, dataset.movie_frame
    users = [
        *_ids_and_rated(rated),
        _one_hot(people, Columns.AGE, _band),
        _one_hot(people, Columns.GENDER),
        _one_hot(people, Columns.OCCUPATION),
        _one_hot(people, Columns.ZIP_CODE, lambda codes: codes.astype("string").str[0]),
    ]
    genres = sparse.csr_matrix(dataset.genre_matrix.astype(np.float64))
    movies = [*_ids_and_rated(rated.T.tocsr()), _one_hot(films, Columns.YEAR, _band), genres]
    return _Side.of(users), _Side.of(movies)


def _ids_and_rated(rated: sparse.csr_matrix) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return the one-hot ids of a side, and its other side's ids shrunk as in SVD++.

    A row without a rating has no id: its weights would be draws from the prior.
    """
    counts = np.diff(rated.indptr)
    ids = sparse.diags((counts > 0).astype(np.float64), format="csr")
    ids.eliminate_zeros()
    return ids, sparse.diags(1 / np.sqrt(np.maximum(counts, 1)), format="csr") @ rated


def _one_hot(
    frame: pd.DataFrame, name: str, read: Callable[[pd.Series], pd.Series] = lambda column: column
) -> sparse.csr_matrix:
    """Return a column as one-hot rows; no columns where the source has none of it."""
    if name not in frame:
        return sparse.csr_matrix((len(frame), 0))
    return sparse.csr_matrix(pd.get_dummies(read(frame[name])).to_numpy(np.float64))


def _band(values: pd.Series) -> pd.Series:
    return pd.to_numeric(values, errors="coerce") // YEARS


def _quiet_myfm() -> Any:
    """Return myfm without the progress bar it draws for every fit."""
    base: Any = bench_module("myfm.base")
    base.tqdm = partial(bench_module("tqdm").tqdm, disable=True)
    return bench_module("myfm")


@dataclass(frozen=True, eq=False)
class RatingTable:
    """A predicted rating for every user and movie. Ranks by the same numbers, unclipped.

    Shapes:
        stars: (n_users, n_movies) float32.

    Raises:
        ArtifactError: the table has no two dimensions.

    """

    stars: FloatArray
    scale: RatingScale

    def __post_init__(self) -> None:
        if self.stars.ndim != 2:
            raise ArtifactError(
                f"The table of ratings has the shape {self.stars.shape}, not (users, movies)."
            )
        object.__setattr__(self, "stars", read_only(self.stars))

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.stars)

    @property
    def n_movies(self) -> int:
        """Number of movies."""
        return int(self.stars.shape[1])

    def predict(self, user: IntArray, movie: IntArray) -> FloatArray:
        """Return ratings in stars, clipped to the scale. Shapes: (n,), (n,) -> (n,)."""
        return self.scale.clip(self.stars[user, movie])

    def score(self, users: IntArray) -> FloatArray:
        """Return every movie's predicted rating, unclipped. Shapes: (n,) -> (n, n_movies)."""
        return self.stars[users]

    def with_interactions(self, ratings: Interactions) -> RatingTable:  # noqa: ARG002
        """Return itself: predictions are looked up."""
        return self

    def arrays(self) -> Arrays:
        """Return name -> array, lossless; `from_arrays` reads it back."""
        return {"stars": self.stars, "scale": scale_array(self.scale)}

    @classmethod
    def from_arrays(cls, arrays: NamedArrays) -> RatingTable:
        """Bring a model back from `arrays()`; ArtifactError when one is missing or misfits."""
        return cls(floats(arrays, "stars"), scale_from(arrays))


def _require_table_size(n_users: int, n_movies: int) -> None:
    """Raise TrainingError when a table would have more than TABLE_MAX_CELLS cells."""
    if n_users * n_movies > TABLE_MAX_CELLS:
        raise TrainingError(
            f"A table of {n_users:,} users and {n_movies:,} movies has "
            f"{n_users * n_movies:,} cells; the limit is {TABLE_MAX_CELLS:,}.",
            hint="Use a smaller data set or another model.",
        )


BASELINES = (
    BaselineKind(
        "myfm",
        "myFM",
        "Bayesian factorization machine with all side information (myfm).",
        MyFMHyperparameters,
        MyFM,
        RatingTable.from_arrays,
        predicts_ratings=True,
    ),
)
