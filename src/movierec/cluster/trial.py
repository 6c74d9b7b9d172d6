"""One trial of a sweep in a process on Ray: what it measures goes to the process that searches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ray import tune

from movierec.data.dataset import Dataset
from movierec.data.splits import Split, SplitSpec, make_split
from movierec.errors import HyperparameterError, NonFiniteError
from movierec.runtime import set_threads
from movierec.settings import Settings
from movierec.store import open_store
from movierec.sweeps.objective import METRICS, Objective, without_test
from movierec.sweeps.request import SweepRequest
from movierec.training.callbacks import EpochResult, Plan
from movierec.training.options import TrainingOptions

__all__ = ["TrialTask", "try_point"]


@dataclass(frozen=True)
class TrialTask:
    """What all trials share."""

    settings: Settings
    request: SweepRequest
    options: TrainingOptions


def try_point(config: dict[str, Any], *, task: TrialTask) -> None:
    """Train one point; report after each epoch, and at the end with `ended`."""
    set_threads(task.settings.threads or 1)
    training = task.request.training
    dataset, split = _material(task.settings, str(training.dataset), training.split)
    trial = _RemoteTrial(config["number"])
    objective = Objective(task.request, dataset, split, task.options, (trial,), lambda *_: None)
    told: dict[str, Any] = {"ended": True}
    try:
        told["value"] = objective.value(trial, task.request.trial(config["point"]))
        told |= {"best_epoch": trial.facts.get("best_epoch"), **trial.facts["metrics"]}
    except (HyperparameterError, NonFiniteError) as error:
        told["reason"] = error.message
    tune.report(told)


@lru_cache(maxsize=1)  # a process does one trial after the other
def _material(settings: Settings, name: str, spec: SplitSpec) -> tuple[Dataset, Split]:
    with open_store(settings) as store:
        dataset = store.datasets.load(name)
    return without_test(dataset, make_split(dataset, spec))


class _RemoteTrial:
    """A trial whose study is in another process, and the hook that sees what it is worth.

    It never prunes itself: it is ended from there, at its next report.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.facts: dict[str, Any] = {}
        self.best: EpochResult | None = None
        self._epochs = 0
        self._reported: dict[str, Any] = {}

    def set_user_attr(self, key: str, value: Any) -> None:
        self.facts[key] = value

    def report(self, value: float, step: int) -> None:
        self._reported = {"value": value, "epoch": step, "epochs": self._epochs}

    def should_prune(self) -> bool:
        assert self.best is not None  # an epoch has ended
        measured: dict[str, Any] = {name: getattr(self.best, name) for name in METRICS}
        tune.report({**self._reported, **measured, "best_epoch": self.best.epoch})
        return False

    def on_start(self, plan: Plan) -> None:
        self._epochs = plan.epochs

    def on_step(self, epoch: int, step: int) -> None: ...

    def on_epoch(self, result: EpochResult) -> None:
        if result.is_best or self.best is None:
            self.best = result
