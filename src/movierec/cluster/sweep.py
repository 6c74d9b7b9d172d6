"""The trials of a sweep at the same time, by Ray Tune.

The study stays in the process that searches; each trial reports to it from a process of its own.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import Trial
from optuna.trial import TrialState as OptunaState
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from movierec.cluster.connection import cluster, own_signals, share_of_worker
from movierec.data.dataset import Dataset
from movierec.data.splits import Split, SplitSpec, make_split
from movierec.errors import HyperparameterError, NonFiniteError, TrainingError
from movierec.runtime import set_threads
from movierec.settings import Settings
from movierec.store import open_store
from movierec.sweeps.objective import METRICS, Objective, TrialProgress, drawn, keep, without_test
from movierec.sweeps.request import SweepRequest
from movierec.sweeps.run import Ended
from movierec.training.callbacks import EpochResult, Plan
from movierec.training.options import TrainingOptions
from movierec.workflows.requests import EngineOptions

__all__ = ["search_on_ray"]

logger = logging.getLogger(__name__)

TRIES_AGAIN = 1  # a trial whose process is lost starts once more from its beginning


def search_on_ray(
    engine: EngineOptions, settings: Settings,
    study: optuna.Study, objective: Objective, trials: int, ended: Ended,
) -> None:  # fmt: skip
    """Do so many trials of a study, as many at a time as the engine has workers.

    The sampler is asked as each begins; the pruner hears every epoch of all of them.

    Raises:
        SettingsError: there is no Ray, or its cluster cannot be used.
        TrainingError: a trial failed for a reason that the others share.

    """
    request, options = objective.request, objective.options
    worker = share_of_worker(options.device, settings.threads)
    search = _Search(request, study, objective.on_progress, ended, trials)
    with cluster(engine, worker) as folder:
        search.restore_signals = own_signals()
        task = TrialTask(settings, request, options)
        found = _tuner(search, task, worker, folder, trials).fit()
        if search.failed:
            raise _failure(found)


def _tuner(
    search: _Search, task: TrialTask, worker: Mapping[str, float], folder: Path, trials: int
) -> tune.Tuner:
    resources = {kind.lower(): count for kind, count in worker.items()}
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(try_point, task=task), resources),
        tune_config=tune.TuneConfig(
            search_alg=search, scheduler=_Pruning(search), num_samples=trials, reuse_actors=True,
            max_concurrent_trials=task.request.engine.workers,
        ),
        run_config=tune.RunConfig(
            name="sweep", storage_path=str(folder / "tune"), verbose=0, stop=_Failed(search),
            failure_config=tune.FailureConfig(max_failures=TRIES_AGAIN),
        ),
    )  # fmt: skip


def _failure(found: Any) -> TrainingError:
    causes = [str(error).strip().splitlines()[-1] for error in found.errors if str(error).strip()]
    return TrainingError(
        f"A trial failed: {causes[0] if causes else 'its process was lost'}",
        hint="What is wrong with one is wrong with all; resuming tries it again.",
    )


class _Search(Searcher):  # type: ignore[misc]
    """Asks the study for points and tells it what came of them."""

    def __init__(
        self,
        request: SweepRequest,
        study: optuna.Study,
        tell: TrialProgress,
        ended: Ended,
        trials: int,
    ) -> None:
        super().__init__()
        self.request, self.study, self.tell, self.ended = request, study, tell, ended
        self.left = trials
        self.failed = False
        self.restore_signals: Callable[[], None] = lambda: None
        self._trials: dict[str, Trial] = {}
        self._epochs: dict[str, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune keeps a copy for going on with its search; the study has it all."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """Return the next point; points that the model does not allow count as tried."""
        self.restore_signals()  # Tune has set its own by now
        while self.left > 0:
            self.left -= 1
            trial = self.study.ask()
            try:
                training = drawn(trial, self.request)
            except HyperparameterError as error:
                self._refuse(trial, error.message)
                continue
            self._trials[trial_id] = trial
            self.tell(trial.number, "", 0.0)
            point = {name: training.hyperparameters[name] for name in self.request.space}
            return {"number": trial.number, "point": point}
        return str(Searcher.FINISHED)

    def heard(self, trial_id: str, told: Mapping[str, Any]) -> bool:
        """Take what a trial reports; return whether it may go on."""
        trial = self._trials.get(trial_id)
        if trial is None or not {"value", "reason"} & set(told):
            return True
        if told.get("ended"):
            self._end(trial_id, told)
            return True
        if told["epoch"] <= self._epochs.get(trial_id, 0):
            return True  # one that starts once more
        self._epochs[trial_id] = told["epoch"]
        trial.report(told["value"], told["epoch"])
        self.tell(trial.number, f"epoch {told['epoch']}", told["epoch"] / told["epochs"])
        if not trial.should_prune():
            return True
        self._keep(trial, told)
        self._told(self._trials.pop(trial_id), None, OptunaState.PRUNED)
        return False

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,  # noqa: ARG002 - Tune's signature
        error: bool = False,
    ) -> None:
        """Note a trial that came to no end of its own."""
        trial = self._trials.pop(trial_id, None)
        if trial is not None and error:
            self.failed = True
            self._told(trial, None, OptunaState.FAIL)

    def _end(self, trial_id: str, told: Mapping[str, Any]) -> None:
        trial = self._trials.pop(trial_id)
        if "reason" in told:
            return self._refuse(trial, told["reason"])
        self._keep(trial, told)
        self._told(trial, told["value"], OptunaState.COMPLETE)
        return None

    def _keep(self, trial: Trial, told: Mapping[str, Any]) -> None:
        keep(trial, {name: told.get(name, math.nan) for name in METRICS})
        if told.get("best_epoch") is not None:
            trial.set_user_attr("best_epoch", told["best_epoch"])

    def _refuse(self, trial: Trial, reason: str) -> None:
        trial.set_user_attr("reason", reason)
        self._told(trial, None, OptunaState.PRUNED)

    def _told(self, trial: Trial, value: float | None, state: OptunaState) -> None:
        self.ended(self.study, self.study.tell(trial, value, state))


class _Pruning(FIFOScheduler):  # type: ignore[misc]
    """Ends a trial where the study's pruner says so."""

    def __init__(self, search: _Search) -> None:
        super().__init__()
        self.search = search

    def on_trial_result(self, _controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Pass on what a trial reports."""
        goes_on = self.search.heard(trial.trial_id, result)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)


class _Failed(tune.Stopper):  # type: ignore[misc]
    """Ends the search after a trial that failed."""

    def __init__(self, search: _Search) -> None:
        self.search = search

    def __call__(self, _trial_id: str, _result: dict[str, Any]) -> bool:
        """Return False: trials are ended one by one elsewhere."""
        return False

    def stop_all(self) -> bool:
        """Return whether a trial has failed."""
        return self.search.failed


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
