"""Searching hyperparameters on the validation part; trials do not even have the test part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from movierec.data.dataset import Dataset
from movierec.data.splits import Split, make_split
from movierec.errors import StoreError
from movierec.progress import Progress, silent
from movierec.settings import Settings
from movierec.store import open_store
from movierec.training.hooks import Hook
from movierec.workflows.requests import TrainRequest
from movierec.workflows.sweep_command import full_hyperparameters
from movierec.workflows.sweep_objective import Objective, without_test
from movierec.workflows.sweep_records import DIRECTIONS, SweepRecord
from movierec.workflows.sweep_report import sweep_record
from movierec.workflows.sweep_request import SweepRequest
from movierec.workflows.sweep_store import FACTS, SweepStore
from movierec.workflows.train import circumstances_of

__all__ = ["named", "stored_request", "sweep"]

_WARM_UP = 3  # no trial is pruned in the first third of the preset's epochs
_UNPRUNED_TRIALS = 5  # a median of fewer says little
# what two sweeps of one name must share, in the words of the message that refuses another
_IDENTITY = {
    "fingerprint": "other data", "split": "another split", "preset": "another preset",
    "metric": "another metric", "search": "another search space", "seed": "another seed",
    "base": "other hyperparameters",
}  # fmt: skip
_GROWING = ("split", "base")  # fields that a newer movierec has besides do not count


def sweep(
    request: SweepRequest,
    settings: Settings,
    *,
    hooks: Sequence[Hook] = (),
    on_progress: Progress | None = None,
) -> SweepRecord:
    """Try points of a search space, each trained on the train part, measured on validation.

    Every trial is stored as it ends, so that a sweep that was stopped or killed goes on when it
    is asked for again under its name; the trial it was at is tried once more. The first trial is
    the preset itself where the space has it.

    Raises:
        NotFoundError: there is no such data set.
        HyperparameterError, SplitError: the request asks for what cannot be.
        StoreError: the name is of another sweep, or a process works on it.
        TrainingError: a trial failed for a reason that the others share.

    """
    request = request.complete()
    circumstances = circumstances_of(request.training, settings)
    dataset, split = _material(request.training, settings)
    store = SweepStore(settings)
    request = named(request, settings)
    name = str(request.name)
    facts = _facts(request, dataset)
    with store.working_on(name):
        _start_or_go_on(store, name, facts, request)
        with store.study(name, pruner=_pruner(request)) as study:
            study.sampler = _sampler(request, len(study.trials))
            _enqueue(study, request, facts["base"])
            objective = Objective(
                request, *without_test(dataset, split), circumstances, hooks,
                _Teller(study, request, on_progress or silent),
            )  # fmt: skip
            study.optimize(objective, n_trials=request.trials)
    return sweep_record(settings, name)


def named(request: SweepRequest, settings: Settings) -> SweepRequest:
    """Return the request with a name; where it has none, the preset's name and a free number."""
    if request.name is not None:
        return request
    names, preset = set(SweepStore(settings).names()), request.training.preset
    numbered = (f"{preset}-{number}" for number in count(1))
    return request.model_copy(update={"name": next(n for n in numbered if n not in names)})


def stored_request(settings: Settings, name: str) -> SweepRequest | None:
    """Return what a sweep was asked to do when it was started; None if there is none."""
    store = SweepStore(settings)
    if name not in store.names():
        return None
    with store.study(name) as study:
        return SweepRequest(**study.user_attrs[FACTS]["request"], name=name)


def _material(training: TrainRequest, settings: Settings) -> tuple[Dataset, Split]:
    with open_store(settings) as store:
        dataset = store.datasets.load(training.dataset)
    return dataset, make_split(dataset, training.split)


def _facts(request: SweepRequest, dataset: Dataset) -> dict[str, Any]:
    training = request.training.model_copy(update={"dataset": dataset.name})
    preset = full_hyperparameters(TrainRequest(preset=training.preset))
    named = request.model_copy(update={"training": training})
    return {
        "request": named.model_dump(mode="json", exclude={"name"}),
        "created_at": datetime.now(UTC).isoformat(),
        "fingerprint": dataset.fingerprint,
        "split": training.split.model_dump(),
        "preset": training.preset,
        "metric": request.metric,
        "search": {name: dimension.text for name, dimension in request.space.items()},
        "seed": training.seed,
        "base": {**preset, **training.hyperparameters},
    }


def _start_or_go_on(
    store: SweepStore, name: str, facts: Mapping[str, Any], request: SweepRequest
) -> None:
    if name not in store.names():
        store.create(name, DIRECTIONS[request.metric or "val_rmse"], dict(facts))
        return
    with store.study(name) as study:
        found = study.user_attrs[FACTS]
    other = [words for key, words in _IDENTITY.items() if not _same(key, found, facts)]
    if other:
        raise StoreError(
            f"The sweep {name} was started with {' and '.join(other)}; "
            "its trials could not be compared with new ones.",
            hint=f"Use another --name, or `movierec sweep --name {name}` alone to go on as it was.",
        )


def _same(key: str, found: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    if key not in _GROWING:
        return bool(found[key] == asked[key])
    return all(asked[key].get(name) == value for name, value in found[key].items())


def _pruner(request: SweepRequest) -> optuna.pruners.BasePruner:
    if not request.prune or not request.training.is_graphsage:
        return optuna.pruners.NopPruner()
    training = TrainRequest(preset=request.training.preset)
    base = {**full_hyperparameters(training), **request.training.hyperparameters}
    return optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, n_warmup_steps=base["epochs"] // _WARM_UP)


def _sampler(request: SweepRequest, done: int) -> optuna.samplers.BaseSampler:
    """Return a sampler that draws anew where a sweep goes on, and the same in the same place."""
    seed = np.random.SeedSequence([request.training.seed, done]).generate_state(1)
    return optuna.samplers.TPESampler(seed=int(seed[0]))


def _enqueue(study: optuna.Study, request: SweepRequest, base: Mapping[str, Any]) -> None:
    """Put in front: the preset itself, or the trials that a stopped or dead process left."""
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


class _Teller:
    """Says how far a sweep is."""

    def __init__(self, study: optuna.Study, request: SweepRequest, tell: Progress) -> None:
        self.study, self.request, self.tell = study, request, tell
        self.before = sum(trial.state.is_finished() for trial in study.trials)

    def __call__(self, number: int, stage: str, share: float) -> None:
        """Tell of the trial of this number; `share` of it is done."""
        turn, total = number - self.before, self.request.trials
        words = (f"trial {turn + 1} of {total}", stage, self._best())
        self.tell(", ".join(filter(None, words)), min(1.0, (turn + share) / total))

    def _best(self) -> str:
        try:
            return f"best {self.request.metric} {self.study.best_value:.4f}"
        except ValueError:  # no trial has come to its end yet
            return ""
