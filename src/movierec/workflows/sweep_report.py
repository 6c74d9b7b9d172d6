"""What is known of sweeps: their trials, the best first, and what mattered."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from movierec.settings import Settings
from movierec.workflows.requests import TrainRequest
from movierec.workflows.sweep_command import train_command
from movierec.workflows.sweep_records import (
    DIRECTIONS,
    SweepRecord,
    TrialRecord,
    TrialState,
)
from movierec.workflows.sweep_store import FACTS, SweepStore

__all__ = [
    "IMPORTANT_FROM",
    "delete_sweep",
    "parameter_importance",
    "sweep_record",
    "sweep_records",
]

IMPORTANT_FROM = 10  # with fewer finished trials a forest would explain noise
_ORDER: tuple[TrialState, ...] = ("done", "pruned", "failed", "stopped", "running")


def sweep_record(settings: Settings, name: str, *, importance: bool = True) -> SweepRecord:
    """Return a sweep with its trials; without `importance` that part, which is slow, is None.

    Raises:
        NotFoundError: there is no sweep of this name.
        StoreError: the sweeps' file cannot be read.

    """
    store = SweepStore(settings)
    with store.study(name) as study:
        return _record(study, is_worked_on=store.is_worked_on(name), importance=importance)


def sweep_records(settings: Settings) -> list[SweepRecord]:
    """Return every sweep, the newest first, without what mattered in it."""
    return [sweep_record(settings, name, importance=False) for name in SweepStore(settings).names()]


def delete_sweep(settings: Settings, name: str) -> None:
    """Forget a sweep.

    Raises:
        NotFoundError: there is no sweep of this name.
        StoreError: a process works on it.

    """
    SweepStore(settings).delete(name)


def parameter_importance(study: optuna.Study) -> dict[str, float] | None:
    """Return each searched hyperparameter's share of the variance of the metric, largest first.

    It is fANOVA (Hutter, Hoos and Leyton-Brown 2014, main effects) over the trials that came to
    their end, so it says what mattered inside the space that was searched. None with fewer than
    10 of them, and where they do not differ.
    """
    values = [t.value for t in study.get_trials(False, (OptunaState.COMPLETE,))]
    if len(values) < IMPORTANT_FROM or len(set(values)) == 1:
        return None
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


def _record(study: optuna.Study, *, is_worked_on: bool, importance: bool) -> SweepRecord:
    facts = study.user_attrs[FACTS]
    training = TrainRequest(**facts["request"]["training"])
    trials = [_trial(t, is_worked_on) for t in study.trials if t.state is not OptunaState.WAITING]
    direction = DIRECTIONS[facts["metric"]]
    sign = 1.0 if direction == "minimize" else -1.0
    record = SweepRecord(
        name=study.study_name,
        preset=training.preset,
        dataset=training.dataset or "",
        split=training.split.label,
        metric=facts["metric"],
        direction=direction,
        seed=training.seed,
        fixed=training.hyperparameters,
        search=facts["search"],
        trials=tuple(sorted(trials, key=lambda trial: _place(trial, sign))),
        importance=parameter_importance(study) if importance else None,
        created_at=datetime.fromisoformat(facts["created_at"]),
        command=None,
    )
    return _with_command(record, training)


def _with_command(record: SweepRecord, training: TrainRequest) -> SweepRecord:
    best = record.best
    if best is None:
        return record
    return replace(record, command=train_command(training, best.hyperparameters, best.params))


def _place(trial: TrialRecord, sign: float) -> tuple[int, float, int]:
    value = math.inf if trial.value is None else sign * trial.value
    return _ORDER.index(trial.state), value, trial.number


def _trial(trial: FrozenTrial, is_worked_on: bool) -> TrialRecord:
    attributes = trial.user_attrs
    return TrialRecord(
        number=trial.number,
        state=_state(trial, is_worked_on),
        value=trial.value,
        params=trial.params,
        metrics=attributes.get("metrics", {}),
        epochs=len(trial.intermediate_values),
        best_epoch=attributes.get("best_epoch"),
        seconds=None if trial.duration is None else trial.duration.total_seconds(),
        reason=attributes.get("reason", ""),
        hyperparameters=attributes.get("hyperparameters", {}),
    )


def _state(trial: FrozenTrial, is_worked_on: bool) -> TrialState:
    if "reason" in trial.user_attrs:
        return "failed"
    if trial.state is OptunaState.RUNNING:
        return "running" if is_worked_on else "stopped"
    known: dict[Any, TrialState] = {OptunaState.COMPLETE: "done", OptunaState.PRUNED: "pruned"}
    return known.get(trial.state, "stopped")
