"""How much of a user's own residuals to believe, chosen on the validation part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from movierec.data.dataset import FloatArray, Interactions
from movierec.models.factors import FactorModel
from movierec.models.graphsage.hyperparameters import Residuals
from movierec.models.residuals import (
    KERNEL,
    ResidualKernel,
    ResidualModel,
    fit_residuals,
    most_ratings,
)

__all__ = ["ChosenKernel", "choose_kernel"]

TASTES = (0.25, 1.0, 4.0)  # times the variances of KERNEL
TIMES = (0.25, 1.0, 2.0)
MOST_USERS = 400  # enough to tell such multiples apart; ten fits on all users would take seconds


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
    data = _Parts.of(factors, train, validation)
    errors: dict[tuple[float, float], float] = {(0.0, 0.0): data.error(None)}
    errors |= {(taste, 0.0): data.error(KERNEL.scaled(taste, 0.0)) for taste in TASTES}
    taste, _ = min(errors, key=lambda scale: errors[scale])
    if residuals == "taste+time" and train.timestamp is not None:
        errors |= {(taste, time): data.error(KERNEL.scaled(taste, time)) for time in TIMES}
    best = min(errors, key=lambda scale: errors[scale])
    kernel = KERNEL.scaled(*best) if any(best) else None
    return ChosenKernel(kernel, {"residuals": _facts(data, errors, best)})


@dataclass(frozen=True, eq=False)
class _Parts:
    """The ratings of the users looked at, and how many of one user count."""

    factors: FactorModel
    train: Interactions
    validation: Interactions
    most: int

    @classmethod
    def of(cls, factors: FactorModel, train: Interactions, validation: Interactions) -> _Parts:
        most = most_ratings(train, factors.n_users)  # as it will be for all users
        users = np.unique(validation.user)
        chosen = np.linspace(0, len(users) - 1, min(len(users), MOST_USERS)).round().astype(int)
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


def _facts(
    data: _Parts, errors: dict[tuple[float, float], float], best: tuple[float, float]
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
