"""Which users and which movies a step's ranking loss compares, where all would be too many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from movierec.graph import RatingGraph
from movierec.models.graphsage.hyperparameters import MOST_SCORES, SageHyperparameters

__all__ = ["NegativeSample"]


@dataclass(frozen=True, eq=False)
class NegativeSample:
    """The users whose targets are ranked and the movies they are ranked among; None: all.

    Shapes: users: (n_users,) bool; sample: (k,) movies, repeats allowed, and (k,) log of how
    often each of them is expected in the sample.
    """

    users: Tensor | None = None
    sample: tuple[Tensor, Tensor] | None = None

    @classmethod
    def draw(
        cls, degree: Tensor, n_users: int, config: SageHyperparameters, random: torch.Generator
    ) -> Self:
        """Draw for one step.

        Movies are drawn by their visible ratings, `degree` (n_movies,), and a count of 1 each;
        users so that about `MOST_SCORES` scores are made. What is small is not drawn from.
        """
        n_movies, limit = len(degree), config.sampled_movies
        if config.loss_type == "bpr":  # draws one movie per target by itself
            return cls()
        users = sample = None
        if n_movies > limit:
            # in 64 bits: summed up in 32, the shares of a large catalogue would not reach 1
            share = (degree.double() + 1) / (degree.sum() + n_movies)
            # the inverse of the cumulative distribution at k uniform numbers, with replacement
            uniform = torch.rand(limit, generator=random, dtype=torch.float64).to(degree.device)
            drawn = torch.searchsorted(share.cumsum(0), uniform).clamp(max=n_movies - 1)
            sample = drawn, (limit * share[drawn]).log().float()
        wanted = MOST_SCORES / min(n_movies, limit)
        if n_users > wanted:
            users = torch.rand(n_users, generator=random) < wanted / n_users
            users = users.to(degree.device)
        return cls(users, sample)

    def of(self, targets: RatingGraph) -> RatingGraph:
        """Return the targets of the drawn users."""
        if self.users is None:
            return targets
        return targets.keep(self.users[targets.user])

    def within(self, first: int, last: int) -> Self:
        """Return the sample for these users alone, who then count from 0."""
        return self if self.users is None else replace(self, users=self.users[first:last])

    def renumbered(self, new_movie: Tensor) -> Self:
        """Return the sample with the movies' new numbers, `new_movie` (n_movies,)."""
        if self.sample is None:
            return self
        movie, log_count = self.sample
        return replace(self, sample=(new_movie[movie].long(), log_count))
