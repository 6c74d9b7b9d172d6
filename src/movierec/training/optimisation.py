"""How weights move: the update rule and the learning rate's course."""

from __future__ import annotations

import torch

from movierec.models.hyperparameters import SageHyperparameters
from movierec.models.sage import GraphSage

__all__ = ["make_optimizer", "make_schedule"]

FEWEST_STEPS_OF_A_CYCLE = 4


def make_optimizer(model: GraphSage) -> torch.optim.Optimizer:
    """Return the update rule of a model's hyperparameters over its weights."""
    config = model.config
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


def make_schedule(
    optimizer: torch.optim.Optimizer, config: SageHyperparameters, steps_per_epoch: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the learning rate's course, one step of it per step of the training."""
    steps = config.epochs * steps_per_epoch
    if config.schedule == "constant" or steps < FEWEST_STEPS_OF_A_CYCLE:
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    # torch divides by zero where either half of the cycle has a single step
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=config.learning_rate,
        total_steps=steps,
        pct_start=max(0.1, 2 / steps),
    )
