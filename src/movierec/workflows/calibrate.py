"""A trained model's probabilities, put right on the validation part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from movierec.data.dataset import FloatArray, IntArray, Interactions
from movierec.evaluation.calibration import measure_calibration
from movierec.models.calibration import Calibration, calibrated, fit_calibration
from movierec.models.factors import FactorModel
from movierec.models.residual_kernel import ResidualKernel
from movierec.models.residuals import ResidualModel, fit_residuals, most_ratings

__all__ = ["calibrate", "calibrate_on"]

MOST_FITTED = 500_000  # validation ratings; more take minutes and move the fourth digit


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
