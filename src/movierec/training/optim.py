"""How weights move: the update rule and the learning rate's course."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.models.graphsage.network import GraphSage
from movierec.training.muon import MuonAdamW

__all__ = ["StepBudget", "make_optimizer", "make_schedule", "parts_per_pass", "steps_per_epoch"]

FEWEST_STEPS_OF_A_CYCLE = 4


@dataclass(frozen=True)
class StepBudget:
    """How many steps a fit takes at most, and over how many its learning rate is laid out."""

    steps: int
    planned: int

    @classmethod
    def whole(cls, config: SageHyperparameters, n_ratings: int) -> StepBudget:
        """Return all epochs of the hyperparameters."""
        steps = config.epochs * steps_per_epoch(config, n_ratings)
        return cls(steps, steps)


def steps_per_epoch(config: SageHyperparameters, n_ratings: int) -> int:
    """Return the steps of one pass over the train ratings; one never hides all of them."""
    parts = parts_per_pass(config, n_ratings)
    if config.target_fraction:
        return parts * min(n_ratings, max(2, round(1 / config.target_fraction)))
    return parts * math.ceil(n_ratings / (parts * config.batch_size))


def parts_per_pass(config: SageHyperparameters, n_ratings: int) -> int:
    """Return in how many parts of users the ratings are gone through; 1 is the whole graph."""
    return math.ceil(n_ratings / (config.graph_ratings or n_ratings))


def make_optimizer(model: GraphSage) -> torch.optim.Optimizer:
    """Return the update rule of a model's hyperparameters over its weights."""
    config = model.config
    if config.optimizer == "muon":
        return MuonAdamW(model.parameters(), config.learning_rate, config.weight_decay)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


def make_schedule(
    optimizer: torch.optim.Optimizer, config: SageHyperparameters, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the learning rate's course over so many steps, one of it per step of the training."""
    if config.schedule == "constant" or steps < FEWEST_STEPS_OF_A_CYCLE:
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    # torch divides by zero where either half of the cycle has a single step
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=config.learning_rate,
        total_steps=steps,
        pct_start=max(0.1, 2 / steps),
    )
