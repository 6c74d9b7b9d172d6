"""The serving form of every model whose score is a product of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import expit

from movierec.data.dataset import FloatArray, IntArray, Interactions, RatingScale
from movierec.errors import ArtifactError, EvaluationError
from movierec.models.arrays import (
    NamedArrays,
    floats,
    integers,
    read_only,
    scale_array,
    scale_from,
)
from movierec.models.protocol import Arrays

__all__ = ["FactorModel", "Link"]

Link: TypeAlias = Literal["identity", "ordinal"]

PREDICT_BLOCK = 65_536  # pairs at a time: 2 x 17 MB of gathered rows at 64 dimensions
_ARRAY_FIELDS = (
    "rating_user",
    "rating_movie",
    "rating_user_bias",
    "rating_movie_bias",
    "cut_points",
    "ranking_user",
    "ranking_movie",
    "ranking_movie_bias",
)
_CALIBRATION = "calibration"  # absent from versions kept before there was one


def _no_vectors() -> FloatArray:
    return np.zeros((0, 0), np.float32)


def _no_values() -> FloatArray:
    return np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class FactorModel:
    """A recommender made of plain float32 arrays: no torch, no database.

    Two sides, each optional. The rating side gives

        raw = offset + user_bias[u] + movie_bias[i] + <rating_user[u], rating_movie[i]>

    and a link makes stars of it. Without cut points the link is the identity: raw is in
    stars. With cut points c_1 <= ... <= c_{L-1} it is ordinal (McCullagh 1980, the
    proportional-odds model): P(rating > level_k) = sigmoid(slope * raw - c_k), and the
    prediction is the expected rating, low + step * sum_k P(rating > level_k). Either way
    the prediction is clipped to the scale.

    The ranking side gives <ranking_user[u], ranking_movie[i]> + ranking_movie_bias[i].
    Without it movies are ranked by raw; without a rating side predictions are NaN.

    `calibration` replaces the slope and the cut points, but only in `rating_distribution`: the
    predictions are what training chose, the probabilities what held-out ratings bore out. The
    mean of a calibrated distribution may therefore differ a little from the prediction.

    Shapes:
        rating_user, ranking_user: (n_users, d); rating_movie, ranking_movie: (n_movies, d),
        where d may differ between the sides and may be 0; a side is absent when its user
        array has no rows. Biases: (n_users,) or (n_movies,), or empty for none.
        cut_points: (L - 1,) for L levels on the scale, or empty.
        calibration: (L,), the slope and then the cut points, or empty for none; see
            `models.calibration`.

    Raises:
        ArtifactError: an array does not fit the sizes, or the cut points decrease.

    """

    n_users: int
    n_movies: int
    scale: RatingScale
    rating_user: FloatArray = field(default_factory=_no_vectors)
    rating_movie: FloatArray = field(default_factory=_no_vectors)
    rating_user_bias: FloatArray = field(default_factory=_no_values)
    rating_movie_bias: FloatArray = field(default_factory=_no_values)
    offset: float = 0.0
    cut_points: FloatArray = field(default_factory=_no_values)
    slope: float = 1.0
    ranking_user: FloatArray = field(default_factory=_no_vectors)
    ranking_movie: FloatArray = field(default_factory=_no_vectors)
    ranking_movie_bias: FloatArray = field(default_factory=_no_values)
    calibration: FloatArray = field(default_factory=_no_values)

    def __post_init__(self) -> None:
        for name in (*_ARRAY_FIELDS, _CALIBRATION):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        for name in ("offset", "slope"):  # as they are stored, so that a round trip is lossless
            object.__setattr__(self, name, float(np.float32(getattr(self, name))))
        for side in ("rating", "ranking"):
            self._check_vectors(side)
        self._check_biases()
        self._check_cut_points("cut points", self.cut_points)
        self._check_calibration()

    @property
    def predicts_ratings(self) -> bool:
        """Whether there is a rating side."""
        return len(self.rating_user) > 0

    @property
    def has_ranking_side(self) -> bool:
        """Whether movies are ranked by vectors or biases of their own."""
        return len(self.ranking_user) > 0

    @property
    def link(self) -> Link:
        """How the raw score becomes stars."""
        return "ordinal" if len(self.cut_points) else "identity"

    @property
    def has_distribution(self) -> bool:
        """Whether there is a probability for every rating, not only an expected rating."""
        return self.predicts_ratings and self.link == "ordinal"

    @property
    def movie_vectors(self) -> FloatArray:
        """The vectors movies are ranked by, (n_movies, d); d is 0 where a model has none."""
        return self.ranking_movie if self.has_ranking_side else self.rating_movie

    def predict(self, user: IntArray, movie: IntArray) -> FloatArray:
        """Return ratings in stars for pairs, clipped to the scale; NaN without a rating side.

        Shapes: user, movie: (n,) -> (n,).
        """
        if not self.predicts_ratings:
            return np.full(len(user), np.nan, np.float32)
        return self.stars(self.raw(user, movie))

    def score(self, users: IntArray) -> FloatArray:
        """Return ranking scores of every movie, higher is better; unclipped.

        Shapes: users: (n,) -> (n, n_movies).
        """
        if self.has_ranking_side:
            scores = self.ranking_user[users] @ self.ranking_movie.T
            return _add(scores, self.ranking_movie_bias)
        scores = self.rating_user[users] @ self.rating_movie.T + np.float32(self.offset)
        if len(self.rating_user_bias):
            scores += self.rating_user_bias[users, None]
        return _add(scores, self.rating_movie_bias)

    def raw(self, user: IntArray, movie: IntArray) -> FloatArray:
        """Return the rating side's scores before the link, (n,) and (n,) -> (n,)."""
        raw = np.full(len(user), self.offset, np.float32)
        for part in _blocks(len(user)):
            u, i = user[part], movie[part]
            raw[part] += np.einsum("nd,nd->n", self.rating_user[u], self.rating_movie[i])
        if len(self.rating_user_bias):
            raw += self.rating_user_bias[user]
        if len(self.rating_movie_bias):
            raw += self.rating_movie_bias[movie]
        return raw

    def rating_distribution(self, user: IntArray, movie: IntArray) -> FloatArray:
        """Return the probability of every rating on the scale, lowest first; calibrated if it is.

        Shapes: user, movie: (n,) -> (n, L); rows sum to 1.

        Raises:
            EvaluationError: the link is not ordinal, so there are no probabilities.

        """
        return self.probabilities(self.raw(user, movie))

    def stars(self, raw: FloatArray) -> FloatArray:
        """Return the ratings in stars of scores before the link, clipped, (n,) -> (n,)."""
        return self.scale.clip(self.unclipped(raw))

    def slopes(self, raw: FloatArray) -> FloatArray:
        """Return the derivative of the stars by the score before the link, unclipped, (n,)."""
        if self.link == "identity":
            return np.ones_like(raw)
        above = _above(raw, self.slope, self.cut_points)
        return np.asarray(self.scale.step * self.slope * (above * (1 - above)).sum(axis=1))

    def probabilities(self, raw: FloatArray) -> FloatArray:
        """Return `rating_distribution` of scores before the link, (n,) -> (n, L)."""
        if not self.has_distribution:
            raise EvaluationError(
                "This model predicts a rating, not a distribution over ratings.",
                hint="Use a version trained with --loss-type ordinal.",
            )
        slope, cuts = self.slope, self.cut_points
        if len(self.calibration):
            slope, cuts = float(self.calibration[0]), self.calibration[1:]
        above = _above(raw, slope, cuts)
        one, zero = np.ones((len(above), 1)), np.zeros((len(above), 1))
        edges = np.concatenate([one, above, zero], axis=1)
        return np.asarray(edges[:, :-1] - edges[:, 1:], np.float32)

    def with_interactions(self, ratings: Interactions) -> FactorModel:  # noqa: ARG002 - the protocol's name
        """Return itself: vectors are learnt, not looked up."""
        return self

    def arrays(self) -> Arrays:
        """Return name -> array, lossless; `from_arrays` reads it back."""
        scalars: Arrays = {
            "shape": np.array([self.n_users, self.n_movies], np.int64),
            "scale": scale_array(self.scale),
            "offset": np.array([self.offset], np.float32),
            "slope": np.array([self.slope], np.float32),
        }
        names = (*_ARRAY_FIELDS, *([_CALIBRATION] if len(self.calibration) else []))
        return scalars | {name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: NamedArrays) -> FactorModel:
        """Bring a model back from `arrays()`.

        Raises:
            ArtifactError: an array is missing or does not fit the others.

        """
        n_users, n_movies = integers(arrays, "shape", 2)
        names = (*_ARRAY_FIELDS, *([_CALIBRATION] if _CALIBRATION in arrays else []))
        return cls(
            int(n_users),
            int(n_movies),
            scale_from(arrays),
            offset=float(floats(arrays, "offset", 1)[0]),
            slope=float(floats(arrays, "slope", 1)[0]),
            **{name: floats(arrays, name) for name in names},
        )

    def unclipped(self, raw: FloatArray) -> FloatArray:
        """Return the stars of scores before the link, (n,), beyond the scale too."""
        if self.link == "identity":
            return raw
        above = _above(raw, self.slope, self.cut_points)
        return np.asarray(self.scale.low + self.scale.step * above.sum(axis=1))

    def _check_vectors(self, side: str) -> None:
        user, movie = getattr(self, f"{side}_user"), getattr(self, f"{side}_movie")
        if not len(user) and not len(movie):
            return
        if user.ndim != 2 or movie.ndim != 2 or user.shape[1] != movie.shape[1]:
            raise ArtifactError(
                f"The {side} vectors do not fit together: users {user.shape}, movies {movie.shape}."
            )
        if (len(user), len(movie)) != (self.n_users, self.n_movies):
            raise ArtifactError(
                f"There are {side} vectors of {len(user)} users and {len(movie)} movies "
                f"for {self.n_users} users and {self.n_movies} movies."
            )

    def _check_biases(self) -> None:
        sizes = {
            "rating_user_bias": self.n_users,
            "rating_movie_bias": self.n_movies,
            "ranking_movie_bias": self.n_movies,
        }
        for name, size in sizes.items():
            shape = getattr(self, name).shape
            if shape not in ((0,), (size,)):
                raise ArtifactError(f"{name} has the shape {shape} instead of ({size},).")

    def _check_cut_points(self, name: str, cuts: FloatArray) -> None:
        expected = len(self.scale.levels) - 1
        if len(cuts) not in (0, expected):
            raise ArtifactError(
                f"There are {len(cuts)} {name} for {expected + 1} rating levels, not {expected}."
            )
        if (np.diff(cuts) < 0).any():
            raise ArtifactError(f"The {name} decrease, so a probability would be negative.")

    def _check_calibration(self) -> None:
        if not len(self.calibration):
            return
        if self.link != "ordinal":
            raise ArtifactError("There is a calibration without cut points to replace.")
        shape, expected = self.calibration.shape, len(self.cut_points) + 1
        if shape != (expected,) or not np.isfinite(self.calibration).all():
            raise ArtifactError(
                f"The calibration must be {expected} finite numbers; it has the shape {shape}."
            )
        self._check_cut_points("calibrated cut points", self.calibration[1:])


def _above(raw: FloatArray, slope: float, cuts: FloatArray) -> FloatArray:
    """Return P(rating > level_k) for every level but the highest, (n, L - 1)."""
    above: FloatArray = expit(np.float32(slope) * raw[:, None] - cuts)
    return above


def _add(scores: FloatArray, bias: FloatArray) -> FloatArray:
    if len(bias):
        scores += bias
    return scores


def _blocks(size: int) -> Iterator[slice]:
    for start in range(0, size, PREDICT_BLOCK):
        yield slice(start, start + PREDICT_BLOCK)
