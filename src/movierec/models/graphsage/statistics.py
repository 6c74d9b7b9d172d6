"""What the visible ratings alone say about each node: degree, shrunk bias, residuals, trend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from movierec.csr import CSR
from movierec.graph import RatingGraph
from movierec.models.graphsage.formulas import LOG_DEGREE_SCALE, first_newest
from movierec.models.graphsage.sparse import neighbour_sum, row_sum

__all__ = ["GraphStatistics", "NodeStatistics"]


@dataclass(frozen=True, eq=False)
class NodeStatistics:
    """Facts about the nodes of one type.

    `degree` and `bias` are of all visible ratings, those outside the graph too; of these
    `degree_in_graph` are in it.

    Shapes:
        degree, degree_in_graph, bias: (n_nodes,); residual: (n_edges,) in this type's edge order,
        back_residual: the same in the other type's order.
    """

    degree: Tensor
    degree_in_graph: Tensor
    bias: Tensor
    residual: Tensor
    back_residual: Tensor
    share_newest: Callable[
        [], Tensor
    ]  # a function: most models never ask, and every step would pay

    @cached_property
    def trend(self) -> Tensor:
        """How present a node is among the newest ratings, (n_nodes,).

        log(1 + its share of them, times the number of nodes).
        """
        return self.share_newest().log1p()

    @property
    def log_degree(self) -> Tensor:
        """log(1 + degree), scaled to be near 1, (n_nodes,)."""
        return self.degree.log1p() / LOG_DEGREE_SCALE

    def features(self, *, trend: bool) -> Tensor:
        """Return shrunk bias in stars, log-degree and, if wanted, trend, (n_nodes, 2 or 3)."""
        facts = [self.bias, self.log_degree, *([self.trend] if trend else [])]
        return torch.stack(facts, dim=1)

    def rating_weighted_sum(self, rows: CSR, back: CSR, other: Tensor, exponent: float) -> Tensor:
        """Return the sum of the neighbours' states times the rating's residual, over n^exponent.

        A neighbour rated higher than expected counts positively, one rated lower negatively.
        Exponent 1 is the mean. Residuals nearly cancel, so that a mean over many of them is
        close to 0 and hard to learn from: with 0.5 the spread does not depend on n. Of neighbours
        outside the graph the sum is taken to be like that of those in it.

        Shapes: other: (rows.n_columns, d) -> (rows.n_rows, d).
        """
        # (n_rows, d): the sparse matrix of residuals, in both layouts, times the states
        total = neighbour_sum(rows, back, self.residual, self.back_residual, other)
        if self.degree_in_graph is not self.degree:
            # a sample of the raters: as many of them as are missing are taken to be like it
            total = total * (self.degree / self.degree_in_graph.clamp(min=1))[:, None]
        return total / self.degree.clamp(min=1).pow(exponent)[:, None]


class GraphStatistics:
    """Statistics of users and movies, from the edges of one graph; computed at first use."""

    def __init__(self, graph: RatingGraph, mean_rating: float, shrinkage: float) -> None:
        self._graph = graph
        self._mean_rating = mean_rating
        self._shrinkage = shrinkage

    @property
    def user(self) -> NodeStatistics:
        """Facts about the users."""
        return self._both[0]

    @property
    def movie(self) -> NodeStatistics:
        """Facts about the movies."""
        return self._both[1]

    @cached_property
    def _both(self) -> tuple[NodeStatistics, NodeStatistics]:
        """b_i = sum(r - mean) / (n_i + shrinkage), then b_u of what b_i leaves unexplained."""
        graph, order = self._graph, self._graph.to_movie_order
        users, movies, outside = graph.by_user, graph.by_movie, graph.outside
        # the decoupled estimates of Koren 2010, section 2.1; edge values are (n_edges,) in user
        # order, and [order] brings them into the movies' order
        left = graph.rating - self._mean_rating
        total = row_sum(movies, left[order])  # (n_movies,)
        if outside is not None:
            total = total + outside.stars - self._mean_rating * outside.count
        movie_bias = self._shrunk(total, movies)
        left = left - movie_bias[graph.movie]
        # a user's ratings are all in the graph: nothing is missing from this sum
        user_bias = self._shrunk(row_sum(users, left), users)
        residual = left - user_bias[graph.user]
        by_movie = residual[order]
        return (
            NodeStatistics(
                users.degree, users.degree, user_bias, residual, by_movie,
                lambda: self._share(row_sum(users, self._newest), of_users=True),
            ),
            NodeStatistics(
                movies.full_degree, movies.degree, movie_bias, by_movie, residual,
                lambda: self._share(self._newest_of_movies(), of_users=False),
            ),
        )  # fmt: skip

    def _newest_of_movies(self) -> Tensor:
        graph = self._graph
        count = row_sum(graph.by_movie, self._newest[graph.to_movie_order])
        return count if graph.outside is None else count + graph.outside.newest

    def _share(self, count: Tensor, *, of_users: bool) -> Tensor:
        """Return counts over their mean among the nodes of the full graph, (n_nodes,)."""
        full = self._graph.full_graph
        if full is None or full.n_newest is None:
            return count / count.sum().clamp(min=1) * len(count)
        return count / max(full.n_newest, 1) * (full.n_users if of_users else full.n_movies)

    @cached_property
    def _newest(self) -> Tensor:
        """1 for the newest tenth of the edges, 0 for the others, (n_edges,); without times 1."""
        graph = self._graph
        if graph.moment is None or not graph.n_edges:
            return torch.ones_like(graph.rating)
        if graph.full_graph is not None and graph.full_graph.newest_from is not None:
            return (graph.moment >= graph.full_graph.newest_from).to(graph.rating.dtype)
        older = first_newest(graph.n_edges) + 1  # kthvalue counts from 1
        return (graph.moment >= graph.moment.kthvalue(older).values).to(graph.rating.dtype)

    def _shrunk(self, total: Tensor, rows: CSR) -> Tensor:
        return total / (rows.full_degree + self._shrinkage).clamp(min=1)
