"""Which users one worker of a group trains on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from movierec.data.dataset import IntArray, Interactions
from movierec.graph import FullGraph, RatingGraph
from movierec.models.graphsage.statistics import first_newest
from movierec.process_group import ALONE, Group

__all__ = ["Shard"]


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
    def whole(cls, n_users: int, n_edges: int) -> Self:
        """Return all users, for a worker that is alone."""
        return cls(ALONE, 0, n_users, 0, n_users, n_edges)

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

    def timed(self, graph: RatingGraph, ratings: Interactions) -> RatingGraph:
        """Return this worker's graph with the places in time among the ratings of all workers."""
        own = slice(self.first_edge, self.first_edge + graph.n_edges)
        return replace(
            graph,
            moment=RatingGraph.moments(ratings)[own].clone(),
            whole=self.before(self.n_edges, graph.n_movies),
        )

    def before(self, cut: int | None, n_movies: int) -> FullGraph:
        """Describe the graph of all workers' ratings before a moment; None: of any time."""
        if cut is None:
            return FullGraph(self.n_users, n_movies)
        first = first_newest(cut)
        return FullGraph(self.n_users, n_movies, first, cut - first)
