"""Steps on minibatches of users, for a graph that is too large for one step.

A step takes random users with all their ratings. Of a movie's raters only those of them are its
neighbours: a sample drawn evenly, as if each movie sampled its own (Hamilton, Ying and Leskovec,
2017, arXiv:1706.02216, section 3.1), but shared by all movies, so that no neighbourhood grows
from layer to layer. Degrees, biases and trends, which take no states, are those of all visible
ratings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor

from movierec.graph import OutsideRatings, RatingGraph
from movierec.models.graphsage.formulas import first_newest
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.negative_sampling import NegativeSample
from movierec.training.budget import minibatches_per_pass
from movierec.training.distributed.shard import Shard
from movierec.training.targets import Step, StepSampler

__all__ = ["MinibatchSampler"]

BLOCK = 2_000_000  # ratings counted at a time: 64 MB


@dataclass(frozen=True, eq=False)
class _Minibatch:
    """Some users, ascending, and their edges in the full graph, those of a user together.

    Shapes: users, size: (n_users,), size their number of edges; edges, row: (n_edges,) number of
    each edge in the full graph, and the place of its user among the users.
    """

    full: RatingGraph
    users: Tensor
    size: Tensor
    edges: Tensor
    row: Tensor

    @classmethod
    def of(cls, full: RatingGraph, users: Tensor) -> _Minibatch:
        row, edges = full.edges_of(users)
        return cls(full, users, full.by_user.pointer.diff()[users].long(), edges, row)

    @cached_property
    def movie(self) -> Tensor:
        return self.full.movie[self.edges]

    @cached_property
    def rating(self) -> Tensor:
        return self.full.rating[self.edges]

    @cached_property
    def moment(self) -> Tensor:
        assert self.full.moment is not None
        return self.full.moment[self.edges]

    def rank(self) -> Tensor:
        """Rank in time of each edge among its user's, from 0; without times in any order."""
        if self.full.moment is None:
            time = torch.rand(len(self.edges)).to(self.edges.device)
        else:
            time = self.moment
        order = time.argsort(stable=True)
        # a stable sort by user keeps the order in time within each user
        order = order[self.row[order].argsort(stable=True)]
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        return place - (self.size.cumsum(0) - self.size)[self.row]

    def graph(self, chosen: Tensor, new_movie: Tensor, n_movies: int) -> RatingGraph:
        """Return the graph of the edges where `chosen` (n_edges,) is true.

        Users are numbered from 0, movies by `new_movie` (all movies,).
        """
        edges, kind = self.edges[chosen], self.full.movie.dtype
        ends = self.row[chosen].to(kind), new_movie[self.movie[chosen]]
        graph = RatingGraph.of_edges(*ends, self.rating[chosen], len(self.users), n_movies)
        moment = self.full.moment
        return replace(graph, moment=None if moment is None else moment[edges])


class MinibatchSampler(StepSampler):
    """Draws the steps of an epoch as `FullGraphSampler` does, each on a minibatch of the users.

    With hiding random or newcomers an epoch goes through all users 1 / `target_fraction` times,
    and every rating is a target once; without a `target_fraction` it goes through them once, and
    predicts about `batch_size` of a minibatch's ratings at a time, all of them visible.
    """

    def __init__(
        self,
        graph: RatingGraph,
        config: SageHyperparameters,
        random: torch.Generator,
        shard: Shard | None = None,
    ) -> None:
        super().__init__(graph, config, random, shard)
        self.minibatches = minibatches_per_pass(config, self.shard.n_edges)
        # in how many steps, each with other targets, a minibatch's ratings are all predicted
        self.turns = self.steps // self.minibatches
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
            for users in order.tensor_split(self.minibatches):
                for batch in range(batches):
                    yield self._step(users, turn, number + batch)

    def _step(self, users: Tensor, turn: Tensor, number: int) -> Step:
        """Return the step on these users, (n,) in the numbers of all workers' users."""
        batch = _Minibatch.of(self.graph, self._own(users))
        # masks over the minibatch's edges, and counts over all movies, (n_movies,) each
        if self.config.uses_trend:
            shown, is_target, cut = self._later(batch)
            outside = self._before(cut).without(self._newest(batch, shown, cut))
        else:
            is_target, cut = self._targets(batch, turn[batch.edges] == number), None
            shown = ~is_target if self.config.target_fraction else torch.ones_like(is_target)
            outside = self._everything.without(self._counts(batch.movie, batch.rating))
        degree = outside.count + self._counts(batch.movie[shown], batch.rating[shown]).count
        negatives = NegativeSample.draw(degree, len(users), self.config, self.random)
        # only movies that some worker needs are in the step's graphs: they get new numbers
        movies = self._needed(batch.movie[is_target | shown], negatives.sample)
        new_movie = torch.full_like(degree, -1, dtype=batch.movie.dtype)
        new_movie[movies] = torch.arange(len(movies), dtype=new_movie.dtype, device=degree.device)
        visible, targets = (
            self.shard.share(batch.graph(which, new_movie, len(movies)))
            for which in (shown, is_target)
        )
        full = self.shard.before(cut, self.graph.n_movies)
        visible = replace(visible.with_outside(outside.of(movies)), full_graph=full)
        before = int((users < self.shard.first_user).sum())
        negatives = negatives.within(before, before + len(batch.users)).renumbered(new_movie)
        return Step(visible, targets, negatives, (batch.users, movies))

    def _own(self, users: Tensor) -> Tensor:
        """Return which of the users are this worker's, in its own numbers, ascending."""
        users = users[(users >= self.shard.first_user) & (users < self.shard.last_user)]
        return (users - self.shard.first_user).sort().values.to(self.graph.rating.device)

    def _targets(self, batch: _Minibatch, drawn: Tensor) -> Tensor:
        """Return which of the minibatch's edges are targets, where time does not decide."""
        if self.config.hiding != "newcomers" or not self.config.target_fraction:
            return drawn
        newcomer, most = self._newcomers(self.shard.first_user + batch.users.cpu())
        return drawn | (newcomer[batch.row] & (batch.rank() >= most[batch.row]))

    def _later(self, batch: _Minibatch) -> tuple[Tensor, Tensor, int]:
        """Return which edges are shown and which are targets, and the moment between them."""
        cut, end = self._moment_bounds()
        moment = batch.moment
        return moment < cut, (moment >= cut) & (moment < end), cut

    def _before(self, cut: int) -> OutsideRatings:
        """Count the ratings of all users before a moment."""
        graph = self.graph
        assert graph.moment is not None  # the constructor saw to it
        old = graph.moment < cut
        return self._counts(
            graph.movie[old], graph.rating[old], graph.moment[old] >= first_newest(cut)
        )

    def _newest(self, batch: _Minibatch, shown: Tensor, cut: int) -> OutsideRatings:
        newest = batch.moment[shown] >= first_newest(cut)
        return self._counts(batch.movie[shown], batch.rating[shown], newest)

    def _counts(
        self, movie: Tensor, rating: Tensor, newest: Tensor | None = None
    ) -> OutsideRatings:
        """Sum up ratings by movie, those of all workers together; (n,) each."""
        # of a hundred thousand ratings a sum in 32 bits would lose some stars; MPS has no others
        kind = torch.float32 if rating.device.type == "mps" else torch.float64
        sums = torch.zeros(self.graph.n_movies, 3, dtype=kind, device=rating.device)
        recent = torch.zeros_like(movie, dtype=torch.bool) if newest is None else newest
        blocks = (torch.split(values, BLOCK) for values in (movie, rating, recent))
        for rows, stars, late in zip(*blocks, strict=True):
            facts = torch.stack([torch.ones_like(stars), stars, late.to(stars.dtype)], dim=1)
            sums = sums.index_add(0, rows, facts.to(kind))
        return OutsideRatings(*self.shard.group.sum(sums.t().float()))

    def _needed(self, movie: Tensor, sample: tuple[Tensor, Tensor] | None) -> Tensor:
        """Return the movies that a step needs, ascending, the same for all workers."""
        needed = torch.zeros(self.graph.n_movies, device=movie.device)
        needed[movie] = 1
        if sample is not None:
            needed[sample[0]] = 1
        return self.shard.group.sum(needed).nonzero()[:, 0]
