"""What a user's own ratings say beyond the vectors: a Gaussian process on the residuals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from movierec.data.dataset import FloatArray, IntArray, Interactions
from movierec.errors import ArtifactError
from movierec.models.arrays import (
    Float64Array,
    NamedArrays,
    RatingLists,
    floats,
    integers,
    one_thread,
)
from movierec.models.factors import FactorModel
from movierec.models.protocol import Arrays
from movierec.models.residual_kernel import KERNEL, ResidualKernel

__all__ = ["KERNEL", "ResidualKernel", "ResidualModel", "fit_residuals", "most_ratings"]

MOST_RATINGS = 2000  # of one user, the newest: the cost grows with their cube
# of all users' covariances; two minutes or so. Beyond, fewer ratings of one user count
MOST_CELLS = 4 * 10**9
CELLS_AT_ONCE = 2**22
LINKED_AT_ONCE = 2**18  # scores whose stars are found at a time: a number per level each


@dataclass(frozen=True, eq=False)
class ResidualModel:
    """A `FactorModel` whose raw scores move by what the user's known ratings left unexplained.

    With stars(raw) the link, a known rating j of the user has the residual
    e_j = rating_j - stars(raw_j) and the sensitivity s_j = stars'(raw_j). The shift d of a raw
    score has a Gaussian process prior with covariance K, and e_j = s_j d_j + noise of variance 1,
    so that its posterior mean at a movie and a time is

        d = k^T a,    a = S (S K S + 1)^-1 e        (Rasmussen and Williams 2006, 2.25)

    with k the kernel between it and the known ratings. Without a time the prediction uses the
    taste alone, with weights of its own. A user without known ratings keeps the factors'
    prediction, and ranking is left as it is.

    Shapes:
        known: rows are users; its `rating` holds the weights `a` of the taste.
        time: (n,) seconds and timed_weight: (n,), in the order of `known`, or both empty.

    Raises:
        ArtifactError: the arrays do not fit together.

    """

    factors: FactorModel
    kernel: ResidualKernel
    known: RatingLists
    time: IntArray
    timed_weight: FloatArray
    near: FloatArray | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.time), len(self.timed_weight)}
        if len(self.known) != self.factors.n_users or sizes not in ({0}, {len(self.known.index)}):
            raise ArtifactError(
                "The residuals do not fit the model: "
                f"{len(self.known)} users for {self.factors.n_users}, {len(self.time)} times and "
                f"{len(self.timed_weight)} weights for {len(self.known.index)} ratings."
            )

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self.factors.n_users

    @property
    def n_movies(self) -> int:
        """Number of movies."""
        return self.factors.n_movies

    @property
    def movie_vectors(self) -> FloatArray:
        """The vectors movies are ranked by, see `FactorModel`."""
        return self.factors.movie_vectors

    @property
    def has_distribution(self) -> bool:
        """Whether there is a probability for every rating."""
        return self.factors.has_distribution

    @property
    def uses_timestamps(self) -> bool:
        """Whether `predict_at` knows more than `predict`."""
        return len(self.time) > 0

    def predict(self, user: IntArray, movie: IntArray) -> FloatArray:
        """Return ratings in stars for pairs, clipped to the scale, (n,) and (n,) -> (n,)."""
        return self.factors.stars(self.raw(user, movie))

    def predict_at(self, user: IntArray, movie: IntArray, timestamp: IntArray) -> FloatArray:
        """Return the stars of ratings given at these times in seconds, (n,) each -> (n,)."""
        return self.factors.stars(self.raw(user, movie, timestamp))

    def rating_distribution(
        self, user: IntArray, movie: IntArray, timestamp: IntArray | None = None
    ) -> FloatArray:
        """Return the probability of every rating, (n,) each -> (n, L); see `FactorModel`."""
        return self.factors.probabilities(self.raw(user, movie, timestamp))

    def score(self, users: IntArray) -> FloatArray:
        """Return the factors' ranking scores, (n,) -> (n, n_movies)."""
        return self.factors.score(users)

    def raw(self, user: IntArray, movie: IntArray, timestamp: IntArray | None = None) -> FloatArray:
        """Return the shifted scores before the link, (n,) each -> (n,)."""
        raw = self.factors.raw(user, movie)
        times = timestamp if self.uses_timestamps else None
        with one_thread():
            for part, rows in self._parts(user):
                raw[part] += self._shift(rows, movie[part], None if times is None else times[part])
        return raw

    def with_interactions(self, ratings: Interactions) -> ResidualModel:  # noqa: ARG002
        """Return itself: vectors are learnt, not looked up."""
        return self

    def arrays(self) -> Arrays:
        """Return name -> array, lossless; `from_arrays` reads it back."""
        return self.factors.arrays() | {
            "residual_kernel": self.kernel.numbers(),
            "residual_start": self.known.start,
            "residual_movie": self.known.index,
            "residual_weight": self.known.rating,
            "residual_time": self.time,
            "residual_timed_weight": self.timed_weight,
        }

    @classmethod
    def from_arrays(cls, arrays: NamedArrays) -> ResidualModel:
        """Bring a model back from `arrays()`; ArtifactError when one is missing or misfits."""
        factors = FactorModel.from_arrays(arrays)
        lists: Arrays = {
            "start": integers(arrays, "residual_start"),
            "index": integers(arrays, "residual_movie"),
            "rating": floats(arrays, "residual_weight"),
        }
        return cls(
            factors,
            ResidualKernel.of(arrays),
            RatingLists.from_arrays(lists, n_columns=factors.n_movies),
            integers(arrays, "residual_time"),
            floats(arrays, "residual_timed_weight"),
        )

    @cached_property
    def directions(self) -> FloatArray:
        """The movies' rating vectors, centred and of length 1, (n_movies, d)."""
        return directions(self.factors) if self.near is None else self.near

    def _parts(self, user: IntArray) -> Iterator[tuple[IntArray, slice]]:
        """Yield pairs of one user with where that user's known ratings lie, bounded in memory."""
        order = np.argsort(user, kind="stable")
        users, start = np.unique(user[order], return_index=True)
        for one, pairs in zip(users.tolist(), np.split(order, start)[1:], strict=True):
            rows = self.known.of(one)
            if rows.stop > rows.start:
                step = max(1, CELLS_AT_ONCE // (rows.stop - rows.start))
                for first in range(0, len(pairs), step):
                    yield pairs[first : first + step], rows

    def _shift(self, rows: slice, movie: IntArray, time: IntArray | None) -> Float64Array:
        near = self.directions.take(self.known.index[rows], axis=0)  # twice as fast as [...]
        cosine = self.directions[movie] @ near.T
        covariance = self.kernel.of_taste(cosine)
        if time is None:
            return np.asarray(covariance @ self.known.rating[rows])
        covariance += self.kernel.of_time(time, self.time[rows])
        return np.asarray(covariance @ self.timed_weight[rows])


def directions(factors: FactorModel) -> FloatArray:
    """Return the movies' rating vectors, centred and of length 1, (n_movies, d); 0 stays 0."""
    centred = factors.rating_movie - factors.rating_movie.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: FloatArray = (centred / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return unit


def fit_residuals(
    factors: FactorModel,
    known: Interactions,
    kernel: ResidualKernel = KERNEL,
    *,
    near: FloatArray | None = None,
    most: int | None = None,
) -> ResidualModel:
    """Solve every user's Gaussian process on the known ratings.

    `near`: the movies' `directions`, where they are at hand. Where a user has more ratings than
    `most`, by default `most_ratings` of them all, the newest count (without times, the last ones).
    Time and memory per user grow with the cube and the square of their number.
    """
    most = most_ratings(known, factors.n_users) if most is None else most
    lists, time = _newest(known, factors.n_users, most, uses_timestamps=kernel.uses_timestamps)
    model = ResidualModel(factors, kernel, lists, time, np.zeros(len(time), np.float32), near)
    with one_thread():
        weight, timed = _solved(model)
    known_weights = replace(lists, rating=weight)
    return replace(model, known=known_weights, timed_weight=timed, near=model.directions)


def most_ratings(known: Interactions, n_users: int) -> int:
    """Return how many ratings of one user count: 2,000, halved until there is time for all."""
    counts, most = np.bincount(known.user, minlength=n_users).astype(np.float64), MOST_RATINGS
    while most > 1 and (np.minimum(counts, most) ** 2).sum() > MOST_CELLS:
        most //= 2
    return most


def _solved(model: ResidualModel) -> tuple[FloatArray, FloatArray]:
    """Return the weights of every known rating, without and with its time."""
    kernel, lists, time = model.kernel, model.known, model.time
    error, slope = _unexplained(model.factors, lists)
    weight, timed = np.zeros(len(error), np.float32), np.zeros(len(time), np.float32)
    for user in np.flatnonzero(np.diff(lists.start)).tolist():
        rows = lists.of(user)
        near = model.directions[lists.index[rows]]
        covariance = kernel.of_taste(near @ near.T)
        weight[rows] = _weights(covariance, slope[rows], error[rows])
        if len(time):
            covariance += kernel.of_time(time[rows], time[rows])
            timed[rows] = _weights(covariance, slope[rows], error[rows])
    return weight, timed


def _unexplained(factors: FactorModel, lists: RatingLists) -> tuple[Float64Array, Float64Array]:
    """Return the residual and the sensitivity of every known rating."""
    raw = factors.raw(lists.rows, lists.index)
    error, slope = np.empty(len(raw)), np.empty(len(raw))
    for start in range(0, len(raw), LINKED_AT_ONCE):
        part = slice(start, start + LINKED_AT_ONCE)
        error[part] = lists.rating[part] - factors.stars(raw[part])
        slope[part] = factors.slopes(raw[part])
    return error, slope


def _newest(
    known: Interactions, n_users: int, most: int, *, uses_timestamps: bool
) -> tuple[RatingLists, IntArray]:
    """Return each user's newest ratings, oldest first, and their times; none without times."""
    time = known.timestamp
    order = np.lexsort((known.user,) if time is None else (time, known.user))
    counts = np.bincount(known.user, minlength=n_users)
    end = np.repeat(np.cumsum(counts), counts)
    kept = order[end - np.arange(len(order)) <= most]
    start = np.append(0, np.cumsum(np.minimum(counts, most)))
    lists = RatingLists(start, known.movie[kept], known.rating[kept])
    return lists, time[kept] if uses_timestamps and time is not None else np.zeros(0, np.int64)


def _weights(covariance: Float64Array, slope: Float64Array, error: Float64Array) -> Float64Array:
    seen = slope[:, None] * covariance * slope
    seen[np.diag_indices_from(seen)] += 1
    solved = cho_solve(cho_factor(seen, overwrite_a=True, check_finite=False), error)
    return np.asarray(slope * solved)
