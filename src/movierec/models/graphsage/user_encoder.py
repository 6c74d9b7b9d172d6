"""A GraphSAGE's users without torch: anybody's vectors from their ratings and features.

A user's state at a layer comes from their own state and from what they hear of the movies they
rated. With the movies' states kept, the user's half of the network is a handful of products over
that user's ratings alone (Hamilton, Ying and Leskovec, 2017, arXiv:1706.02216, section 3.1: the
embeddings of nodes that training never saw). For a user of the graph it gives the vectors that the
whole forward pass gives; a newcomer hears the movies, and the movies have not heard the newcomer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from movierec.data.arrays import steps
from movierec.data.dataset import FloatArray, IntArray, Interactions
from movierec.errors import ArtifactError
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.protocol import Arrays
from movierec.models.serving import NamedArrays, floats

if TYPE_CHECKING:
    from movierec.models.graphsage.network import GraphSage, NodeStates

__all__ = ["Ratings", "UserEncoder", "UserVectors", "newest_ratings", "user_encoder_arrays"]

Float64Array = npt.NDArray[np.float64]

PREFIX = "inductive"
# as in models.context, models.aggregators and torch's layers
LOG_DEGREE_SCALE = 5.0
NEWEST_SHARE = 0.1
POWER, POWER_RANGE = 2.0, (1e-4, 100.0)
LOWEST_EXPONENT = -80.0
SMALLEST_VARIANCE = 1e-5
NORM_EPSILON = 1e-5
_USER_PARTS = ("user_input", "user_layers", "rating_head", "ranking_head")
_MOVIE_ONLY = ("movie", "movie_bias")


@dataclass(frozen=True, eq=False)
class Ratings:
    """What one user rated.

    Shapes: movie: (n,) indices; stars: (n,); is_newest: (n,) whether a rating is among the newest
    tenth of all; all of a newcomer's are.
    """

    movie: IntArray
    stars: FloatArray
    is_newest: npt.NDArray[np.bool_]

    @classmethod
    def new(cls, movie: IntArray, stars: FloatArray) -> Ratings:
        """Return ratings given now."""
        return cls(movie, stars, np.ones(len(movie), np.bool_))

    def __len__(self) -> int:
        return len(self.movie)


@dataclass(frozen=True, eq=False)
class UserVectors:
    """A user's rows of a `FactorModel`, one for each variant of their ratings.

    Shapes: rating, ranking: (n, d), d may differ, no columns where a side is absent;
    rating_bias: (n,) stars.
    """

    rating: FloatArray
    rating_bias: FloatArray
    ranking: FloatArray


@dataclass(frozen=True, eq=False)
class _Variants:
    """A user's ratings, or all the ways to leave one of them out, as sums over the ratings."""

    ratings: Ratings
    leaving: bool

    def sum(self, values: npt.NDArray[Any]) -> Float64Array:
        """Return the sum over the ratings of each variant, (n, d) -> (1 or n, d)."""
        total: Float64Array = values.sum(axis=0, dtype=np.float64, keepdims=True)
        return total - values if self.leaving else total

    def max(self, values: Float64Array) -> Float64Array:
        """Return the maximum over the ratings of each variant; 0 without ratings."""
        if len(values) <= self.leaving:
            return np.zeros((1, values.shape[1]))
        if not self.leaving:
            return np.asarray(values.max(axis=0, keepdims=True))
        second, first = np.sort(values, axis=0)[-2:]
        # of equal largest values one stays, so that second is the same
        return np.asarray(np.where(values == first, second, first))

    @property
    def count(self) -> Float64Array:
        """Number of ratings in each variant, (1 or n, 1)."""
        return self.sum(np.ones((len(self.ratings), 1)))


@dataclass(frozen=True, eq=False)
class _Member:
    """The user's half of one network."""

    config: SageHyperparameters
    weights: Mapping[str, FloatArray]
    sent: FloatArray  # (num_layers, n_movies, d)

    def vectors(
        self, features: FloatArray, left: Float64Array, variants: _Variants, newest: float
    ) -> UserVectors:
        """Return the vectors; `left`: (n,) stars over the mean and the movie's bias."""
        config = self.config
        bias = variants.sum(left[:, None]) / np.maximum(variants.count + config.shrinkage, 1)
        states = [self._input(features)]
        for depth in range(config.num_layers):
            state = self._layer(depth, states[-1], left, bias, variants, newest)
            if depth < config.num_layers - 1 or config.head == "projection":
                state = np.maximum(state, 0)
            states.append(state)
        kept = states if config.readout == "all" else states[-1:]
        rows = max(len(state) for state in kept)
        joined = np.concatenate([np.broadcast_to(s, (rows, s.shape[1])) for s in kept], axis=1)
        return self._heads(joined, bias[:, 0])

    def _input(self, features: FloatArray) -> Float64Array:
        state = np.maximum(self._linear("user_input.0", features.astype(np.float64)), 0)
        if self.config.feature_layers == 2:
            state = self._linear("user_input.2", state)
        return state

    def _layer(
        self,
        depth: int,
        own: Float64Array,
        left: Float64Array,
        bias: Float64Array,
        variants: _Variants,
        newest: float,
    ) -> Float64Array:
        config, name = self.config, f"user_layers.{depth}"
        sent = self.sent[depth]
        heard = sent[variants.ratings.movie].astype(np.float64)
        messages = [_AGGREGATORS[a](variants, heard, sent) for a in config.aggregators]
        if config.messages == "rating":
            # residuals are left - bias, and the bias differs between the variants
            total = variants.sum(left[:, None] * heard) - bias * variants.sum(heard)
            spread = np.maximum(variants.count, 1) ** config.liking_exponent
            messages += [total / spread, bias, np.log1p(variants.count) / LOG_DEGREE_SCALE]
            if config.uses_trend:
                is_newest = variants.ratings.is_newest[:, None].astype(np.float64)
                messages.append(np.log1p(variants.sum(is_newest) * newest))
        joined = np.concatenate(messages, axis=1)
        update = self._linear(f"{name}.neighbour", joined) + self._linear(f"{name}.own", own)
        return self._normal(f"{name}.norm", update)

    def _heads(self, states: Float64Array, bias: Float64Array) -> UserVectors:
        none, zero = np.zeros((len(states), 0), np.float32), np.zeros(len(states), np.float32)
        ranking = none
        if self.config.ranks:
            ranking = self._head("ranking_head", states)
        if self.config.ranks_only:
            return UserVectors(none, zero, ranking)
        rating = self._head("rating_head", states)
        if self.config.head == "projection":
            own = self._linear("rating_head.user_bias", states)[:, 0]
            zero = (own + self.weights["rating_head.trust"][0] * bias).astype(np.float32)
        return UserVectors(rating, zero, ranking)

    def _head(self, name: str, states: Float64Array) -> FloatArray:
        if self.config.head == "dot":
            return states.astype(np.float32)
        vectors = self._linear(f"{name}.user", states)
        return np.asarray(vectors * vectors.shape[1] ** -0.5, np.float32)

    def _linear(self, name: str, x: Float64Array) -> Float64Array:
        product = x @ self.weights[f"{name}.weight"].T
        bias = self.weights.get(f"{name}.bias")
        return np.asarray(product if bias is None else product + bias)

    def _normal(self, name: str, x: Float64Array) -> Float64Array:
        if self.config.normalisation == "none":
            return x
        centred = x - x.mean(axis=1, keepdims=True)
        unit = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + NORM_EPSILON)
        return np.asarray(unit * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"])


@dataclass(frozen=True, eq=False)
class UserEncoder:
    """The user's half of a version's network or networks.

    `movie_bias`: (n_movies,) shrunk biases in stars of the graph; `newest`: what a count of
    newest ratings is multiplied by to compare it with all users'.
    """

    members: tuple[_Member, ...]
    mean_rating: float
    movie_bias: Float64Array
    newest: float

    @classmethod
    def of(
        cls,
        arrays: NamedArrays,
        metadata: Mapping[str, Any],
        known: Interactions,
        sizes: tuple[int, int],
    ) -> UserEncoder | None:
        """Bring it back from a version's arrays; None for versions kept without.

        `known`: the ratings in the graph; `sizes`: numbers of users and movies.

        Raises:
            ArtifactError: the arrays and the metadata do not fit together.

        """
        if f"{PREFIX}0_sent" not in arrays:
            return None
        try:
            config = SageHyperparameters(**metadata["hyperparameters"])
            mean, count = float(metadata["mean_rating"]), int(metadata.get("members", 1))
            members = tuple(_member(arrays, place, config) for place in range(count))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"What a version keeps for newcomers does not fit its metadata: {error}.",
                hint="Restore the version from a backup, or train again.",
            ) from error
        n_users, n_movies = sizes
        newest = n_newest(known) if config.uses_trend else 0
        bias = _shrunk_biases(known, mean, config.shrinkage, n_movies)
        return cls(members, mean, bias, n_users / max(newest, 1))

    @property
    def uses_trend(self) -> bool:
        """Whether it matters which ratings are the newest."""
        return self.members[0].config.uses_trend

    def vectors(
        self, ratings: Ratings, features: FloatArray, *, leave_out: bool = False
    ) -> UserVectors:
        """Return a user's vectors from their ratings and features, (1, n_features).

        With `leave_out` there is one row per rating: the vectors without it, exactly.
        """
        left = ratings.stars.astype(np.float64) - self.mean_rating - self.movie_bias[ratings.movie]
        variants = _Variants(ratings, leave_out)
        found = [each.vectors(features, left, variants, self.newest) for each in self.members]
        rating = np.concatenate([each.rating for each in found], axis=1)
        ranking = np.concatenate([each.ranking for each in found], axis=1)
        bias = np.mean([each.rating_bias for each in found], axis=0)
        return UserVectors(
            np.asarray(rating / len(found), np.float32),
            np.asarray(bias, np.float32),
            np.asarray(ranking / len(found), np.float32),
        )


def user_encoder_arrays(place: int, model: GraphSage, states: NodeStates) -> Arrays:
    """Return what `UserEncoder.of` needs of one network, from its states over the whole graph."""
    import torch

    sent = torch.stack(states.sent) if states.sent else torch.zeros(0, len(states.movie), 0)
    weights = {
        name: weight.float().cpu().numpy()
        for name, weight in model.state_dict().items()
        if (parts := name.split("."))[0] in _USER_PARTS and parts[1] not in _MOVIE_ONLY
    }
    shapes = [(*weight.shape, 0)[:2] for weight in weights.values()]
    start = f"{PREFIX}{place}_"
    return {
        f"{start}sent": sent.float().cpu().numpy(),
        f"{start}names": np.array([*weights]),
        f"{start}shapes": np.array(shapes, np.int64),
        f"{start}weights": np.concatenate([weight.ravel() for weight in weights.values()]),
    }


def newest_ratings(known: Interactions) -> npt.NDArray[np.bool_]:
    """Return which ratings are the newest tenth, (n,), as `models.context` has it."""
    times, n = known.timestamp, len(known)
    if times is None or not n:
        return np.ones(n, np.bool_)
    count = n_newest(known)
    cut = np.partition(times, n - count)[n - count]
    newest = np.asarray(times > cut)
    # of ratings given at the very time of the cut those of the last users count, then movies
    tied = np.flatnonzero(times == cut)
    tied = tied[np.lexsort((known.movie[tied], known.user[tied]))]
    newest[tied[len(tied) - (count - int(newest.sum())) :]] = True
    return newest


def n_newest(known: Interactions) -> int:
    """Return how many `newest_ratings` there are."""
    n = len(known)
    if known.timestamp is None or not n:
        return n
    return n - min(int(n * (1 - NEWEST_SHARE)) + 1, n) + 1


def _member(arrays: NamedArrays, place: int, config: SageHyperparameters) -> _Member:
    start = f"{PREFIX}{place}_"
    sent, flat = floats(arrays, f"{start}sent"), floats(arrays, f"{start}weights")
    names, shapes = arrays[f"{start}names"].tolist(), arrays[f"{start}shapes"].tolist()
    if sent.ndim != 3 or len(sent) != config.num_layers:
        raise ValueError(f"{start}sent has the shape {sent.shape}")
    sizes = [rows * (columns or 1) for rows, columns in shapes]
    if sum(sizes) != len(flat) or len(names) != len(shapes):
        raise ValueError(f"{start}weights has {len(flat)} numbers, not {sum(sizes)}")
    weights = {
        name: part.reshape(shape if shape[1] else shape[:1])
        for name, shape, part in zip(
            names, shapes, np.split(flat, np.cumsum(sizes)[:-1]), strict=True
        )
    }
    return _Member(config, weights, sent)


def _shrunk_biases(
    known: Interactions, mean: float, shrinkage: float, n_movies: int
) -> Float64Array:
    total, count = np.zeros(n_movies), known.grouped("movie", n_movies).counts
    for step in steps(len(known)):
        left = known.rating[step].astype(np.float64) - mean
        total += np.bincount(known.movie[step], left, n_movies)
    return np.asarray(total / np.maximum(count + shrinkage, 1))


def _sum(variants: _Variants, heard: Float64Array, sent: FloatArray) -> Float64Array:  # noqa: ARG001
    return variants.sum(heard)


def _mean(variants: _Variants, heard: Float64Array, sent: FloatArray) -> Float64Array:  # noqa: ARG001
    return np.asarray(variants.sum(heard) / np.maximum(variants.count, 1))


def _max(variants: _Variants, heard: Float64Array, sent: FloatArray) -> Float64Array:  # noqa: ARG001
    return variants.max(heard)


def _softmax(variants: _Variants, heard: Float64Array, sent: FloatArray) -> Float64Array:
    weight = np.exp(np.maximum(heard - sent.max(axis=0), LOWEST_EXPONENT))
    norm = np.maximum(variants.sum(weight), np.finfo(np.float32).tiny)
    return np.asarray(variants.sum(weight * heard) / norm)


def _power_mean(variants: _Variants, heard: Float64Array, sent: FloatArray) -> Float64Array:
    mean = _mean(variants, np.clip(heard, *POWER_RANGE) ** POWER, sent)
    return np.asarray(np.clip(mean, *POWER_RANGE) ** (1 / POWER))


def _std(variants: _Variants, heard: Float64Array, sent: FloatArray) -> Float64Array:
    mean, square = _mean(variants, heard, sent), _mean(variants, heard**2, sent)
    variance = square - mean**2
    return np.where(variance <= SMALLEST_VARIANCE, 0.0, np.sqrt(np.maximum(variance, 0)))


_AGGREGATORS: dict[str, Callable[[_Variants, Float64Array, FloatArray], Float64Array]] = {
    "max": _max,
    "mean": _mean,
    "sum": _sum,
    "softmax": _softmax,
    "powermean": _power_mean,
    "std": _std,
}
