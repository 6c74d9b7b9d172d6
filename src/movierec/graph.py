"""Train ratings as a bipartite graph: users on one side, movies on the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from movierec.csr import CSR
from movierec.data.dataset import IntArray, Interactions
from movierec.errors import DataError

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["FullGraph", "OutsideRatings", "RatingGraph"]

INT32_EDGES = 2**31  # fewer are numbered in 32 bits: half the memory, and what MKL computes in


@dataclass(frozen=True)
class FullGraph:
    """The graph that another one is a part of.

    Of its visible ratings those from the moment `newest_from` on are the newest, `n_newest` of
    them; None where no trend is learned.
    """

    n_users: int
    n_movies: int
    newest_from: int | None = None
    n_newest: int | None = None


@dataclass(frozen=True, eq=False)
class OutsideRatings:
    """What is visible of each movie outside the graph at hand, each (n_movies,) float32.

    Shapes: count: ratings; stars: their sum; newest: how many are among the newest.
    """

    count: Tensor
    stars: Tensor
    newest: Tensor

    def of(self, movies: Tensor) -> OutsideRatings:
        """Return the same of these movies alone, (n,) indices."""
        return OutsideRatings(self.count[movies], self.stars[movies], self.newest[movies])

    def without(self, other: OutsideRatings) -> OutsideRatings:
        """Return what is left when other ratings of the same movies are taken away."""
        return OutsideRatings(
            self.count - other.count, self.stars - other.stars, self.newest - other.newest
        )

    def to(self, device: torch.device) -> OutsideRatings:
        """Return the same on a device."""
        return OutsideRatings(self.count.to(device), self.stars.to(device), self.newest.to(device))


@dataclass(frozen=True, eq=False)
class RatingGraph:
    """Rating edges in both CSR layouts; edge arrays are in `by_user` order.

    `by_user` has users as rows and movies as columns, `by_movie` the other way round.
    Edge `e` of `by_movie` is edge `to_movie_order[e]` of `by_user`.

    The graph may be a part of a larger one: some of its users with all their ratings. Then
    `full_graph` says of what it is a part, and `outside` tells of the other users' ratings.

    Shapes:
        user, movie, to_movie_order: (n_edges,) int32, or int64 from 2^31 edges on;
        rating: (n_edges,) float32 stars; moment: (n_edges,) rank of each edge in time, the oldest
        being 0; None without times.
    """

    by_user: CSR
    by_movie: CSR
    to_movie_order: Tensor
    user: Tensor
    rating: Tensor
    moment: Tensor | None = None
    full_graph: FullGraph | None = None
    outside: OutsideRatings | None = None

    @classmethod
    def build(
        cls, ratings: Interactions, n_users: int, n_movies: int, *, timed: bool = True
    ) -> RatingGraph:
        """Make the graph of these ratings; the order in which they come does not matter.

        Without `timed` the edges get no moments, which take a sort.

        Raises:
            DataError: a user rated a movie twice, or an index is out of range.

        """
        order = _sort_order(ratings.user, ratings.movie)
        user, movie = ratings.user[order], ratings.movie[order]
        _check_edges(user, movie, n_users, n_movies)
        kind = np.int32 if len(user) < INT32_EDGES else np.int64
        ends = torch.from_numpy(user.astype(kind)), torch.from_numpy(movie.astype(kind))
        # a copy: the arrays of a data set are read-only, which torch does not know
        rating = torch.from_numpy(np.array(ratings.rating[order]))
        graph = cls.of_edges(*ends, rating, n_users, n_movies)
        if ratings.timestamp is None or not timed:
            return graph
        return replace(graph, moment=_time_ranks(ratings.timestamp[order], kind))

    @staticmethod
    def moments(ratings: Interactions) -> Tensor:
        """Return the moments alone that the graph of these ratings has; they need times."""
        assert ratings.timestamp is not None
        kind = np.int32 if len(ratings) < INT32_EDGES else np.int64
        return _time_ranks(ratings.timestamp[_sort_order(ratings.user, ratings.movie)], kind)

    @classmethod
    def of_edges(
        cls, user: Tensor, movie: Tensor, rating: Tensor, n_users: int, n_movies: int
    ) -> RatingGraph:
        """Make the graph of edges already sorted by user, then movie; each (n_edges,)."""
        by_user = CSR.of_edges(user, movie, n_users, n_movies)
        by_movie, order = by_user.transposed()
        return cls(by_user, by_movie, order, user, rating)

    @property
    def movie(self) -> Tensor:
        """Movie of each edge, (n_edges,)."""
        return self.by_user.column

    @property
    def n_users(self) -> int:
        """Number of users, those without an edge included."""
        return self.by_user.n_rows

    @property
    def n_movies(self) -> int:
        """Number of movies, those without an edge included."""
        return self.by_user.n_columns

    @property
    def n_edges(self) -> int:
        """Number of ratings."""
        return len(self.rating)

    def keep(self, mask: Tensor) -> RatingGraph:
        """Return the graph of the edges where `mask` (n_edges,) is true; every node stays."""
        mask_by_movie = mask[self.to_movie_order]
        new_place = mask.cumsum(0, dtype=self.to_movie_order.dtype) - 1
        return replace(
            self,
            by_user=self.by_user.keep(mask),
            by_movie=self.by_movie.keep(mask_by_movie),
            to_movie_order=new_place[self.to_movie_order[mask_by_movie]],
            user=self.user[mask],
            rating=self.rating[mask],
            moment=None if self.moment is None else self.moment[mask],
        )

    def edges_of(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Return the edges of some users, one user's after the other's.

        Shapes: users: (n,) -> (m,) place of each edge's user among these, (m,) edge numbers.
        """
        pointer = self.by_user.pointer.long()
        size = pointer[users + 1] - pointer[users]
        row = torch.arange(len(users), device=users.device).repeat_interleave(size)
        first = (pointer[users] - (size.cumsum(0) - size))[row]
        return row, first + torch.arange(len(row), device=users.device)

    def select(self, edges: Tensor) -> RatingGraph:
        """Return the graph of these edges alone; every node stays.

        Cheaper than `keep` for few edges. Shapes: edges: (n,) int64 ascending edge numbers.
        """
        ends = (self.user[edges], self.movie[edges], self.rating[edges])
        graph = RatingGraph.of_edges(*ends, self.n_users, self.n_movies)
        pattern = graph.by_movie
        return replace(
            graph,
            by_movie=replace(self.by_movie, pointer=pattern.pointer, column=pattern.column),
            moment=None if self.moment is None else self.moment[edges],
            full_graph=self.full_graph,
        )

    def with_outside(self, outside: OutsideRatings) -> RatingGraph:
        """Return the graph as a part of a larger one, with what is visible outside it."""
        by_movie = replace(self.by_movie, outside_degree=outside.count)
        return replace(self, by_movie=by_movie, outside=outside)

    def without(self, edges: Tensor) -> RatingGraph:
        """Return the graph with these edges hidden. Shapes: edges: (n,) int64 edge numbers."""
        visible = torch.ones(self.n_edges, dtype=torch.bool, device=edges.device)
        visible[edges] = False
        return self.keep(visible)

    def to(self, device: torch.device) -> RatingGraph:
        """Return the graph on a device."""
        return replace(
            self,
            by_user=self.by_user.to(device),
            by_movie=self.by_movie.to(device),
            to_movie_order=self.to_movie_order.to(device),
            user=self.user.to(device),
            rating=self.rating.to(device),
            moment=_moved(self.moment, device),
            outside=None if self.outside is None else self.outside.to(device),
        )

    def to_hetero_data(self, user_features: Tensor, movie_features: Tensor) -> HeteroData:
        """Return the same graph as torch-geometric's `HeteroData`.

        Node types `user` and `movie`, edge types `(user, rates, movie)` and
        `(movie, rated_by, user)`, the rating in stars as `edge_attr` (n_edges, 1).
        """
        from torch_geometric.data import HeteroData

        data = HeteroData()
        data["user"].x, data["movie"].x = user_features, movie_features
        forward, stars = torch.stack([self.user, self.movie]).long(), self.rating[:, None]
        data["user", "rates", "movie"].edge_index = forward
        data["user", "rates", "movie"].edge_attr = stars
        data["movie", "rated_by", "user"].edge_index = forward.flip(0)
        data["movie", "rated_by", "user"].edge_attr = stars
        return data


def _moved(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    return None if tensor is None else tensor.to(device)


def _sort_order(user: IntArray, movie: IntArray) -> IntArray | slice:
    """Return the order by user, then movie; the files of large data sets are in it already."""
    step = np.diff(user)
    if (step >= 0).all() and (np.diff(movie)[step == 0] >= 0).all():
        return slice(None)
    order: IntArray = np.lexsort((movie, user))
    return order


def _time_ranks(times: IntArray, kind: type[np.signedinteger]) -> Tensor:
    """Return each time's rank, oldest 0; equal times are in the order of their edges."""
    ranks = np.empty(len(times), kind)
    ranks[np.argsort(times, kind="stable")] = np.arange(len(times), dtype=kind)
    return torch.from_numpy(ranks)


def _check_edges(
    user: IntArray,
    movie: IntArray,
    n_users: int,
    n_movies: int,
) -> None:
    for kind, index, count in (("user", user, n_users), ("movie", movie, n_movies)):
        if len(index) and not (index.min() >= 0 and index.max() < count):
            raise DataError(f"A {kind} index lies outside 0…{count - 1}.")
    twice = (np.diff(user) == 0) & (np.diff(movie) == 0)
    if twice.any():
        where = int(np.flatnonzero(twice)[0])
        raise DataError(
            f"User {user[where]} rated movie {movie[where]} twice.",
            hint="Import the data with `movierec data import`, which keeps one of them.",
        )
