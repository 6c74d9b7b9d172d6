"""GraphSAGE over users and movies (Hamilton, Ying and Leskovec, 2017, arXiv:1706.02216).

Per layer, every node aggregates its neighbours' states and updates its own:
h_v = ReLU(W_self x_v + W_neigh AGG({x_u : u in N(v)}) + b). Heads read the states.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from movierec.data.dataset import RatingScale
from movierec.errors import HyperparameterError
from movierec.graph import RatingGraph
from movierec.models.graphsage.heads import Factors, NodeStates, OrdinalLink, make_head
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.layers import LINEAR_AGGREGATORS, SageLayer, dropout
from movierec.models.graphsage.statistics import GraphStatistics

__all__ = ["GraphSage", "Sizes"]


@dataclass(frozen=True)
class Sizes:
    """What the data gives a model: feature widths, the rating levels and the mean rating."""

    user_features: int
    movie_features: int
    rating_low: float
    rating_step: float
    n_levels: int
    mean_rating: float

    @classmethod
    def of(cls, scale: RatingScale, features: tuple[Tensor, Tensor], mean_rating: float) -> Sizes:
        """Read the sizes off a scale and the features of all users and all movies."""
        return cls(
            user_features=features[0].shape[1],
            movie_features=features[1].shape[1],
            rating_low=scale.low,
            rating_step=scale.step,
            n_levels=len(scale.levels),
            mean_rating=mean_rating,
        )


class GraphSage(nn.Module):
    """Feature MLPs, `num_layers` aggregations, a rating head and a ranking head.

    Raises:
        HyperparameterError: the loss is ordinal and the scale has a single level.

    """

    def __init__(self, config: SageHyperparameters, sizes: Sizes) -> None:
        super().__init__()
        self.config = config
        self.sizes = sizes
        self.user_input = _feature_mlp(sizes.user_features, config)
        self.movie_input = _feature_mlp(sizes.movie_features, config)
        self.user_layers = nn.ModuleList(SageLayer(config) for _ in range(config.num_layers))
        self.movie_layers = (
            self.user_layers
            if config.weights == "shared"
            else nn.ModuleList(SageLayer(config) for _ in range(config.num_layers))
        )
        width = config.hidden_dim * (config.num_layers + 1 if config.readout == "all" else 1)
        self.rating_head = None if config.ranks_only else make_head(config, width, "rating")
        self.ranking_head = make_head(config, width, "ranking") if config.ranks else None
        self.link = _link(config, sizes)

    def encode(self, graph: RatingGraph, users: Tensor, movies: Tensor) -> NodeStates:
        """Return the states of every node in this graph.

        Shapes: users: (n_users, n_user_features); movies: (n_movies, n_movie_features).
        """
        statistics = GraphStatistics(graph, self.sizes.mean_rating, self.config.shrinkage)
        user, movie = self._drop(*self._inputs(users, movies), depth=0)
        states = [(user, movie)]
        # states of both sides before the first and after every layer, (n_users, d), (n_movies, d)
        last = self.config.num_layers - 1
        for depth in range(self.config.num_layers):
            user, movie = self._update(depth, graph, statistics, user, movie)
            # a product of two ReLUs could not be negative: the plain dot head reads raw states
            if depth < last or self.config.head == "projection":
                user, movie = F.relu(user), F.relu(movie)
            user, movie = self._drop(user, movie, depth + 1)
            states.append((user, movie))
        kept = states if self.config.readout == "all" else states[-1:]
        joined_user, joined_movie = (torch.cat(part, dim=1) for part in zip(*kept, strict=True))
        # what the last layer gives is no message any more
        movie_inputs = tuple(movie for _, movie in states[:-1])
        return NodeStates(joined_user, joined_movie, statistics, movie_inputs)

    def _drop(self, user: Tensor, movie: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """Drop entries of the states after `depth` aggregations.

        A maximum over many neighbours picks the entries that dropout happened to enlarge, so
        that training would see other numbers than evaluation does: where the aggregation is
        not linear, only the last states are dropped (docs/LOG.md).
        """
        linear = set(self.config.aggregators) <= LINEAR_AGGREGATORS
        rate = self.config.dropout if linear or depth == self.config.num_layers else 0.0
        return dropout(user, rate, self.training), dropout(movie, rate, self.training)

    def _inputs(self, users: Tensor, movies: Tensor) -> tuple[Tensor, Tensor]:
        rate = self.config.feature_dropout
        user = dropout(self.user_input(users), rate, self.training)
        return user, dropout(self.movie_input(movies), rate, self.training)

    def _update(
        self,
        depth: int,
        graph: RatingGraph,
        statistics: GraphStatistics,
        user: Tensor,
        movie: Tensor,
    ) -> tuple[Tensor, Tensor]:
        by_user, by_movie = graph.by_user, graph.by_movie
        rated = self.config.messages == "rating"
        of_user, of_movie = (statistics.user, statistics.movie) if rated else (None, None)
        # both sides are updated from the states before: neither sees the other's update
        new_user = self.user_layers[depth](by_user, by_movie, of_user, user, movie)
        new_movie = self.movie_layers[depth](by_movie, by_user, of_movie, movie, user)
        return new_user, new_movie

    def rating_factors(self, states: NodeStates) -> Factors | None:
        """Return the vectors whose product is the raw rating score; None for a pure ranker."""
        return None if self.rating_head is None else self.rating_head(states)

    def ranking_factors(self, states: NodeStates) -> Factors | None:
        """Return the vectors whose product ranks movies; None without a ranking head."""
        return None if self.ranking_head is None else self.ranking_head(states)

    def expected_rating(self, raw: Tensor) -> Tensor:
        """Return ratings in stars, not clipped, of raw scores (n,)."""
        if self.link is not None:
            steps: Tensor = self.link(raw).sigmoid().sum(1)
            return self.sizes.rating_low + self.sizes.rating_step * steps
        return raw + self.sizes.mean_rating if self.config.head == "projection" else raw

    @property
    def n_parameters(self) -> int:
        """Number of learned weights."""
        return sum(weight.numel() for weight in self.parameters())


def _link(config: SageHyperparameters, sizes: Sizes) -> OrdinalLink | None:
    if config.loss_type != "ordinal":
        return None
    if sizes.n_levels < 2:
        raise HyperparameterError(
            "All ratings are equal, so there is no order for loss_type ordinal to learn.",
            hint="Set loss_type to softmax or bpr, which rank movies.",
        )
    return OrdinalLink(sizes.n_levels)


def _feature_mlp(n_features: int, config: SageHyperparameters) -> nn.Module:
    width = config.hidden_dim
    layers: list[nn.Module] = [nn.Linear(n_features, width), nn.ReLU()]
    if config.feature_layers == 2:
        layers.append(nn.Linear(width, width))
    return nn.Sequential(*layers)
