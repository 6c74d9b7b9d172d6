"""How many steps a training takes, and whether each sees the whole graph or a minibatch of users.

A step's time is about proportional to

    ratings + NODE · movies · (hidden_dim / 64) + RANKING

in units of one rating's messages through all layers: the sparse products and what goes with them
run over ratings, the dense layers over nodes, the ranking loss over a fixed number of scores. A
larger part costs less per rating and gives fewer steps per pass; at the size where the ratings
take as long as everything else, a pass takes twice what it would on the whole graph at most.
The numbers are round ones, from steps timed on two cores; docs/SCALE.md has the cost in detail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from movierec.models.graphsage.hyperparameters import SageHyperparameters

__all__ = ["NODE", "StepBudget", "graph_ratings", "minibatches_per_pass", "steps_per_epoch"]

NODE = 15.0  # ratings whose messages take as long as one movie's layers
RANKING = 1_000_000.0  # ratings whose messages take as long as the ranking loss
FEWEST = 1_000_000  # ratings in a minibatch, so that most movies have some of their raters in it
WHOLE = 1.5  # up to so many minibatches, the whole graph


def graph_ratings(config: SageHyperparameters, n_movies: int, n_ratings: int) -> int:
    """Return the most ratings that a step's graph should have; 0: the whole graph in every step.

    What the hyperparameters say; where they say 0, the size at which a step's ratings take as
    long as the rest of it, unless the whole graph is hardly larger.
    """
    if config.graph_ratings:
        return config.graph_ratings
    rest = NODE * n_movies * config.hidden_dim / 64 + (RANKING if config.ranks else 0)
    most = max(FEWEST, round(rest, -5))
    return 0 if n_ratings <= WHOLE * most else int(most)


@dataclass(frozen=True)
class StepBudget:
    """How many steps a fit takes at most, and over how many its learning rate is laid out."""

    steps: int
    planned: int

    @classmethod
    def full(cls, config: SageHyperparameters, n_ratings: int) -> StepBudget:
        """Return all epochs of the hyperparameters."""
        steps = config.epochs * steps_per_epoch(config, n_ratings)
        return cls(steps, steps)


def steps_per_epoch(config: SageHyperparameters, n_ratings: int) -> int:
    """Return the steps of one pass over the train ratings; one never hides all of them."""
    minibatches = minibatches_per_pass(config, n_ratings)
    if config.target_fraction:
        return minibatches * min(n_ratings, max(2, round(1 / config.target_fraction)))
    return minibatches * math.ceil(n_ratings / (minibatches * config.batch_size))


def minibatches_per_pass(config: SageHyperparameters, n_ratings: int) -> int:
    """Return how many minibatches of users have all ratings; 1 is the whole graph."""
    return math.ceil(n_ratings / (config.graph_ratings or n_ratings))
