"""Train ratings as a bipartite graph: users on one side, movies on the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from movierec.data.dataset import IntArray, Interactions
from movierec.errors import DataError

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["Layout", "RatingGraph"]


@dataclass(frozen=True, eq=False)
class Layout:
    """The pattern of a sparse matrix in CSR form.

    Shapes:
        pointer: (n_rows + 1,) int64; column: (n_edges,) int64.
    """

    pointer: Tensor
    column: Tensor
    n_columns: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.pointer) - 1

    @property
    def degree(self) -> Tensor:
        """Number of edges per row, (n_rows,) float32."""
        return self.pointer.diff().to(torch.float32)

    @property
    def row(self) -> Tensor:
        """Row of each edge, (n_edges,) int64."""
        rows = torch.arange(self.n_rows, device=self.pointer.device)
        return rows.repeat_interleave(self.pointer.diff(), output_size=len(self.column))

    def keep(self, mask: Tensor) -> Layout:
        """Return the pattern with only the edges where `mask` (n_edges,) is true."""
        before = torch.nn.functional.pad(mask.cumsum(0), (1, 0))
        return replace(self, pointer=before[self.pointer], column=self.column[mask])

    def to(self, device: torch.device) -> Layout:
        """Return the pattern on a device."""
        return replace(self, pointer=self.pointer.to(device), column=self.column.to(device))


@dataclass(frozen=True, eq=False)
class RatingGraph:
    """Rating edges in both CSR layouts; edge arrays are in `by_user` order.

    `by_user` has users as rows and movies as columns, `by_movie` the other way round.
    Edge `e` of `by_movie` is edge `to_movie_order[e]` of `by_user`.

    Shapes:
        user, movie, to_movie_order: (n_edges,) int64; rating: (n_edges,) float32 stars;
        moment: (n_edges,) int64 place of each edge in time, oldest lowest; None without times.
    """

    by_user: Layout
    by_movie: Layout
    to_movie_order: Tensor
    user: Tensor
    rating: Tensor
    moment: Tensor | None = None

    @classmethod
    def build(cls, ratings: Interactions, n_users: int, n_movies: int) -> RatingGraph:
        """Make the graph of these ratings; the order in which they come does not matter.

        Raises:
            DataError: a user rated a movie twice, or an index is out of range.

        """
        order = np.lexsort((ratings.movie, ratings.user))
        user, movie = ratings.user[order], ratings.movie[order]
        _check_edges(user, movie, n_users, n_movies)
        rating = torch.from_numpy(ratings.rating[order])
        ends = torch.from_numpy(user), torch.from_numpy(movie)
        graph = cls.of_edges(*ends, rating, n_users, n_movies)
        if ratings.timestamp is None:
            return graph
        return replace(graph, moment=_places(torch.from_numpy(ratings.timestamp[order])))

    @classmethod
    def of_edges(
        cls, user: Tensor, movie: Tensor, rating: Tensor, n_users: int, n_movies: int
    ) -> RatingGraph:
        """Make the graph of edges already sorted by user, then movie; each (n_edges,)."""
        order = movie.argsort(stable=True)
        return cls(
            by_user=_pattern(user, movie, n_users, n_movies),
            by_movie=_pattern(movie[order], user[order], n_movies, n_users),
            to_movie_order=order,
            user=user,
            rating=rating,
        )

    @property
    def movie(self) -> Tensor:
        """Movie of each edge, (n_edges,) int64."""
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
        new_place = mask.cumsum(0) - 1
        return RatingGraph(
            by_user=self.by_user.keep(mask),
            by_movie=self.by_movie.keep(mask_by_movie),
            to_movie_order=new_place[self.to_movie_order[mask_by_movie]],
            user=self.user[mask],
            rating=self.rating[mask],
            moment=None if self.moment is None else self.moment[mask],
        )

    def select(self, edges: Tensor) -> RatingGraph:
        """Return the graph of these edges alone; every node stays.

        Cheaper than `keep` for few edges. Shapes: edges: (n,) int64 ascending edge numbers.
        """
        ends = (self.user[edges], self.movie[edges], self.rating[edges])
        graph = RatingGraph.of_edges(*ends, self.n_users, self.n_movies)
        return replace(graph, moment=None if self.moment is None else self.moment[edges])

    def without(self, edges: Tensor) -> RatingGraph:
        """Return the graph with these edges hidden. Shapes: edges: (n,) int64 edge numbers."""
        visible = torch.ones(self.n_edges, dtype=torch.bool, device=edges.device)
        visible[edges] = False
        return self.keep(visible)

    def to(self, device: torch.device) -> RatingGraph:
        """Return the graph on a device."""
        return RatingGraph(
            by_user=self.by_user.to(device),
            by_movie=self.by_movie.to(device),
            to_movie_order=self.to_movie_order.to(device),
            user=self.user.to(device),
            rating=self.rating.to(device),
            moment=None if self.moment is None else self.moment.to(device),
        )

    def to_hetero_data(self, user_features: Tensor, movie_features: Tensor) -> HeteroData:
        """Return the same graph as torch-geometric's `HeteroData`.

        Node types `user` and `movie`, edge types `(user, rates, movie)` and
        `(movie, rated_by, user)`, the rating in stars as `edge_attr` (n_edges, 1).
        """
        from torch_geometric.data import HeteroData

        data = HeteroData()
        data["user"].x, data["movie"].x = user_features, movie_features
        forward, stars = torch.stack([self.user, self.movie]), self.rating[:, None]
        data["user", "rates", "movie"].edge_index = forward
        data["user", "rates", "movie"].edge_attr = stars
        data["movie", "rated_by", "user"].edge_index = forward.flip(0)
        data["movie", "rated_by", "user"].edge_attr = stars
        return data


def _places(times: Tensor) -> Tensor:
    """Return each time's place, oldest 0; equal times are in the order of their edges."""
    places = torch.empty_like(times)
    places[times.argsort(stable=True)] = torch.arange(len(times))
    return places


def _pattern(row: Tensor, column: Tensor, n_rows: int, n_columns: int) -> Layout:
    """Return the layout of edges whose rows ascend."""
    starts = torch.arange(n_rows + 1, device=row.device)
    return Layout(torch.searchsorted(row.contiguous(), starts), column.contiguous(), n_columns)


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
