"""From the states of nodes to scores: always a product of two vectors and two biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from movierec.graph import RatingGraph
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.sparse import edge_dot
from movierec.models.graphsage.statistics import GraphStatistics

__all__ = ["DotHead", "Factors", "NodeStates", "OrdinalLink", "ProjectionHead", "make_head"]

Purpose = Literal["rating", "ranking"]
# the first cut points, evenly spaced: most ratings lie in the upper half of the scale
FIRST_CUT, CUT_GAP = -2.5, 1.2
ORDINAL_SLOPE = 2.0
INITIAL_SHARE = 0.8


@dataclass(frozen=True, eq=False)
class NodeStates:
    """States of every node with the statistics of the graph they were made in.

    `movie_inputs` are the movies' states before each aggregation: the messages to their users.

    Shapes: user: (n_users, width); movie: (n_movies, width); movie_inputs: (n_movies, d) per
    layer.
    """

    user: Tensor
    movie: Tensor
    statistics: GraphStatistics
    movie_inputs: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Factors:
    """Score of user u and movie i: user[u] · movie[i] + user_bias[u] + movie_bias[i].

    Shapes: user: (n_users, d); movie: (n_movies, d); biases: (n_users,), (n_movies,).
    """

    user: Tensor
    movie: Tensor
    user_bias: Tensor
    movie_bias: Tensor

    def on_edges(self, edges: RatingGraph) -> Tensor:
        """Return the score of each edge, (n_edges,), in the graph's `by_user` order."""
        one_user, one_movie = torch.ones_like(self.user_bias), torch.ones_like(self.movie_bias)
        left = torch.column_stack([self.user, self.user_bias, one_user])
        right = torch.column_stack([self.movie, one_movie, self.movie_bias])
        return edge_dot(edges.by_user, edges.by_movie, edges.to_movie_order, left, right)

    def of_users(self, users: Tensor) -> Tensor:
        """Return the scores of every movie, (n,) users -> (n, n_movies)."""
        scores = self.user[users] @ self.movie.t()
        return scores + self.user_bias[users, None] + self.movie_bias[None]


class DotHead(nn.Module):
    """The plain product of the two states."""

    def forward(self, states: NodeStates) -> Factors:
        """Return the states themselves with biases of 0."""
        zero_user = states.user.new_zeros(len(states.user))
        zero_movie = states.movie.new_zeros(len(states.movie))
        return Factors(states.user, states.movie, zero_user, zero_movie)


class ProjectionHead(nn.Module):
    """Learned vectors and biases, and a learned share of the graph's statistics.

    For ratings the statistics are the shrunk biases, for ranking the movie's log-degree and,
    with `trend`, how present it is among the newest ratings. The shares are `trust` and `trend`,
    names that stored weights carry.
    """

    def __init__(self, width: int, rank: int, purpose: Purpose, *, trend: bool = False) -> None:
        super().__init__()
        self.purpose = purpose
        self.scale = rank**-0.5
        self.user = nn.Linear(width, rank)
        self.movie = nn.Linear(width, rank)
        self.user_bias = nn.Linear(width, 1)
        self.movie_bias = nn.Linear(width, 1)
        self.trust = nn.Parameter(torch.full((2,), INITIAL_SHARE))
        self.trend = nn.Parameter(torch.full((1,), INITIAL_SHARE)) if trend else None

    def forward(self, states: NodeStates) -> Factors:
        """Return vectors and biases of every node."""
        user_fact, movie_fact = self._facts(states)
        return Factors(
            user=self.user(states.user) * self.scale,
            movie=self.movie(states.movie),
            user_bias=self.user_bias(states.user)[:, 0] + self.trust[0] * user_fact,
            movie_bias=self.movie_bias(states.movie)[:, 0] + self.trust[1] * movie_fact,
        )

    def _facts(self, states: NodeStates) -> tuple[Tensor, Tensor]:
        user, movie = states.statistics.user, states.statistics.movie
        if self.purpose == "rating":
            return user.bias, movie.bias
        popularity = movie.degree.log1p()
        if self.trend is not None:
            popularity = popularity + self.trend * movie.trend
        return torch.zeros_like(user.bias), popularity


class OrdinalLink(nn.Module):
    """Cut points c_1 < … < c_{L-1}: P(rating > level k) = sigmoid(slope · raw - c_k)."""

    def __init__(self, n_levels: int) -> None:
        super().__init__()
        gaps = torch.full((max(n_levels - 2, 0),), CUT_GAP * 4 / max(n_levels - 1, 1))
        self.first = nn.Parameter(torch.tensor([FIRST_CUT]))
        self.gaps = nn.Parameter(gaps)

    @property
    def cuts(self) -> Tensor:
        """The cut points, lowest first, (n_levels - 1,)."""
        return torch.cat([self.first, self.first + F.softplus(self.gaps).cumsum(0)])

    def forward(self, raw: Tensor) -> Tensor:
        """Return the logits of exceeding each level but the highest, (n,) -> (n, n_levels - 1)."""
        return ORDINAL_SLOPE * raw[:, None] - self.cuts


def make_head(config: SageHyperparameters, width: int, purpose: Purpose) -> nn.Module:
    """Return the head of a configuration."""
    if config.head == "dot":
        return DotHead()
    rank = config.hidden_dim
    if purpose == "ranking":
        rank = config.ranking_dim or 2 * config.hidden_dim
    trend = purpose == "ranking" and config.uses_trend
    return ProjectionHead(width, rank, purpose, trend=trend)
