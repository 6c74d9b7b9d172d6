"""What the validation part decides: epoch metrics, residual kernel, calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.errors import NonFiniteError
from movierec.evaluation.calibration import measure_calibration
from movierec.evaluation.ranking import UserRanking, ranking_at_k
from movierec.models.calibration import Calibration, calibrated, fit_calibration
from movierec.models.factors import FactorModel
from movierec.models.graphsage.hyperparameters import Residuals
from movierec.models.protocol import Recommender
from movierec.models.residuals import (
    KERNEL,
    ResidualKernel,
    ResidualModel,
    fit_residuals,
    most_ratings,
)

__all__ = [
    "ChosenKernel",
    "Validation",
    "calibrate",
    "calibrate_on",
    "choose_kernel",
    "validation_metrics",
]

MOST_USERS = 10_000  # ranking more of them each epoch would take longer than training
MOST_CELLS = 25 * 10**7  # scores of them all: two seconds, however many movies there are
CELLS_AT_ONCE = 2**22  # scores of a block of users: about 40 MB with their copy
MOST_FITTED = 500_000  # validation ratings; more take minutes and move the fourth digit
TASTES = (0.25, 1.0, 4.0)  # times the variances of KERNEL
TIMES = (0.25, 1.0, 2.0)
MOST_PROBED = 400  # enough to tell such multiples apart; ten fits on all users would take seconds


@dataclass(frozen=True, eq=False)
class Validation:
    """The validation part, and those of its users who are ranked.

    Shapes: users: (n,); seen, relevant: CSR (n, n_movies), their train and validation movies.
    """

    ratings: Interactions
    users: IntArray
    seen: Any
    relevant: Any

    @classmethod
    def of(cls, dataset: Dataset, train: Interactions, validation: Interactions) -> Validation:
        """Choose who is ranked: all, or as many as there is time for, evenly spread."""
        users = np.flatnonzero(np.bincount(validation.user, minlength=dataset.n_users))
        most = max(1, min(MOST_USERS, MOST_CELLS // max(1, dataset.n_movies)))
        if len(users) > most:
            users = users[np.linspace(0, len(users) - 1, most).round().astype(np.int64)]
        seen, relevant = (
            part.among(users, dataset.n_users).matrix(len(users), dataset.n_movies)
            for part in (train, validation)
        )
        return cls(validation, users, seen, relevant)

    def metrics(self, model: Recommender) -> dict[str, float]:
        """Return RMSE and MAE in stars and the `full` ranking metrics (threshold 0).

        The candidates are all movies but the user's train ones. At most 10,000 users are ranked,
        and no more than 250 million scores.

        Raises:
            NonFiniteError: a score is NaN or infinite: the last update blew the weights up.

        """
        part = self.ratings
        error = (model.predict(part.user, part.movie) - part.rating).astype(np.float64)
        ranking = UserRanking.joined(list(self._rankings(model))).summary()
        return {
            "rmse": float(np.sqrt(np.mean(error**2))),
            "mae": float(np.mean(np.abs(error))),
            "ndcg": ranking["ndcg_at_10"],
            "precision": ranking["precision_at_10"],
            "recall": ranking["recall_at_10"],
        }

    def _rankings(self, model: Recommender) -> Iterator[UserRanking]:
        size = max(1, CELLS_AT_ONCE // max(1, self.seen.shape[1]))
        for start in range(0, len(self.users), size):
            rows = slice(start, start + size)
            scores = model.score(self.users[rows])
            if not np.isfinite(scores).all():
                raise NonFiniteError(
                    "The scores of the validation users became NaN or infinite at the end of an "
                    "epoch.",
                    hint="Lower learning_rate or set gradient_clip to 1.",
                )
            yield ranking_at_k(scores, self.seen[rows], self.relevant[rows], 10)


def validation_metrics(
    model: Recommender, *, dataset: Dataset, train: Interactions, validation: Interactions
) -> dict[str, float]:
    """Return `Validation.metrics` of these parts."""
    return Validation.of(dataset, train, validation).metrics(model)


@dataclass(frozen=True)
class ChosenKernel:
    """A kernel, or None where the residuals say nothing, and what `metadata.json` keeps of it."""

    kernel: ResidualKernel | None
    facts: dict[str, Any]


def choose_kernel(
    factors: FactorModel, train: Interactions, validation: Interactions, residuals: Residuals
) -> ChosenKernel:
    """Return the multiple of `KERNEL` of least squared error on the validation part.

    First the variance of the taste is chosen, then that of the times; each may be 0. `factors`
    must not have seen the validation part. At most 400 of its users are looked at.
    """
    if residuals == "none" or not factors.predicts_ratings or not len(validation):
        return ChosenKernel(None, {})
    data = _Probe.of(factors, train, validation)
    errors: dict[tuple[float, float], float] = {(0.0, 0.0): data.error(None)}
    errors |= {(taste, 0.0): data.error(KERNEL.scaled(taste, 0.0)) for taste in TASTES}
    taste, _ = min(errors, key=lambda scale: errors[scale])
    if residuals == "taste+time" and train.timestamp is not None:
        errors |= {(taste, time): data.error(KERNEL.scaled(taste, time)) for time in TIMES}
    best = min(errors, key=lambda scale: errors[scale])
    kernel = KERNEL.scaled(*best) if any(best) else None
    return ChosenKernel(kernel, {"residuals": _kernel_facts(data, errors, best)})


@dataclass(frozen=True, eq=False)
class _Probe:
    """The ratings of the users looked at, and how many of one user count."""

    factors: FactorModel
    train: Interactions
    validation: Interactions
    most: int

    @classmethod
    def of(cls, factors: FactorModel, train: Interactions, validation: Interactions) -> _Probe:
        most = most_ratings(train, factors.n_users)  # as it will be for all users
        users = np.unique(validation.user)
        chosen = np.linspace(0, len(users) - 1, min(len(users), MOST_PROBED)).round().astype(int)
        is_chosen = np.zeros(factors.n_users, bool)
        is_chosen[users[chosen]] = True
        mine, held_out = (p.take(np.flatnonzero(is_chosen[p.user])) for p in (train, validation))
        return cls(factors, mine, held_out, most)

    def error(self, kernel: ResidualKernel | None) -> float:
        """Return the mean squared error in stars²."""
        part = self.validation
        model: FactorModel | ResidualModel = self.factors
        if kernel is not None:
            model = fit_residuals(self.factors, self.train, kernel, most=self.most)
        error = _predict(model, part).astype(np.float64) - part.rating
        return float(np.mean(error**2))


def _predict(model: FactorModel | ResidualModel, part: Interactions) -> FloatArray:
    if isinstance(model, ResidualModel) and part.timestamp is not None:
        return model.predict_at(part.user, part.movie, part.timestamp)
    return model.predict(part.user, part.movie)


def _kernel_facts(
    data: _Probe, errors: dict[tuple[float, float], float], best: tuple[float, float]
) -> dict[str, Any]:
    return {
        "taste": best[0],
        "time": best[1],
        "most_ratings": data.most,
        "validation_ratings": len(data.validation),
        "val_rmse_without": float(np.sqrt(errors[0.0, 0.0])),
        "val_rmse_with_taste": float(np.sqrt(errors[best[0], 0.0])),
        "val_rmse": float(np.sqrt(errors[best])),
    }


def calibrate_on(
    factors: FactorModel,
    kernel: ResidualKernel | None,
    train: Interactions,
    validation: Interactions,
) -> tuple[Calibration, dict[str, Any]]:
    """Return `calibrate` of factors over the train part, corrected where there is a kernel.

    Of more than 500,000 validation ratings those of every so-manieth user are taken, so that it
    is no more than that: what is fitted has one number per level of the scale.
    """
    most = most_ratings(train, factors.n_users)
    every = -(-len(validation) // MOST_FITTED)
    if every > 1:
        train, validation = (part.take(_of_every(part, every)) for part in (train, validation))
    if kernel is None:
        return calibrate(factors, validation)
    return calibrate(fit_residuals(factors, train, kernel, most=most), validation)


def _of_every(part: Interactions, every: int) -> IntArray:
    """Return where the ratings of every so-manieth user lie."""
    return np.flatnonzero(part.user % every == 0)


def calibrate(
    model: FactorModel | ResidualModel, validation: Interactions
) -> tuple[Calibration, dict[str, Any]]:
    """Fit a calibration, and say what `metadata.json` keeps of it.

    `model` must have the validation part neither in its graph nor in its
    training. The errors before and after are of the ratings it was fitted on: what it is worth
    shows on the test part.
    """
    factors = model.factors if isinstance(model, ResidualModel) else model
    if not factors.has_distribution:
        return fit_calibration(factors, validation), {}
    found = fit_calibration(factors, validation, _raw(model, validation))
    changed = calibrated(factors, found)
    better = replace(model, factors=changed) if isinstance(model, ResidualModel) else changed
    before = measure_calibration(model, factors.scale, validation).numbers
    after = measure_calibration(better, factors.scale, validation).numbers
    return found, {
        "calibration": {
            "method": found.method,
            "reason": found.reason,
            "temperature": found.temperature,
            "validation_ratings": found.n_ratings,
            "val_ece_before": before["ece"],
            "val_ece_after": after["ece"],
            "val_nll_before": before["nll"],
            "val_nll_after": after["nll"],
        }
    }


def _raw(model: FactorModel | ResidualModel, part: Interactions) -> FloatArray:
    if isinstance(model, ResidualModel):
        return model.raw(part.user, part.movie, part.timestamp)
    return model.raw(part.user, part.movie)
