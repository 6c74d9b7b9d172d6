"""One trial of a sweep: a point, a training on the train part, a value from validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import optuna
from optuna.trial import Trial

from movierec.data.dataset import Dataset
from movierec.data.splits import Split
from movierec.errors import HyperparameterError, NonFiniteError
from movierec.models.baselines import make_baseline
from movierec.training.config import Circumstances
from movierec.training.hooks import EpochResult, Hook, Plan
from movierec.workflows.fitting import fit_model, validation_metrics
from movierec.workflows.requests import TrainRequest
from movierec.workflows.sweep_command import full_hyperparameters
from movierec.workflows.sweep_request import Metric, SweepRequest
from movierec.workflows.sweep_space import Choices, Dimension

__all__ = ["Objective", "without_test"]

Tell: TypeAlias = Callable[[int, str, float], None]  # trial, its stage, the share of it done
_METRICS: tuple[Metric, ...] = ("val_rmse", "val_ndcg_10")


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


@dataclass(frozen=True, eq=False)
class Objective:
    """Trains one point and returns its value; what a point does wrong is kept as its reason."""

    request: SweepRequest
    dataset: Dataset
    split: Split
    circumstances: Circumstances
    hooks: Sequence[Hook]
    tell: Tell

    def __call__(self, trial: Trial) -> float:
        """Return the metric of the trial.

        Raises:
            TrialPruned: it lagged behind, or its hyperparameters cannot be trained.

        """
        self.tell(trial.number, "", 0.0)
        point = {name: _suggest(trial, name, part) for name, part in self.request.space.items()}
        training = self.request.trial(point)
        try:
            trial.set_user_attr("hyperparameters", full_hyperparameters(training))
            metrics = self._fitted(trial, training)
            return _measured(metrics, self.request.metric)
        except (HyperparameterError, NonFiniteError) as error:
            trial.set_user_attr("reason", error.message)
            # to the sampler a pruned trial is a bad one, a failed one never was
            raise optuna.TrialPruned from error

    def _fitted(self, trial: Trial, training: TrainRequest) -> Mapping[str, float]:
        fit = self._graphsage if training.is_graphsage else self._baseline
        metrics = fit(trial, training)
        _keep(trial, metrics)
        return metrics

    def _graphsage(self, trial: Trial, training: TrainRequest) -> Mapping[str, float]:
        watch = _Watch(trial, self.request, self.tell)
        fitted = fit_model(
            training, self.dataset, self.split, self.circumstances, hooks=(*self.hooks, watch)
        )
        trial.set_user_attr("best_epoch", fitted.best_epoch)
        return {name: fitted.metrics[name] for name in _METRICS}

    def _baseline(self, _trial: Trial, training: TrainRequest) -> Mapping[str, float]:
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

    def __init__(self, trial: Trial, request: SweepRequest, tell: Tell) -> None:
        self.trial, self.request, self.tell = trial, request, tell
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
        self.tell(self.trial.number, stage, result.epoch / self.epochs)
        if self.trial.should_prune():
            _keep(self.trial, {name: getattr(self.best, name) for name in _METRICS})
            self.trial.set_user_attr("best_epoch", self.best.epoch)
            raise optuna.TrialPruned


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


def _keep(trial: Trial, metrics: Mapping[str, float]) -> None:
    known = {name: value for name, value in metrics.items() if math.isfinite(value)}
    trial.set_user_attr("metrics", known)
