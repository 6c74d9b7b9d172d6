"""A GraphSAGE's users without torch: anybody's vectors from their ratings and features.

A user's state at a layer comes from their own state and from the states of the movies they rated.
With the movies' states kept, the user's half of the network is a handful of products over that
user's ratings alone (Hamilton, Ying and Leskovec, 2017, arXiv:1706.02216, section 3.1: the
embeddings of nodes that training never saw). For a user of the graph it gives the vectors that the
whole forward pass gives; a newcomer's ratings change their own vectors and no movie's.

Letters in shapes: n ratings of the user; v variants of them, 1 or n (`NeighbourSums`); d numbers of
a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from movierec.data.arrays import steps
from movierec.data.dataset import FloatArray, IntArray, Interactions
from movierec.errors import ArtifactError
from movierec.metadata import VersionMetadata
from movierec.models.arrays import Float64Array, NamedArrays, floats
from movierec.models.graphsage.formulas import (
    AGGREGATORS,
    LOG_DEGREE_SCALE,
    NeighbourSums,
    n_newest,
)
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.protocol import Arrays

if TYPE_CHECKING:
    from movierec.models.graphsage.heads import NodeStates
    from movierec.models.graphsage.network import GraphSage

__all__ = ["Ratings", "UserEncoder", "UserVectors", "user_encoder_arrays"]

# names of the arrays in a version's file: `inductive0_sent` are the first member's movie states
PREFIX, MOVIE_STATES = "inductive", "sent"
NORM_EPSILON = 1e-5  # torch's LayerNorm
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
class _Inputs:
    """What every layer reads of the user's ratings.

    Shapes: movie: (n,) indices; left: (n, 1) stars over the mean and the movie's bias; bias: (v, 1)
    the user's shrunk bias; trend: (v, 1), None where the model learns none.
    """

    sums: NeighbourSums
    movie: IntArray
    left: Float64Array
    bias: Float64Array
    trend: Float64Array | None


@dataclass(frozen=True, eq=False)
class _Member:
    """The user's half of one network; movie_states: (num_layers, n_movies, d)."""

    config: SageHyperparameters
    weights: Mapping[str, FloatArray]
    movie_states: FloatArray

    def vectors(self, features: FloatArray, inputs: _Inputs) -> UserVectors:
        """Return the vectors of every variant of the ratings."""
        config = self.config
        states = [self._input(features)]  # (1, d): before the first layer all variants are alike
        for depth in range(config.num_layers):
            state = self._layer(depth, states[-1], inputs)
            if depth < config.num_layers - 1 or config.head == "projection":
                state = np.maximum(state, 0)
            states.append(state)
        kept = states if config.readout == "all" else states[-1:]
        rows = max(len(state) for state in kept)
        joined = np.concatenate([np.broadcast_to(s, (rows, s.shape[1])) for s in kept], axis=1)
        return self._heads(joined, inputs.bias[:, 0])

    def _input(self, features: FloatArray) -> Float64Array:
        state = np.maximum(self._linear("user_input.0", features.astype(np.float64)), 0)
        if self.config.feature_layers == 2:
            state = self._linear("user_input.2", state)
        return state

    def _layer(self, depth: int, own: Float64Array, inputs: _Inputs) -> Float64Array:
        """Return the user's state after one layer, (1 or v, d) -> (v, d)."""
        config, name, sums = self.config, f"user_layers.{depth}", inputs.sums
        movies = self.movie_states[depth]  # (n_movies, d)
        rated = movies[inputs.movie].astype(np.float64)  # (n, d)
        messages = [AGGREGATORS[each](sums, rated, movies) for each in config.aggregators]
        if config.messages == "rating":
            # residuals are left - bias, and the bias differs between the variants
            total = sums.sum(inputs.left * rated) - inputs.bias * sums.sum(rated)
            divisor = np.maximum(sums.count, 1) ** config.liking_exponent
            log_degree = np.log1p(sums.count) / LOG_DEGREE_SCALE
            messages += [total / divisor, inputs.bias, log_degree]
            if inputs.trend is not None:
                messages.append(inputs.trend)
        joined = np.concatenate(messages, axis=1)
        update = self._linear(f"{name}.neighbour", joined) + self._linear(f"{name}.own", own)
        return self._normal(f"{name}.norm", update)

    def _heads(self, states: Float64Array, bias: Float64Array) -> UserVectors:
        """Return the vectors that the heads read off the states, (v, width) and (v,)."""
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
        vectors = self._linear(f"{name}.user", states)  # scaled as in `ProjectionHead`
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
        metadata: VersionMetadata,
        known: Interactions,
        sizes: tuple[int, int],
    ) -> UserEncoder | None:
        """Bring it back from a version's arrays; None for versions kept without.

        `known`: the ratings in the graph; `sizes`: numbers of users and movies.

        Raises:
            ArtifactError: the arrays and the metadata do not fit together.

        """
        if f"{PREFIX}0_{MOVIE_STATES}" not in arrays:
            return None
        try:
            config = SageHyperparameters.model_validate(metadata.hyperparameters)
            mean, count = metadata.required_mean_rating, metadata.members or 1
            members = tuple(_member(arrays, number, config) for number in range(count))
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
        inputs = self._inputs(ratings, NeighbourSums(len(ratings), leave_out))
        found = [member.vectors(features, inputs) for member in self.members]
        # as in `ensemble.average`: vectors side by side, the user's divided by the members' number
        rating = np.concatenate([each.rating for each in found], axis=1)
        ranking = np.concatenate([each.ranking for each in found], axis=1)
        bias = np.mean([each.rating_bias for each in found], axis=0)
        return UserVectors(
            np.asarray(rating / len(found), np.float32),
            np.asarray(bias, np.float32),
            np.asarray(ranking / len(found), np.float32),
        )

    def _inputs(self, ratings: Ratings, sums: NeighbourSums) -> _Inputs:
        movie_bias = self.movie_bias[ratings.movie]
        left = (ratings.stars.astype(np.float64) - self.mean_rating - movie_bias)[:, None]
        shrinkage = self.members[0].config.shrinkage
        # the user's own bias is of what the movies' biases leave, as in the graph's statistics
        bias = sums.sum(left) / np.maximum(sums.count + shrinkage, 1)
        trend = None
        if self.uses_trend:
            is_newest = ratings.is_newest[:, None].astype(np.float64)
            trend = np.log1p(sums.sum(is_newest) * self.newest)
        return _Inputs(sums, ratings.movie, left, bias, trend)


def user_encoder_arrays(number: int, model: GraphSage, states: NodeStates) -> Arrays:
    """Return what `UserEncoder.of` needs of one network, from its states over the whole graph."""
    import torch

    layers = states.movie_inputs
    movie_states = torch.stack(layers) if layers else torch.zeros(0, len(states.movie), 0)
    weights = {
        name: weight.float().cpu().numpy()
        for name, weight in model.state_dict().items()
        if (parts := name.split("."))[0] in _USER_PARTS and parts[1] not in _MOVIE_ONLY
    }
    shapes = [(*weight.shape, 0)[:2] for weight in weights.values()]
    start = f"{PREFIX}{number}_"
    return {
        f"{start}{MOVIE_STATES}": movie_states.float().cpu().numpy(),
        f"{start}names": np.array([*weights]),
        f"{start}shapes": np.array(shapes, np.int64),
        f"{start}weights": np.concatenate([weight.ravel() for weight in weights.values()]),
    }


def _member(arrays: NamedArrays, number: int, config: SageHyperparameters) -> _Member:
    start = f"{PREFIX}{number}_"
    movie_states = floats(arrays, f"{start}{MOVIE_STATES}")
    names, shapes = arrays[f"{start}names"].tolist(), arrays[f"{start}shapes"].tolist()
    flat = floats(arrays, f"{start}weights")
    if movie_states.ndim != 3 or len(movie_states) != config.num_layers:
        raise ValueError(f"{start}{MOVIE_STATES} has the shape {movie_states.shape}")
    # all weights in one flat array; a vector's shape is kept as (n, 0)
    sizes = [rows * (columns or 1) for rows, columns in shapes]
    if sum(sizes) != len(flat) or len(names) != len(shapes):
        raise ValueError(f"{start}weights has {len(flat)} numbers, not {sum(sizes)}")
    weights = {
        name: part.reshape(shape if shape[1] else shape[:1])
        for name, shape, part in zip(
            names, shapes, np.split(flat, np.cumsum(sizes)[:-1]), strict=True
        )
    }
    return _Member(config, weights, movie_states)


def _shrunk_biases(
    known: Interactions, mean: float, shrinkage: float, n_movies: int
) -> Float64Array:
    total, count = np.zeros(n_movies), known.grouped("movie", n_movies).counts
    for step in steps(len(known)):
        left = known.rating[step].astype(np.float64) - mean
        total += np.bincount(known.movie[step], left, n_movies)
    return np.asarray(total / np.maximum(count + shrinkage, 1))
