"""Records of sweeps and trials, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from movierec.sweeps.request import Metric

__all__ = ["DIRECTIONS", "Direction", "SweepRecord", "TrialRecord", "TrialState", "best_of"]

Direction = Literal["minimize", "maximize"]
DIRECTIONS: Mapping[Metric, Direction] = {"val_rmse": "minimize", "val_ndcg_10": "maximize"}
TrialState = Literal["done", "pruned", "failed", "stopped", "running"]


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its values and its result on the validation part.

    `value` is the metric at the epoch the training kept; of a pruned trial, at the best one it
    reached; None where nothing was measured. Seconds are wall time.
    """

    number: int
    state: TrialState
    value: float | None
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    epochs: int
    best_epoch: int | None
    seconds: float | None
    reason: str
    hyperparameters: Mapping[str, Any]


@dataclass(frozen=True)
class SweepRecord:
    """A sweep and its trials, the best first.

    `importance` are shares of variance among `importance_of` finished trials; `command` and
    `training`, the fields of a TrainRequest, train exactly the best trial.
    """

    name: str
    preset: str
    dataset: str
    split: str
    metric: Metric
    direction: Direction
    seed: int
    fixed: Mapping[str, Any]
    search: Mapping[str, str]
    trials: tuple[TrialRecord, ...]
    importance: Mapping[str, float] | None
    command: str | None
    created_at: datetime
    importance_of: int = 0
    training: Mapping[str, Any] | None = None

    @property
    def best(self) -> TrialRecord | None:
        """The best trial that came to its end."""
        return best_of(self.trials)

    @property
    def counts(self) -> dict[str, int]:
        """How many trials there are in each state."""
        states = [trial.state for trial in self.trials]
        return {state: states.count(state) for state in dict.fromkeys(states)}


def best_of(trials: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the first trial that came to its end."""
    return next((trial for trial in trials if trial.state == "done"), None)
