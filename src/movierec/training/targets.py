"""Which ratings a training step hides from the graph and asks for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from movierec.errors import HyperparameterError
from movierec.graph import RatingGraph
from movierec.models.hyperparameters import SageHyperparameters
from movierec.training.optimisation import steps_per_epoch

__all__ = ["Parts", "TargetDraw"]

Parts = tuple[RatingGraph, RatingGraph]  # what is visible, what is asked for

EARLIEST, LATEST = 0.2, 0.95  # share of the ratings before the moment that `later` draws
NEWCOMER_SHARE = 0.1
NEWCOMER_RATINGS = 10  # a newcomer shows at most so many ratings


class TargetDraw:
    """Draws the visible graph and the targets of every step, by `hiding`.

    - random: every train rating is a target once per epoch, and hidden then, unless nothing is
      hidden (`target_fraction` 0);
    - newcomers: beside that, a tenth of the users hides all but its 0 to 10 oldest ratings,
      and all the others are targets too;
    - later: a step draws a moment. What came before is visible and the ratings right after it,
      a `target_fraction` of all, are the targets; what came later still is neither.

    Raises:
        HyperparameterError: `hiding` is later and the ratings have no times.

    """

    def __init__(self, graph: RatingGraph, config: SageHyperparameters, random: torch.Generator):
        self.graph = graph
        self.config = config
        self.random = random
        self.steps = steps_per_epoch(config, graph.n_edges)
        if config.foresees and graph.moment is None:
            raise HyperparameterError(
                "hiding later needs rating times, and these ratings have none.",
                hint="Set hiding to random, or import the ratings with their timestamps.",
            )

    def epoch(self, steps: int) -> Iterator[Parts]:
        """Yield the parts of an epoch's first steps."""
        if self.config.foresees:
            yield from (self._later() for _ in range(min(steps, self.steps)))
            return
        order = self._permutation(self.graph.n_edges)
        for part in islice(order.tensor_split(self.steps), steps):
            edges = part.sort().values.to(self.graph.user.device)
            hides = self.config.target_fraction > 0
            yield self._hidden(edges) if hides else (self.graph, self.graph.select(edges))

    def _hidden(self, edges: Tensor) -> Parts:
        if self.config.hiding == "newcomers":
            asked = self._of_newcomers()
            asked[edges] = True
            edges = asked.nonzero()[:, 0]
        return self.graph.without(edges), self.graph.select(edges)

    def _of_newcomers(self) -> Tensor:
        """Return which edges some users do not have yet, (n_edges,)."""
        graph, device = self.graph, self.graph.user.device
        newcomer = (self._uniform(graph.n_users) < NEWCOMER_SHARE).to(device)
        most = (self._uniform(graph.n_users) * (NEWCOMER_RATINGS + 1)).long().to(device)
        by_time = self._permutation(graph.n_edges).to(device)
        if graph.moment is not None:
            by_time = graph.moment.argsort()
        by_user = by_time[graph.user[by_time].argsort(stable=True)]
        place = torch.empty_like(by_user)
        place[by_user] = torch.arange(graph.n_edges, device=device)
        rank = place - graph.by_user.pointer[graph.user]
        return newcomer[graph.user] & (rank >= most[graph.user])

    def _later(self) -> Parts:
        graph = self.graph
        assert graph.moment is not None  # the constructor saw to it
        share = EARLIEST + (LATEST - EARLIEST) * float(self._uniform(1))
        cut = min(max(int(graph.n_edges * share), 1), graph.n_edges - 1)
        end = cut + max(1, int(graph.n_edges * self.config.target_fraction))
        asked = (graph.moment >= cut) & (graph.moment < end)
        return graph.keep(graph.moment < cut), graph.select(asked.nonzero()[:, 0])

    def _permutation(self, size: int) -> Tensor:
        return torch.randperm(size, generator=self.random)

    def _uniform(self, size: int) -> Tensor:
        return torch.rand(size, generator=self.random)
