"""What a training tells: its plan, each epoch, its result; and watchers, which do not steer it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

__all__ = ["EpochResult", "FitResult", "Hook", "Plan", "Stage"]


@dataclass(frozen=True)
class Stage:
    """Which of a version's fits is going on; `number` counts from 1."""

    number: int = 1
    count: int = 1
    title: str = ""


@dataclass(frozen=True)
class Plan:
    """What a training is about to do; `done` are the epochs it did before it was resumed.

    `minibatches` of users make up a pass over the graph, 1 is all users at once; `workers` is how
    many processes share it.
    """

    epochs: int
    steps_per_epoch: int
    n_parameters: int
    device: str
    first_epoch: int
    stage: Stage = Stage()
    done: tuple[EpochResult, ...] = ()
    minibatches: int = 1
    workers: int = 1


@dataclass(frozen=True)
class EpochResult:
    """What one epoch measured; losses in the loss's own unit, RMSE in stars, wall seconds."""

    epoch: int
    train_loss: float
    val_loss: float
    val_rmse: float
    val_ndcg_10: float
    seconds: float
    is_best: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


@dataclass
class FitResult:
    """How a training went; the model holds the best epoch's weights."""

    history: list[EpochResult] = field(default_factory=list)
    best_epoch: int = 0
    stopped_early: bool = False

    @property
    def best(self) -> EpochResult:
        """The best epoch by the monitored metric."""
        return next(item for item in self.history if item.epoch == self.best_epoch)


class Hook(Protocol):
    """Called by the trainer as it goes; an exception in a hook ends the training."""

    def on_start(self, plan: Plan) -> None:
        """Before the first step of each fit; a version may take several."""
        ...

    def on_step(self, epoch: int, step: int) -> None:
        """After each step, both from 1."""
        ...

    def on_epoch(self, result: EpochResult) -> None:
        """After each epoch, once its checkpoint is on disk."""
        ...
