"""What mattered in a sweep: slow to tell, so whoever works on it keeps it for all who look."""

from __future__ import annotations

import time

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

__all__ = ["IMPORTANCE", "IMPORTANT_FROM", "ImportanceKeeper", "keep_importance"]

IMPORTANT_FROM = 10  # with fewer finished trials a forest would explain noise
IMPORTANCE = "importance"  # the study's attribute with the shares, and of how many trials
_REST = 30.0  # for each second it takes, so many pass before it is told again


class ImportanceKeeper:
    """A callback of a study that keeps what mattered, at the price of some hundredths of it."""

    def __init__(self) -> None:
        self._due = 0.0

    def __call__(self, study: optuna.Study, _trial: FrozenTrial) -> None:
        """Tell anew what mattered, if that was long enough ago."""
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
