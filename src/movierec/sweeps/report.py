"""Records of sweeps, their best trials first, and the importance of hyperparameters."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from movierec.settings import Settings
from movierec.sweeps.records import DIRECTIONS, SweepRecord, TrialRecord, TrialState, best_of
from movierec.sweeps.storage import FACTS, SweepStore
from movierec.workflows.command import best_training, train_command
from movierec.workflows.requests import TrainRequest

__all__ = [
    "IMPORTANCE",
    "IMPORTANT_FROM",
    "ImportanceKeeper",
    "keep_importance",
    "sweep_record",
    "sweep_records",
]

IMPORTANT_FROM = 10  # with fewer finished trials a forest would explain noise
IMPORTANCE = "importance"  # the study's attribute with the shares, and of how many trials
_REST = 30.0  # for each second it takes, so many pass before it is computed again
_ORDER: tuple[TrialState, ...] = ("done", "pruned", "failed", "stopped", "running")


def sweep_record(settings: Settings, name: str, *, importance: bool = False) -> SweepRecord:
    """Return a sweep with its trials, and the importance as far as that is stored.

    With `importance` what is not stored, of a sweep that was stopped, is computed, which takes
    seconds.

    Raises:
        NotFoundError: there is no sweep of this name.
        StoreError: the sweeps' file cannot be read.

    """
    store = SweepStore(settings)
    attributes, trials = store.read(name)
    record = _record(name, attributes, trials)
    done = record.counts.get("done", 0)
    if not importance or done < IMPORTANT_FROM or record.importance_of == done:
        return record
    with store.study(name) as study:
        keep_importance(study)
    return _record(name, *store.read(name))


def sweep_records(settings: Settings) -> list[SweepRecord]:
    """Return every sweep, the newest first."""
    return [sweep_record(settings, name) for name in SweepStore(settings).names()]


def _record(name: str, attributes: Mapping[str, Any], trials: list[TrialRecord]) -> SweepRecord:
    facts = attributes[FACTS]
    training = TrainRequest(**facts["request"]["training"])
    direction = DIRECTIONS[facts["metric"]]
    sign = 1.0 if direction == "minimize" else -1.0
    ordered = tuple(sorted(trials, key=lambda trial: _order(trial, sign)))
    best, kept = best_of(ordered), attributes.get(IMPORTANCE, {})
    command, fields = (None, None) if best is None else _retraining(training, best)
    return SweepRecord(
        name=name,
        preset=training.preset,
        dataset=training.dataset or "",
        split=training.split.label,
        metric=facts["metric"],
        direction=direction,
        seed=training.seed,
        fixed=training.hyperparameters,
        search=facts["search"],
        trials=ordered,
        importance=kept.get("shares"),
        importance_of=kept.get("trials", 0),
        created_at=datetime.fromisoformat(facts["created_at"]),
        command=command,
        training=fields,
    )


def _retraining(training: TrainRequest, best: TrialRecord) -> tuple[str, dict[str, Any]]:
    """Return the command that trains the best trial, and the fields of its request."""
    request = best_training(training, best.hyperparameters, best.params)
    command = train_command(training, best.hyperparameters, best.params)
    return command, request.model_dump(mode="json")


def _order(trial: TrialRecord, sign: float) -> tuple[int, float, int]:
    value = math.inf if trial.value is None else sign * trial.value
    return _ORDER.index(trial.state), value, trial.number


class ImportanceKeeper:
    """A callback of a study that stores the importance, within about 3 % of the study's time."""

    def __init__(self) -> None:
        self._due = 0.0

    def __call__(self, study: optuna.Study, _trial: FrozenTrial) -> None:
        """Compute the importance again if the last time was long enough ago."""
        started = time.monotonic()
        if started >= self._due:
            keep_importance(study)
            ended = time.monotonic()
            self._due = ended + _REST * (ended - started)


def keep_importance(study: optuna.Study) -> None:
    """Store each searched hyperparameter's share of the variance of the metric.

    It is fANOVA (Hutter, Hoos and Leyton-Brown 2014, main effects) over the trials that came to
    their end, so it says what mattered inside the space that was searched. Nothing is stored
    with fewer than 10 of them, or where they do not differ.
    """
    values = [trial.value for trial in study.get_trials(False, (OptunaState.COMPLETE,))]
    kept = study.user_attrs.get(IMPORTANCE, {"trials": 0})
    if len(values) < IMPORTANT_FROM or len(set(values)) == 1 or kept["trials"] == len(values):
        return
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    shares = {name: float(share) for name, share in found.items()}
    study.set_user_attr(IMPORTANCE, {"trials": len(values), "shares": shares})
