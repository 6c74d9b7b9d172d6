"""Which users one worker of a group trains on, and the part of a graph that it holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from movierec.csr import CSR
from movierec.data.dataset import FloatArray, IntArray, Interactions
from movierec.graph import FullGraph, RatingGraph
from movierec.models.factors import FactorModel
from movierec.models.graphsage.formulas import first_newest
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.negative_sampling import NegativeSample
from movierec.training.distributed.group import (
    SINGLE_PROCESS,
    Group,
    shared_maximum,
    shared_sum,
)

__all__ = ["Shard", "SharedCSR", "shared_factors"]


@dataclass(frozen=True, eq=False)
class SharedCSR(CSR):
    """Rows whose edges the workers of a group divide among them: a movie's raters.

    What is reduced over the edges at hand is completed by the other workers'. Of the columns, the
    users, each worker has its own.
    """

    group: Group = SINGLE_PROCESS

    def total(self, part: Tensor) -> Tensor:
        """Return the sum of all workers' sums."""
        return shared_sum(part, self.group)

    def maximum(self, part: Tensor) -> Tensor:
        """Return the greatest of all workers' maxima."""
        return shared_maximum(part, self.pointer.diff() == 0, self.group)

    def peak(self, part: Tensor) -> Tensor:
        """Return the greatest of all workers' values at each place."""
        return self.group.maximum(part)


@dataclass(frozen=True)
class Shard:
    """A stretch of neighbouring users; the counts are of all workers together.

    `first_edge` is how many train ratings the users before `first_user` have.
    """

    group: Group
    first_user: int
    last_user: int
    first_edge: int
    n_users: int
    n_edges: int

    @classmethod
    def full(cls, n_users: int, n_edges: int) -> Self:
        """Return all users, for a single process."""
        return cls(SINGLE_PROCESS, 0, n_users, 0, n_users, n_edges)

    @classmethod
    def of(cls, group: Group, user: IntArray, n_users: int) -> Self:
        """Divide the users so that every worker has about as many ratings.

        Shapes: user: (n,) user of every train rating, in any order.
        """
        before = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))])
        wanted = before[-1] * np.arange(1, group.size) / group.size
        cuts = [0, *np.searchsorted(before, wanted).tolist(), n_users]
        first, last = cuts[group.rank : group.rank + 2]
        return cls(group, first, last, int(before[first]), n_users, int(before[-1]))

    def take(self, ratings: Interactions) -> Interactions:
        """Return the ratings by these users, who then count from 0."""
        if self.group.size == 1:
            return ratings
        own = (ratings.user >= self.first_user) & (ratings.user < self.last_user)
        part = ratings.take(np.flatnonzero(own))
        return Interactions(part.user - self.first_user, part.movie, part.rating, part.timestamp)

    def share(self, graph: RatingGraph) -> RatingGraph:
        """Return a graph of these users' ratings as this worker's part of its group's."""
        if self.group.size == 1:
            return graph
        rows = graph.by_movie
        shared = SharedCSR(
            rows.pointer, rows.column, rows.n_columns, rows.outside_degree, self.group
        )
        return replace(graph, by_movie=shared)

    def negatives(
        self, degree: Tensor, config: SageHyperparameters, random: torch.Generator
    ) -> NegativeSample:
        """Draw a step's negatives as every worker does, and return those of these users."""
        drawn = NegativeSample.draw(degree, self.n_users, config, random)
        return drawn.within(self.first_user, self.last_user)

    def timed(self, graph: RatingGraph, ratings: Interactions) -> RatingGraph:
        """Return this worker's graph with the ranks in time among the ratings of all workers."""
        own = slice(self.first_edge, self.first_edge + graph.n_edges)
        return replace(
            graph,
            moment=RatingGraph.moments(ratings)[own].clone(),
            full_graph=self.before(self.n_edges, graph.n_movies),
        )

    def before(self, cut: int | None, n_movies: int) -> FullGraph:
        """Describe the graph of all workers' ratings before a moment; None: of any time."""
        if cut is None:
            return FullGraph(self.n_users, n_movies)
        first = first_newest(cut)
        return FullGraph(self.n_users, n_movies, first, cut - first)


def shared_factors(factors: FactorModel, group: Group) -> FactorModel:
    """Return the serving form for the users of all workers, made of each worker's own."""
    if group.size == 1:
        return factors

    def gathered(rows: FloatArray) -> FloatArray:
        found: FloatArray = group.gather(torch.from_numpy(rows)).numpy()
        return found

    return replace(
        factors,
        n_users=int(group.sum(torch.tensor(factors.n_users))),
        rating_user=gathered(factors.rating_user),
        rating_user_bias=gathered(factors.rating_user_bias),
        ranking_user=gathered(factors.ranking_user),
    )
