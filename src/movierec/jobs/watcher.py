"""What a training tells its run's row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from movierec.progress import Progress
from movierec.store import EpochRecord, Store
from movierec.training.hooks import EpochResult, Plan

__all__ = ["Progress", "Watcher", "complete_epochs"]

TRAIN_SHARE = (0.02, 0.90)  # where training starts and how much of the bar it takes


class Watcher:
    """A training hook that keeps the run's epochs and a progress bar up to date."""

    def __init__(self, store: Store, run_id: int, tell: Progress) -> None:
        self.store = store
        self.run_id = run_id
        self.tell = tell
        self.plan: Plan | None = None

    def on_start(self, plan: Plan) -> None:
        """Remember how much there is to do."""
        self.plan = plan

    def on_step(self, epoch: int, step: int) -> None:
        """Move the bar."""
        if self.plan is None:
            return
        done = (epoch - 1 + step / self.plan.steps_per_epoch) / self.plan.epochs
        start, share = TRAIN_SHARE
        self.tell(f"epoch {epoch} of {self.plan.epochs}", start + share * done)

    def on_epoch(self, result: EpochResult) -> None:
        """Keep the epoch as a row."""
        self.store.runs.add_epoch(self.run_id, EpochRecord(**result.as_dict()))


def complete_epochs(store: Store, run_id: int, history: Iterable[Mapping[str, Any]]) -> None:
    """Keep every epoch of a `training_history` as a row.

    A run killed between an epoch's checkpoint and its row never does that epoch again.
    """
    for item in history:
        values: dict[str, Any] = {k: math.nan if v is None else v for k, v in item.items()}
        store.runs.add_epoch(run_id, EpochRecord(**values))
