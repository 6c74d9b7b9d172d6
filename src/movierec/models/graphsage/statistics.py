"""What the visible ratings alone say about each node: degree, shrunk bias, residuals, trend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from movierec.graph import CSR, RatingGraph
from movierec.models.graphsage.sparse import neighbour_sum, row_sum

__all__ = ["GraphContext", "SideContext", "first_newest"]

LOG_DEGREE_SCALE = 5.0  # brings log(1 + degree) near 1
# the newest tenth of the ratings: of several windows the one whose popularity ranked the
# temporal split's validation part best (docs/LOG.md)
NEWEST_SHARE = 0.1


def first_newest(n_edges: int) -> int:
    """Return how many of so many ratings are older than the newest tenth."""
    return min(int(n_edges * (1 - NEWEST_SHARE)), n_edges - 1)


@dataclass(frozen=True, eq=False)
class SideContext:
    """Facts about the nodes of one type.

    `degree` and `bias` are of all visible ratings, those outside the graph too, of which `heard`
    are in it.

    Shapes:
        degree, heard, bias: (n_nodes,); residual: (n_edges,) in this side's edge order,
        back_residual: the same in the other side's order.
    """

    degree: Tensor
    heard: Tensor
    bias: Tensor
    residual: Tensor
    back_residual: Tensor
    share_newest: Callable[[], Tensor]  # most models never ask, and every step would pay

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

    def liking(self, rows: CSR, back: CSR, other: Tensor, exponent: float) -> Tensor:
        """Return the sum of the neighbours' states times the rating's residual, over n^exponent.

        A neighbour rated higher than expected counts positively, one rated lower negatively.
        Exponent 1 is the mean. Residuals nearly cancel, so that a mean over many of them is
        close to 0 and hard to learn from: with 0.5 the spread does not depend on n. Of neighbours
        outside the graph the sum is taken to be like that of those in it.

        Shapes: other: (rows.n_columns, d) -> (rows.n_rows, d).
        """
        total = neighbour_sum(rows, back, self.residual, self.back_residual, other)
        if self.heard is not self.degree:
            total = total * (self.degree / self.heard.clamp(min=1))[:, None]
        return total / self.degree.clamp(min=1).pow(exponent)[:, None]


class GraphContext:
    """Context of both sides, from the edges of one graph alone; computed when first asked for."""

    def __init__(self, graph: RatingGraph, mean_rating: float, shrinkage: float) -> None:
        self._graph = graph
        self._mean_rating = mean_rating
        self._shrinkage = shrinkage

    @property
    def user(self) -> SideContext:
        """Facts about the users."""
        return self._sides[0]

    @property
    def movie(self) -> SideContext:
        """Facts about the movies."""
        return self._sides[1]

    @cached_property
    def _sides(self) -> tuple[SideContext, SideContext]:
        """b_i = sum(r - mean) / (n_i + shrinkage), then b_u of what b_i leaves unexplained."""
        graph, order = self._graph, self._graph.to_movie_order
        users, movies, elsewhere = graph.by_user, graph.by_movie, graph.elsewhere
        left = graph.rating - self._mean_rating
        total = row_sum(movies, left[order])
        if elsewhere is not None:
            total = total + elsewhere.stars - self._mean_rating * elsewhere.count
        movie_bias = self._shrunk(total, movies)
        left = left - movie_bias[graph.movie]
        user_bias = self._shrunk(row_sum(users, left), users)
        residual = left - user_bias[graph.user]
        by_movie = residual[order]
        return (
            SideContext(
                users.degree, users.degree, user_bias, residual, by_movie,
                lambda: self._share(row_sum(users, self._newest), of_users=True),
            ),
            SideContext(
                movies.full_degree, movies.degree, movie_bias, by_movie, residual,
                lambda: self._share(self._newest_of_movies(), of_users=False),
            ),
        )  # fmt: skip

    def _newest_of_movies(self) -> Tensor:
        graph = self._graph
        count = row_sum(graph.by_movie, self._newest[graph.to_movie_order])
        return count if graph.elsewhere is None else count + graph.elsewhere.newest

    def _share(self, count: Tensor, *, of_users: bool) -> Tensor:
        """Return counts over their mean among the nodes of the whole graph."""
        whole = self._graph.whole
        if whole is None or whole.n_newest is None:
            return count / count.sum().clamp(min=1) * len(count)
        return count / max(whole.n_newest, 1) * (whole.n_users if of_users else whole.n_movies)

    @cached_property
    def _newest(self) -> Tensor:
        """1 for the newest tenth of the edges and 0 for the others; without times all 1."""
        graph = self._graph
        if graph.moment is None or not graph.n_edges:
            return torch.ones_like(graph.rating)
        if graph.whole is not None and graph.whole.newest_from is not None:
            return (graph.moment >= graph.whole.newest_from).to(graph.rating.dtype)
        older = first_newest(graph.n_edges) + 1
        return (graph.moment >= graph.moment.kthvalue(older).values).to(graph.rating.dtype)

    def _shrunk(self, total: Tensor, rows: CSR) -> Tensor:
        return total / (rows.full_degree + self._shrinkage).clamp(min=1)
