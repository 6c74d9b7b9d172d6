"""Steps on parts of a graph that is too large for one step.

A step takes random users with all their ratings. Of a movie's raters it hears only those of
them: a sample drawn evenly, as if each movie sampled its neighbours (Hamilton, Ying and Leskovec,
2017, arXiv:1706.02216, section 3.1), but shared by all movies, so that no neighbourhood grows
from layer to layer. What counts alone say, degrees, biases and trends, is of all visible ratings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor

from movierec.graph import OutsideRatings, RatingGraph
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.negative_sampling import NegativeSample
from movierec.models.graphsage.statistics import first_newest
from movierec.training.distributed.shard import Shard
from movierec.training.optim import parts_per_pass
from movierec.training.targets import (
    Draw,
    Step,
    moment_bounds,
)

__all__ = ["PartDraw"]

BLOCK = 2_000_000  # ratings counted at a time: 64 MB


@dataclass(frozen=True, eq=False)
class _Part:
    """Some users, ascending, and their edges in the whole graph, those of a user together.

    Shapes: users, size: (n_users,), size their number of edges; edges, row: (n_edges,) number of
    each edge in the whole graph, and the place of its user among the users.
    """

    whole: RatingGraph
    users: Tensor
    size: Tensor
    edges: Tensor
    row: Tensor

    @classmethod
    def of(cls, whole: RatingGraph, users: Tensor) -> _Part:
        row, edges = whole.edges_of(users)
        return cls(whole, users, whole.by_user.pointer.diff()[users].long(), edges, row)

    @cached_property
    def movie(self) -> Tensor:
        return self.whole.movie[self.edges]

    @cached_property
    def rating(self) -> Tensor:
        return self.whole.rating[self.edges]

    @cached_property
    def moment(self) -> Tensor:
        assert self.whole.moment is not None
        return self.whole.moment[self.edges]

    def rank(self) -> Tensor:
        """Place in time of each edge among its user's, from 0; without times in any order."""
        if self.whole.moment is None:
            time = torch.rand(len(self.edges)).to(self.edges.device)
        else:
            time = self.moment
        order = time.argsort(stable=True)
        order = order[self.row[order].argsort(stable=True)]
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        return place - (self.size.cumsum(0) - self.size)[self.row]

    def graph(self, chosen: Tensor, place: Tensor, n_movies: int) -> RatingGraph:
        """Return the graph of a mask's edges, users numbered from 0 and movies by `place`."""
        edges, kind = self.edges[chosen], self.whole.movie.dtype
        ends = self.row[chosen].to(kind), place[self.movie[chosen]]
        graph = RatingGraph.of_edges(*ends, self.rating[chosen], len(self.users), n_movies)
        moment = self.whole.moment
        return replace(graph, moment=None if moment is None else moment[edges])


class PartDraw(Draw):
    """Draws the steps of an epoch as `TargetDraw` does, each on a part of the users.

    With hiding random or newcomers an epoch goes through all users 1 / `target_fraction` times,
    and every rating is a target once; without a `target_fraction` it goes through them once, and
    asks for about `batch_size` of a part's ratings at a time, all of them visible.
    """

    def __init__(
        self,
        graph: RatingGraph,
        config: SageHyperparameters,
        random: torch.Generator,
        shard: Shard | None = None,
    ) -> None:
        super().__init__(graph, config, random, shard)
        self.parts = parts_per_pass(config, self.shard.n_edges)
        self.turns = self.steps // self.parts  # in which a part's ratings are asked for
        self._everything = self._counts(graph.movie, graph.rating)

    def epoch(self, steps: int) -> Iterator[Step]:
        """Yield an epoch's first steps."""
        drawn = torch.randint(
            self.turns, (self.shard.n_edges,), generator=self.random, dtype=torch.int32
        )
        first = self.shard.first_edge
        turn = drawn[first : first + self.graph.n_edges].to(self.graph.rating.device)
        yield from islice(self._steps(turn), steps)

    def _steps(self, turn: Tensor) -> Iterator[Step]:
        hides = self.config.target_fraction > 0
        passes, batches = (self.turns, 1) if hides else (1, self.turns)
        for number in range(passes):
            order = torch.randperm(self.shard.n_users, generator=self.random)
            for users in order.tensor_split(self.parts):
                for batch in range(batches):
                    yield self._step(users, turn, number + batch)

    def _step(self, users: Tensor, turn: Tensor, number: int) -> Step:
        part = _Part.of(self.graph, self._own(users))
        if self.config.uses_trend:
            shown, asked, cut = self._later(part)
            elsewhere = self._before(cut).without(self._newest(part, shown, cut))
        else:
            asked, cut = self._asked(part, turn[part.edges] == number), None
            shown = ~asked if self.config.target_fraction else torch.ones_like(asked)
            elsewhere = self._everything.without(self._counts(part.movie, part.rating))
        degree = elsewhere.count + self._counts(part.movie[shown], part.rating[shown]).count
        ranking = NegativeSample.draw(degree, len(users), self.config, self.random)
        movies = self._touched(part.movie[asked | shown], ranking.sample)
        place = torch.full_like(degree, -1, dtype=part.movie.dtype)
        place[movies] = torch.arange(len(movies), dtype=place.dtype, device=place.device)
        visible, targets = (
            part.graph(which, place, len(movies)).shared(self.shard.group)
            for which in (shown, asked)
        )
        whole = self.shard.before(cut, self.graph.n_movies)
        visible = replace(visible.beside(elsewhere.of(movies)), whole=whole)
        before = int((users < self.shard.first_user).sum())
        ranking = ranking.within(before, before + len(part.users)).renamed(place)
        return Step(visible, targets, ranking, (part.users, movies))

    def _own(self, users: Tensor) -> Tensor:
        """Return which of the users are this worker's, in its own numbers, ascending."""
        users = users[(users >= self.shard.first_user) & (users < self.shard.last_user)]
        return (users - self.shard.first_user).sort().values.to(self.graph.rating.device)

    def _asked(self, part: _Part, drawn: Tensor) -> Tensor:
        """Return which of the part's edges are asked for, where time does not decide."""
        if self.config.hiding != "newcomers" or not self.config.target_fraction:
            return drawn
        newcomer, most = self._newcomers(self.shard.first_user + part.users.cpu())
        return drawn | (newcomer[part.row] & (part.rank() >= most[part.row]))

    def _later(self, part: _Part) -> tuple[Tensor, Tensor, int]:
        share = float(self._uniform(1))
        cut, end = moment_bounds(share, self.shard.n_edges, self.config.target_fraction)
        moment = part.moment
        return moment < cut, (moment >= cut) & (moment < end), cut

    def _before(self, cut: int) -> OutsideRatings:
        """Count the ratings of all users before a moment."""
        graph = self.graph
        assert graph.moment is not None  # the constructor saw to it
        old = graph.moment < cut
        return self._counts(
            graph.movie[old], graph.rating[old], graph.moment[old] >= first_newest(cut)
        )

    def _newest(self, part: _Part, shown: Tensor, cut: int) -> OutsideRatings:
        newest = part.moment[shown] >= first_newest(cut)
        return self._counts(part.movie[shown], part.rating[shown], newest)

    def _counts(
        self, movie: Tensor, rating: Tensor, newest: Tensor | None = None
    ) -> OutsideRatings:
        """Sum up ratings by movie, those of all workers together."""
        # of a hundred thousand ratings a sum in 32 bits would lose some stars; MPS has no others
        kind = torch.float32 if rating.device.type == "mps" else torch.float64
        sums = torch.zeros(self.graph.n_movies, 3, dtype=kind, device=rating.device)
        recent = torch.zeros_like(movie, dtype=torch.bool) if newest is None else newest
        blocks = (torch.split(values, BLOCK) for values in (movie, rating, recent))
        for rows, stars, late in zip(*blocks, strict=True):
            facts = torch.stack([torch.ones_like(stars), stars, late.to(stars.dtype)], dim=1)
            sums = sums.index_add(0, rows, facts.to(kind))
        return OutsideRatings(*self.shard.group.sum(sums.t().float()))

    def _touched(self, movie: Tensor, sample: tuple[Tensor, Tensor] | None) -> Tensor:
        """Return the movies that a step needs, ascending, the same for all workers."""
        needed = torch.zeros(self.graph.n_movies, device=movie.device)
        needed[movie] = 1
        if sample is not None:
            needed[sample[0]] = 1
        return self.shard.group.sum(needed).nonzero()[:, 0]
