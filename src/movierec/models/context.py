"""What the visible ratings alone say about each node: degree, shrunk bias, residuals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from movierec.graph import Layout, RatingGraph
from movierec.models.sparse import neighbour_sum, row_sum

__all__ = ["GraphContext", "SideContext"]

LOG_DEGREE_SCALE = 5.0  # brings log(1 + degree) near 1


@dataclass(frozen=True, eq=False)
class SideContext:
    """Facts about the nodes of one type.

    Shapes:
        degree, bias: (n_nodes,); residual: (n_edges,) in this side's edge order,
        back_residual: the same in the other side's order.
    """

    degree: Tensor
    bias: Tensor
    residual: Tensor
    back_residual: Tensor

    @property
    def log_degree(self) -> Tensor:
        """log(1 + degree), scaled to be near 1, (n_nodes,)."""
        return self.degree.log1p() / LOG_DEGREE_SCALE

    @property
    def features(self) -> Tensor:
        """Shrunk bias in stars and scaled log-degree, (n_nodes, 2)."""
        return torch.stack([self.bias, self.log_degree], dim=1)

    def liking(self, rows: Layout, back: Layout, other: Tensor) -> Tensor:
        """Return the mean of the neighbours' states times the rating's residual.

        A neighbour rated higher than expected counts positively, one rated lower negatively.
        Shapes: other: (rows.n_columns, d) -> (rows.n_rows, d).
        """
        total = neighbour_sum(rows, back, self.residual, self.back_residual, other)
        return total / self.degree.clamp(min=1)[:, None]


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
        left = graph.rating - self._mean_rating
        movie_bias = self._shrunk_mean(graph.by_movie, left[order])
        left = left - movie_bias[graph.movie]
        user_bias = self._shrunk_mean(graph.by_user, left)
        residual = left - user_bias[graph.user]
        return (
            SideContext(graph.by_user.degree, user_bias, residual, residual[order]),
            SideContext(graph.by_movie.degree, movie_bias, residual[order], residual),
        )

    def _shrunk_mean(self, rows: Layout, value: Tensor) -> Tensor:
        return row_sum(rows, value) / (rows.degree + self._shrinkage).clamp(min=1)
