"""Koren's neighbourhood model over the biases: fitted by Surprise, predicting in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions, RatingScale
from movierec.errors import ArtifactError, TrainingError
from movierec.models.arrays import (
    NamedArrays,
    RatingLists,
    floats,
    integers,
    scale_array,
    scale_from,
)
from movierec.models.baselines.base import BaselineKind
from movierec.models.baselines.simple import BiasesHyperparameters
from movierec.models.baselines.surprise import fitted_by_surprise
from movierec.models.fields import setting
from movierec.models.protocol import Arrays

__all__ = ["BASELINES", "NEIGHBOURS_MAX", "NearestNeighbours", "NeighbourModel"]

NEIGHBOURS_MAX = 10_000  # Surprise fills five matrices of 8 bytes a pair: 4 GB


class NeighboursHyperparameters(BiasesHyperparameters):
    """Koren's neighbourhood model with the shrunk Pearson-baseline similarity."""

    based_on: Literal["movies", "users"] = setting(
        "movies", "whose neighbours are averaged: similar movies, or similar users"
    )
    neighbours: int = setting(
        40, "most neighbours per prediction (k)", ge=1, le=10_000, search="10..120:log"
    )
    min_neighbours: int = setting(
        1, "with fewer neighbours than this, only the biases count", ge=1, le=10_000, search="1..10"
    )
    shrinkage: float = setting(
        100.0,
        "pulls similarities with few common ratings towards 0",
        ge=0,
        le=1e6,
        unit="ratings",
        search="10..500:log",
    )


@dataclass(frozen=True, eq=False)
class NeighbourModel:
    """Biases plus the deviations of the k nearest neighbours that have rated.

    With b_ui = offset + user_bias[u] + movie_bias[i] and, for similar movies,

        prediction = b_ui + sum_j s_ij (r_uj - b_uj) / sum_j s_ij

    over the at most k movies j that u rated with the largest s_ij > 0 (Koren 2010, "Factor
    in the neighbors", formula 3; Surprise's KNNBaseline). For similar users the roles of u
    and i are exchanged. Fewer than min_neighbours of them leave b_ui.

    Shapes:
        similarity: (n_movies, n_movies), or (n_users, n_users) when `by_users`;
        ratings: those of each user, or of each movie when `by_users`;
        user_bias: (n_users,); movie_bias: (n_movies,) stars.
        user_regularization: how an observed user's bias is shrunk.
    """

    similarity: FloatArray
    ratings: RatingLists
    user_bias: FloatArray
    movie_bias: FloatArray
    offset: float
    scale: RatingScale
    neighbours: int
    min_neighbours: int
    by_users: bool
    user_regularization: float

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.user_bias)

    @property
    def n_movies(self) -> int:
        """Number of movies."""
        return len(self.movie_bias)

    def predict(self, user: IntArray, movie: IntArray) -> FloatArray:
        """Return ratings in stars for pairs, clipped to the scale. Shapes: (n,), (n,) -> (n,)."""
        stars = np.float32(self.offset) + self.user_bias[user] + self.movie_bias[movie]
        similar, rater = (user, movie) if self.by_users else (movie, user)
        for one, positions in _groups(rater):
            stars[positions] += self._deviation(one, self.similarity[similar[positions]])
        return self.scale.clip(stars)

    def score(self, users: IntArray) -> FloatArray:
        """Return unclipped predictions of every movie. Shapes: users: (n,) -> (n, n_movies)."""
        scores = np.float32(self.offset) + self.user_bias[users, None] + self.movie_bias
        if self.by_users:
            rows = self.similarity[users]
            for movie in range(self.n_movies):
                scores[:, movie] += self._deviation(movie, rows)
        else:
            for row, user in enumerate(users):
                scores[row] += self._deviation(int(user), self.similarity)
        return np.asarray(scores, np.float32)

    def with_interactions(self, ratings: Interactions) -> NeighbourModel:
        """Return the model that also knows these ratings; similarities stay.

        With similar movies, the users' biases are estimated anew from all their ratings (the
        last half-step of the alternating least squares). A model of similar users knows
        nothing about a user who was not in training and returns itself.
        """
        if self.by_users:
            return self
        lists = self.ratings.extended(ratings.user, ratings.movie, ratings.rating)
        bias = self.user_bias.copy()
        for user in np.unique(ratings.user):
            own = lists.of(int(user))
            rest = lists.rating[own] - self.offset - self.movie_bias[lists.index[own]]
            bias[user] = rest.sum() / (self.user_regularization + len(rest))
        return replace(self, ratings=lists, user_bias=bias)

    def arrays(self) -> Arrays:
        """Return name -> array, lossless; `from_arrays` reads it back."""
        counts = [self.neighbours, self.min_neighbours, int(self.by_users)]
        return self.ratings.arrays() | {
            "similarity": self.similarity,
            "user_bias": self.user_bias,
            "movie_bias": self.movie_bias,
            "scale": scale_array(self.scale),
            "numbers": np.array([self.offset, self.user_regularization], np.float32),
            "counts": np.array(counts, np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: NamedArrays) -> NeighbourModel:
        """Bring a model back from `arrays()`; ArtifactError when one is missing or misfits."""
        offset, regularization = (float(x) for x in floats(arrays, "numbers", 2))
        neighbours, min_neighbours, by_users = (int(x) for x in integers(arrays, "counts", 3))
        similarity = floats(arrays, "similarity")
        model = cls(
            similarity,
            RatingLists.from_arrays(arrays, n_columns=len(similarity)),
            floats(arrays, "user_bias"),
            floats(arrays, "movie_bias"),
            offset,
            scale_from(arrays),
            neighbours,
            min_neighbours,
            bool(by_users),
            regularization,
        )
        model._check_sizes()
        return model

    def _deviation(self, rater: int, similarity: FloatArray) -> FloatArray:
        """Return the neighbours' mean deviation from the biases, one per row of similarities."""
        own = self.ratings.of(rater)
        known = self.ratings.index[own]
        rater_bias, bias = (
            (self.movie_bias[rater], self.user_bias[known])
            if self.by_users
            else (self.user_bias[rater], self.movie_bias[known])
        )
        rest = self.ratings.rating[own] - (np.float32(self.offset) + bias + rater_bias)
        weights = _nearest(similarity[:, known], self.neighbours)
        total = weights.sum(axis=1)
        enough = (total > 0) & ((weights > 0).sum(axis=1) >= self.min_neighbours)
        return np.where(enough, weights @ rest / np.where(enough, total, 1), np.float32(0))

    def _check_sizes(self) -> None:
        own, other = self.n_movies, self.n_users
        if self.by_users:
            own, other = other, own
        if self.similarity.shape != (own, own) or len(self.ratings) != other:
            raise ArtifactError(
                f"Similarities {self.similarity.shape} and {len(self.ratings)} lists of ratings "
                f"do not fit {self.n_users} users and {self.n_movies} movies."
            )


def _nearest(similarity: FloatArray, k: int) -> FloatArray:
    """Return the similarities with all but each row's k largest positive ones set to 0.

    Of equal ones the first are kept, like `heapq.nlargest` in Surprise.
    """
    positive = np.maximum(similarity, 0)
    columns = similarity.shape[1]
    if columns <= k:
        return positive
    edge = np.partition(positive, columns - k, axis=1)[:, columns - k, None]
    above, level = positive > edge, positive == edge
    room = k - above.sum(axis=1, keepdims=True)
    kept = above | (level & (np.cumsum(level, axis=1) <= room))
    return np.where(kept, positive, np.float32(0))


def _groups(values: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield each distinct value with the positions that hold it."""
    order = np.argsort(values, kind="stable")
    distinct, counts = np.unique(values, return_counts=True)
    for value, end, count in zip(distinct, np.cumsum(counts), counts, strict=True):
        yield int(value), order[end - count : end]


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
        fitted = fitted_by_surprise(self._algorithm(by_users), dataset, train)
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


def _require_pairs(size: int, by_users: bool) -> None:
    if size > NEIGHBOURS_MAX:
        kind = "users" if by_users else "movies"
        raise TrainingError(
            f"The similarities of {size:,} {kind} do not fit in memory; "
            f"the limit is {NEIGHBOURS_MAX:,}.",
            hint="Base the neighbours on the other side, or use another model.",
        )


BASELINES = (
    BaselineKind(
        "knn",
        "kNN-Baseline",
        "Biases plus what the user gave to the most similar movies (Surprise).",
        NeighboursHyperparameters,
        NearestNeighbours,
        NeighbourModel.from_arrays,
        predicts_ratings=True,
        tuned={"neighbours": 65, "min_neighbours": 8, "shrinkage": 350.0},
    ),
)
