"""One trial of a sweep: a point, a training on the train part, a value from validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import optuna
from optuna.trial import Trial

from movierec.data.dataset import Dataset
from movierec.data.splits import Split
from movierec.errors import HyperparameterError, NonFiniteError
from movierec.models.factory import make_baseline
from movierec.sweeps.request import Metric, SweepRequest
from movierec.sweeps.space import Choices, Dimension
from movierec.training.callbacks import EpochResult, Hook, Plan
from movierec.training.options import TrainingOptions
from movierec.workflows.requests import TrainRequest, full_hyperparameters
from movierec.workflows.train import fit_model
from movierec.workflows.validation import validation_metrics
from movierec.workflows.version import Training

__all__ = ["METRICS", "Objective", "TrialProgress", "TrialReport", "drawn", "keep", "without_test"]

TrialProgress: TypeAlias = Callable[[int, str, float], None]  # trial, its stage, share done
METRICS: tuple[Metric, ...] = ("val_rmse", "val_ndcg_10")


def without_test(dataset: Dataset, split: Split) -> tuple[Dataset, Split]:
    """Return the same parts of a data set that has no other ratings: no test, no support part.

    Positions are those of the smaller data set; the order of the ratings stays.
    """
    kept = np.sort(np.concatenate([split.train, split.validation]))
    train, validation = (np.searchsorted(kept, part) for part in (split.train, split.validation))
    none = np.zeros(0, np.int64)
    return (
        replace(dataset, ratings=dataset.ratings.take(kept)),
        Split(split.spec, train, validation, test=none, support=none),
    )


class TrialReport(Protocol):
    """The methods of an Optuna trial that a training uses; its study may be in another process."""

    @property
    def number(self) -> int:
        """Its number in the study."""

    def report(self, value: float, step: int) -> None:
        """Report its value after so many epochs."""

    def should_prune(self) -> bool:
        """Return whether it is not worth the time."""

    def set_user_attr(self, key: str, value: Any) -> None:
        """Store a fact of it: plain data."""


@dataclass(frozen=True, eq=False)
class Objective:
    """Trains one point and returns its value; what a point does wrong is kept as its reason."""

    request: SweepRequest
    dataset: Dataset
    split: Split
    options: TrainingOptions
    hooks: Sequence[Hook]
    on_progress: TrialProgress

    def __call__(self, trial: Trial) -> float:
        """Return the metric of the trial.

        Raises:
            TrialPruned: it lagged behind, or its hyperparameters cannot be trained.

        """
        self.on_progress(trial.number, "", 0.0)
        try:
            return self.value(trial, drawn(trial, self.request))
        except (HyperparameterError, NonFiniteError) as error:
            trial.set_user_attr("reason", error.message)
            # to the sampler a pruned trial is a bad one, a failed one never was
            raise optuna.TrialPruned from error

    def value(self, trial: TrialReport, training: TrainRequest) -> float:
        """Return the metric of a trial whose point is drawn.

        Raises:
            TrialPruned: it lagged behind.
            HyperparameterError, NonFiniteError: its hyperparameters cannot be trained.

        """
        fit = self._graphsage if training.is_graphsage else self._baseline
        metrics = fit(trial, training)
        keep(trial, metrics)
        return _measured(metrics, self.request.metric)

    def _graphsage(self, trial: TrialReport, training: TrainRequest) -> Mapping[str, float]:
        watch = _Watch(trial, self.request, self.on_progress)
        ready = Training(training, self.dataset, self.split, self.options)
        fitted = fit_model(ready, hooks=(*self.hooks, watch))
        trial.set_user_attr("best_epoch", fitted.best_epoch)
        return {name: fitted.metrics[name] for name in METRICS}

    def _baseline(self, _trial: TrialReport, training: TrainRequest) -> Mapping[str, float]:
        """Fit on the train part alone: a trained version of a baseline also learns validation."""
        ratings = self.dataset.ratings
        train, validation = ratings.take(self.split.train), ratings.take(self.split.validation)
        estimator = make_baseline(training.preset, training.hyperparameters)
        model = estimator.fit(self.dataset, train, seed=training.seed)
        found = validation_metrics(model, dataset=self.dataset, train=train, validation=validation)
        return {"val_rmse": found["rmse"], "val_ndcg_10": found["ndcg"]}


class _Watch:
    """Follows one trial's validation curve and ends it where it is not worth the time.

    The value of an epoch is the metric at the best epoch so far, as the monitor picks it: what
    the trial would be worth if it ended here.
    """

    def __init__(
        self, trial: TrialReport, request: SweepRequest, on_progress: TrialProgress
    ) -> None:
        self.trial, self.request, self.on_progress = trial, request, on_progress
        self.epochs = 0
        self.best: EpochResult | None = None

    def on_start(self, plan: Plan) -> None:
        self.epochs = plan.epochs

    def on_step(self, epoch: int, step: int) -> None: ...

    def on_epoch(self, result: EpochResult) -> None:
        if result.is_best or self.best is None:
            self.best = result
        value = _measured(self.best.as_dict(), self.request.metric)
        self.trial.report(value, result.epoch)
        stage = f"epoch {result.epoch} of {self.epochs}"
        self.on_progress(self.trial.number, stage, result.epoch / self.epochs)
        if self.trial.should_prune():
            keep(self.trial, {name: getattr(self.best, name) for name in METRICS})
            self.trial.set_user_attr("best_epoch", self.best.epoch)
            raise optuna.TrialPruned


def drawn(trial: Trial, request: SweepRequest) -> TrainRequest:
    """Return the training of a point that the study's sampler draws.

    Raises:
        HyperparameterError: the model does not allow this point.

    """
    training = request.trial(
        {name: _suggest(trial, name, part) for name, part in request.space.items()}
    )
    trial.set_user_attr("hyperparameters", full_hyperparameters(training))
    return training


def _suggest(trial: Trial, name: str, part: Dimension) -> Any:
    if isinstance(part, Choices):
        return trial.suggest_categorical(name, part.values)
    draw: Any = trial.suggest_int if part.whole else trial.suggest_float
    return draw(name, *part.values, log=part.log)


def _measured(metrics: Mapping[str, Any], metric: Metric | None) -> float:
    value = float(metrics[metric or "val_rmse"])
    if not math.isfinite(value):
        raise HyperparameterError(f"{metric} is not measured with these hyperparameters.")
    return value


def keep(trial: TrialReport, metrics: Mapping[str, float]) -> None:
    """Store what was measured with the trial."""
    known = {name: value for name, value in metrics.items() if math.isfinite(value)}
    trial.set_user_attr("metrics", known)
