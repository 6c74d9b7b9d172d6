"""Trials read from Optuna's tables.

Optuna's own reading takes half a second for 200 trials of 64 epochs, because it also builds
every epoch of every trial, and a storage kept open to save that returns the trials of a deleted
sweep for a new one (docs/LOG.md, 2026-12-01). A test compares both ways of reading.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution

from movierec.sweeps.records import TrialRecord, TrialState

__all__ = ["count_trials", "read_trials"]

_TRIALS = """
SELECT trial_id, number, state, datetime_start, datetime_complete,
       (SELECT value FROM trial_values v WHERE v.trial_id = trials.trial_id),
       (SELECT count(*) FROM trial_intermediate_values i WHERE i.trial_id = trials.trial_id)
FROM trials WHERE study_id = ? AND state != 'WAITING' ORDER BY number
"""
_ATTRIBUTES = """
SELECT trial_id, key, value_json FROM trial_user_attributes
WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ?)
"""
_PARAMS = """
SELECT trial_id, param_name, param_value, distribution_json FROM trial_params
WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ?) ORDER BY param_id
"""
_FINISHED = """
SELECT count(*) FROM trials WHERE study_id = ? AND state IN ('COMPLETE', 'PRUNED')
"""
_STATES: Mapping[str, TrialState] = {"COMPLETE": "done", "PRUNED": "pruned"}


def read_trials(
    connection: sqlite3.Connection, study_id: int, *, is_worked_on: bool
) -> list[TrialRecord]:
    """Return the trials that were begun, in order."""
    attributes = _by_trial(
        (trial, key, json.loads(text))
        for trial, key, text in connection.execute(_ATTRIBUTES, (study_id,))
    )
    params = _by_trial(
        (trial, name, _distribution(text).to_external_repr(value))
        for trial, name, value, text in connection.execute(_PARAMS, (study_id,))
    )
    return [
        _trial(row, params[row[0]], attributes[row[0]], is_worked_on=is_worked_on)
        for row in connection.execute(_TRIALS, (study_id,))
    ]


def count_trials(connection: sqlite3.Connection, study_id: int) -> int:
    """Return how many trials came to an end of their own: done, pruned or failed."""
    return int(connection.execute(_FINISHED, (study_id,)).fetchone()[0])


def _by_trial(rows: Iterable[tuple[int, str, Any]]) -> Mapping[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial, name, value in rows:
        found[trial][name] = value
    return found


@cache
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _trial(
    row: tuple[Any, ...],
    params: Mapping[str, Any],
    attributes: Mapping[str, Any],
    *,
    is_worked_on: bool,
) -> TrialRecord:
    _, number, state, start, end, value, epochs = row
    return TrialRecord(
        number=number,
        state=_state(state, attributes, is_worked_on=is_worked_on),
        value=value,
        params=params,
        metrics=attributes.get("metrics", {}),
        epochs=epochs,
        best_epoch=attributes.get("best_epoch"),
        seconds=_seconds(start, end),
        reason=attributes.get("reason", ""),
        hyperparameters=attributes.get("hyperparameters", {}),
    )


def _state(state: str, attributes: Mapping[str, Any], *, is_worked_on: bool) -> TrialState:
    if "reason" in attributes:
        return "failed"
    if state == "RUNNING":
        return "running" if is_worked_on else "stopped"
    return _STATES.get(state, "stopped")


def _seconds(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
