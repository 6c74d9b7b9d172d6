"""Koren's neighbourhood model over the biases, in vectorised numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from movierec.data.dataset import FloatArray, IntArray, Interactions, RatingScale
from movierec.errors import ArtifactError
from movierec.models.protocol import Arrays
from movierec.models.serving import NamedArrays, RatingLists, floats, integers, scale_array
from movierec.models.serving import scale_from as read_scale

__all__ = ["NeighbourModel"]


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
            read_scale(arrays),
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
