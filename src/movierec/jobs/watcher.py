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
        """Move the bar, of which every fit has an equal part."""
        plan = self.plan
        if plan is None:
            return
        within = (epoch - 1 + step / plan.steps_per_epoch) / plan.epochs
        start, share = TRAIN_SHARE
        done = start + share * (plan.stage.number - 1 + within) / plan.stage.count
        words = (plan.stage.title, f"epoch {epoch} of {plan.epochs}")
        self.tell(", ".join(filter(None, words)), done)

    def on_epoch(self, result: EpochResult) -> None:
        """Keep an epoch of the first fit, whose validation curve is the run's, as a row."""
        if self.plan is None or self.plan.stage.number == 1:
            self.store.runs.add_epoch(self.run_id, EpochRecord(**result.as_dict()))


def complete_epochs(store: Store, run_id: int, history: Iterable[Mapping[str, Any]]) -> None:
    """Keep every epoch of a `training_history` as a row.

    A run killed between an epoch's checkpoint and its row never does that epoch again.
    """
    for item in history:
        values: dict[str, Any] = {k: math.nan if v is None else v for k, v in item.items()}
        store.runs.add_epoch(run_id, EpochRecord(**values))
