"""The trials of a sweep at the same time, by Ray Tune; the study stays in this process."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial
from optuna.trial import TrialState as OptunaState
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from movierec.cluster.cluster import cluster, own_signals, share_of_worker
from movierec.cluster.trial import TrialTask, try_point
from movierec.errors import HyperparameterError, TrainingError
from movierec.settings import Settings
from movierec.sweeps.objective import METRICS, Objective, Tell, drawn, keep
from movierec.sweeps.request import SweepRequest

__all__ = ["search_on_ray"]

logger = logging.getLogger(__name__)

TRIES_AGAIN = 1  # a trial whose process is lost starts once more from its beginning
Ended = Callable[[optuna.Study, FrozenTrial], None]


def search_on_ray(
    study: optuna.Study, objective: Objective, settings: Settings, ended: Ended, trials: int
) -> None:
    """Do so many trials of a study, `engine.workers` at a time.

    The sampler is asked as each begins; the pruner hears every epoch of all of them.

    Raises:
        SettingsError: there is no Ray, or its cluster cannot be used.
        TrainingError: a trial failed for a reason that the others share.

    """
    request, options = objective.request, objective.options
    worker = share_of_worker(options.device, settings.threads)
    search = _Search(request, study, objective.tell, ended, trials)
    with cluster(request.engine, worker) as folder:
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
        self, request: SweepRequest, study: optuna.Study, tell: Tell, ended: Ended, trials: int
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
