"""What is known of sweeps: their trials, the best first, and what mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from movierec.settings import Settings
from movierec.sweeps.importance import IMPORTANCE, IMPORTANT_FROM, keep_importance
from movierec.sweeps.records import DIRECTIONS, SweepRecord, TrialRecord, TrialState, best_of
from movierec.sweeps.storage import FACTS, SweepStore
from movierec.workflows.command import best_training, train_command
from movierec.workflows.requests import TrainRequest

__all__ = ["delete_sweep", "sweep_record", "sweep_records"]

_ORDER: tuple[TrialState, ...] = ("done", "pruned", "failed", "stopped", "running")


def sweep_record(settings: Settings, name: str, *, importance: bool = False) -> SweepRecord:
    """Return a sweep with its trials, and what mattered as far as that is stored.

    With `importance` what is not stored, of a sweep that was stopped, is told anew, which takes
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


def delete_sweep(settings: Settings, name: str) -> None:
    """Forget a sweep.

    Raises:
        NotFoundError: there is no sweep of this name.
        StoreError: a process works on it.

    """
    SweepStore(settings).delete(name)


def _record(name: str, attributes: Mapping[str, Any], trials: list[TrialRecord]) -> SweepRecord:
    facts = attributes[FACTS]
    training = TrainRequest(**facts["request"]["training"])
    direction = DIRECTIONS[facts["metric"]]
    sign = 1.0 if direction == "minimize" else -1.0
    ordered = tuple(sorted(trials, key=lambda trial: _place(trial, sign)))
    best, kept = best_of(ordered), attributes.get(IMPORTANCE, {})
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
        command=None
        if best is None
        else train_command(training, best.hyperparameters, best.params),
        training=None if best is None else _best(training, best),
    )


def _best(training: TrainRequest, best: TrialRecord) -> dict[str, Any]:
    found = best_training(training, best.hyperparameters, best.params)
    return found.model_dump(mode="json")


def _place(trial: TrialRecord, sign: float) -> tuple[int, float, int]:
    value = math.inf if trial.value is None else sign * trial.value
    return _ORDER.index(trial.state), value, trial.number
