"""Searching hyperparameters on the validation part; trials do not even have the test part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from movierec.progress import Progress, silent
from movierec.settings import Settings
from movierec.sweeps.identity import begin, named
from movierec.sweeps.objective import Objective, without_test
from movierec.sweeps.records import SweepRecord
from movierec.sweeps.report import ImportanceKeeper, keep_importance, sweep_record
from movierec.sweeps.request import SweepRequest
from movierec.sweeps.storage import SweepStore
from movierec.training.callbacks import Hook
from movierec.workflows.requests import TrainRequest, full_hyperparameters
from movierec.workflows.train import prepare
from movierec.workflows.version import Training

__all__ = ["Ended", "Search", "one_by_one", "sweep"]

Ended: TypeAlias = Callable[[optuna.Study, FrozenTrial], None]
# does so many trials of a study and reports each as it ends
Search: TypeAlias = Callable[[optuna.Study, Objective, int, Ended], None]

_WARM_UP = 3  # no trial is pruned in the first third of the preset's epochs
_UNPRUNED_TRIALS = 5  # a median of fewer says little


def one_by_one(study: optuna.Study, objective: Objective, trials: int, ended: Ended) -> None:
    """Do so many trials of a study in this process."""
    study.optimize(objective, n_trials=trials, callbacks=[ended])


def sweep(
    request: SweepRequest,
    settings: Settings,
    *,
    hooks: Sequence[Hook] = (),
    on_progress: Progress | None = None,
    goal: int | None = None,
    training: Training | None = None,
    search: Search = one_by_one,
) -> SweepRecord:
    """Try points of a search space, each trained on the train part, measured on validation.

    Every trial is stored as it ends, so that a sweep that was stopped or killed goes on when it
    is started again under its name; the interrupted trial is repeated. The first trial is
    the preset itself where the space has it. With a `goal` no more trials are done than are
    missing until so many have ended. `training` is the request's, prepared; `search`
    does the trials.

    Raises:
        NotFoundError: there is no such data set.
        HyperparameterError, SplitError: the request cannot be carried out.
        StoreError: the name is of another sweep, or a process works on it.
        TrainingError: a trial failed for a reason that the others share.

    """
    report = on_progress or silent
    report("loading the data", 0.0)
    request = named(request.complete(), settings)
    training = training or prepare(request.training, settings)
    store, name = SweepStore(settings), str(request.name)
    with store.working_on(name):
        request = begin(request, settings, training.dataset)
        missing = _missing(request, store.count_trials(name), goal)
        with store.study(name, pruner=_pruner(request)) as study:
            study.sampler = _sampler(request, len(study.trials))
            _enqueue(study, request)
            objective = Objective(
                request, *without_test(training.dataset, training.split), training.options, hooks,
                _SweepProgress(study, request, report, missing),
            )  # fmt: skip
            search(study, objective, missing, ImportanceKeeper())
            keep_importance(study)
    return sweep_record(settings, name)


def _missing(request: SweepRequest, done: int, goal: int | None) -> int:
    """Return how many trials are to be done; a sweep deleted meanwhile begins from the start."""
    return request.trials if goal is None else min(max(0, goal - done), request.trials)


def _pruner(request: SweepRequest) -> optuna.pruners.BasePruner:
    if not request.prune or not request.training.is_graphsage:
        return optuna.pruners.NopPruner()
    warm_up = _base(request)["epochs"] // _WARM_UP
    return optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, n_warmup_steps=warm_up)


def _sampler(request: SweepRequest, done: int) -> optuna.samplers.BaseSampler:
    """Return a sampler that draws anew where a sweep goes on, and the same in the same place."""
    seed = np.random.SeedSequence([request.training.seed, done]).generate_state(1)
    # what is being tried elsewhere counts as bad meanwhile, so that nobody tries it twice
    at_once = request.engine.workers > 1
    return optuna.samplers.TPESampler(seed=int(seed[0]), constant_liar=at_once)


def _base(request: SweepRequest) -> dict[str, Any]:
    """Return the preset with what is fixed; its combination need not be allowed by itself."""
    preset = full_hyperparameters(TrainRequest(preset=request.training.preset))
    return {**preset, **request.training.hyperparameters}


def _enqueue(study: optuna.Study, request: SweepRequest) -> None:
    """Put in front: the preset itself, or the trials that a stopped or dead process left."""
    base = _base(request)
    point = {name: base[name] for name in request.space}
    if not study.trials and all(point[name] in part for name, part in request.space.items()):
        study.enqueue_trial(point)
    tried_again = {trial.user_attrs.get("retry_of") for trial in study.trials}
    for trial in study.trials:
        if trial.state is OptunaState.RUNNING:
            study.tell(trial.number, state=OptunaState.FAIL)
        if _was_interrupted(trial) and trial.number not in tried_again:
            study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})


def _was_interrupted(trial: FrozenTrial) -> bool:
    """Return whether a trial should be tried again; one that dies twice may be the killer."""
    left = trial.state in (OptunaState.RUNNING, OptunaState.FAIL)
    return left and "retry_of" not in trial.user_attrs


class _SweepProgress:
    """Reports how far a sweep is; `missing` trials are left of the requested ones."""

    def __init__(
        self, study: optuna.Study, request: SweepRequest, report: Progress, missing: int
    ) -> None:
        self.study, self.request, self.report = study, request, report
        first = sum(trial.state.is_finished() for trial in study.trials)
        self.before = first - (request.trials - missing)
        self.done = 0.0  # of trials at the same time the one that is furthest counts

    def __call__(self, number: int, stage: str, share: float) -> None:
        """Report a trial by its number; `share` of it is done."""
        turn, total = number - self.before, self.request.trials
        parts = (f"trial {turn + 1} of {total}", stage, self._best())
        self.done = max(self.done, min(1.0, (turn + share) / total))
        self.report(", ".join(filter(None, parts)), self.done)

    def _best(self) -> str:
        try:
            return f"best {self.request.metric} {self.study.best_value:.4f}"
        except ValueError:  # no trial has come to its end yet
            return ""
