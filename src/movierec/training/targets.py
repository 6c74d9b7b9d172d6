"""Which ratings a training step hides from the graph and predicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor

from movierec.errors import HyperparameterError
from movierec.graph import RatingGraph
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.negative_sampling import NegativeSample
from movierec.training.budget import steps_per_epoch
from movierec.training.distributed.shard import Shard

__all__ = ["FullGraphSampler", "Step", "StepSampler", "moment_bounds"]

EARLIEST, LATEST = 0.2, 0.95  # share of the ratings before the moment that `later` draws
NEWCOMER_SHARE = 0.1
NEWCOMER_RATINGS = 10  # a newcomer shows at most so many ratings


@dataclass(frozen=True, eq=False)
class Step:
    """What is visible, what is predicted, and which movies are ranked for whom.

    `nodes` are the users and the movies of the two graphs, None where they are all.
    """

    visible: RatingGraph
    targets: RatingGraph
    negatives: NegativeSample
    nodes: tuple[Tensor, Tensor] | None = None


class StepSampler:
    """What every way of drawing steps starts from: the graph, and the times it may need.

    Of several workers each draws the same, and keeps what is of its own users.

    Raises:
        HyperparameterError: `hiding` is later and the ratings have no times.

    """

    def __init__(
        self,
        graph: RatingGraph,
        config: SageHyperparameters,
        random: torch.Generator,
        shard: Shard | None = None,
    ) -> None:
        if config.uses_trend and graph.moment is None:
            raise HyperparameterError(
                "hiding later needs rating times, and these ratings have none.",
                hint="Set hiding to random, or import the ratings with their timestamps.",
            )
        self.graph = graph
        self.config = config
        self.random = random
        self.shard = shard or Shard.full(graph.n_users, graph.n_edges)
        self.steps = steps_per_epoch(config, self.shard.n_edges)

    def _permutation(self) -> Tensor:
        return torch.randperm(self.shard.n_edges, generator=self.random)

    def _uniform(self, size: int) -> Tensor:
        return torch.rand(size, generator=self.random)

    def _newcomers(self, users: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Draw who is a newcomer, and how many ratings each would show, of these users alone."""
        chance, share = (self._uniform(self.shard.n_users)[users] for _ in range(2))
        device = self.graph.rating.device
        most = (share * (NEWCOMER_RATINGS + 1)).long()
        return (chance < NEWCOMER_SHARE).to(device), most.to(device)

    def _moment_bounds(self) -> tuple[int, int]:
        """Draw a moment; return it and the end of the time right after it."""
        share = float(self._uniform(1))
        return moment_bounds(share, self.shard.n_edges, self.config.target_fraction)


class FullGraphSampler(StepSampler):
    """Draws the visible graph and the targets of every step, by `hiding`.

    - random: every train rating is a target once per epoch, and hidden then, unless nothing is
      hidden (`target_fraction` 0);
    - newcomers: beside that, a tenth of the users hides all but its 0 to 10 oldest ratings,
      and all the others are targets too;
    - later: a step draws a moment. What came before is visible and the ratings right after it,
      a `target_fraction` of all, are the targets; what came later still is neither.
    """

    def epoch(self, steps: int) -> Iterator[Step]:
        """Yield an epoch's first steps."""
        for visible, targets in self._graphs(steps):
            degree = visible.by_movie.degree
            yield Step(visible, targets, self.shard.negatives(degree, self.config, self.random))

    def _graphs(self, steps: int) -> Iterator[tuple[RatingGraph, RatingGraph]]:
        if self.config.uses_trend:
            yield from (self._later() for _ in range(min(steps, self.steps)))
            return
        order = self._permutation()
        for batch in islice(order.tensor_split(self.steps), steps):
            edges = self._own(batch).sort().values.to(self.graph.user.device)
            hides = self.config.target_fraction > 0
            yield self._hidden(edges) if hides else (self.graph, self.graph.select(edges))

    def _own(self, edges: Tensor) -> Tensor:
        """Return which of the edges are this worker's, in its own numbers."""
        if self.shard.group.size == 1:
            return edges
        edges = edges - self.shard.first_edge
        return edges[(edges >= 0) & (edges < self.graph.n_edges)]

    def _hidden(self, edges: Tensor) -> tuple[RatingGraph, RatingGraph]:
        """Return the graph without these edges, and of these edges alone."""
        if self.config.hiding == "newcomers":
            is_target = self._of_newcomers()
            is_target[edges] = True
            edges = is_target.nonzero()[:, 0]
        return self.graph.without(edges), self.graph.select(edges)

    def _of_newcomers(self) -> Tensor:
        """Return which edges some users do not have yet, (n_edges,) bool."""
        graph, device, shard = self.graph, self.graph.user.device, self.shard
        newcomer, most = self._newcomers(slice(shard.first_user, shard.last_user))
        by_time = self._own(self._permutation()).to(device)
        if graph.moment is not None:
            by_time = graph.moment.argsort()
        # a stable sort by user keeps the order in time within each user
        by_user = by_time[graph.user[by_time].argsort(stable=True)]
        place = torch.empty_like(by_user)
        place[by_user] = torch.arange(graph.n_edges, device=device)
        rank = place - graph.by_user.pointer[graph.user]
        return newcomer[graph.user] & (rank >= most[graph.user])

    def _later(self) -> tuple[RatingGraph, RatingGraph]:
        graph = self.graph
        assert graph.moment is not None  # the constructor saw to it
        cut, end = self._moment_bounds()
        is_target = (graph.moment >= cut) & (graph.moment < end)
        before = self.shard.before(cut, graph.n_movies)
        visible = replace(graph.keep(graph.moment < cut), full_graph=before)
        return visible, graph.select(is_target.nonzero()[:, 0])


def moment_bounds(drawn: float, n_edges: int, fraction: float) -> tuple[int, int]:
    """Return the first moment whose rating is a target and the first whose is not any more.

    `drawn` is uniform in [0, 1), `fraction` the share of all ratings that are targets.
    """
    share = EARLIEST + (LATEST - EARLIEST) * drawn
    cut = min(max(int(n_edges * share), 1), n_edges - 1)
    return cut, cut + max(1, int(n_edges * fraction))
