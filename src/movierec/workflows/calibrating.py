"""A trained model's probabilities, put right on the validation part."""

from __future__ import annotations

from typing import Any

from movierec.data.dataset import Interactions
from movierec.evaluation.calibration import measure_calibration
from movierec.models.calibration import Calibration, calibrated, fit_calibration
from movierec.models.factors import FactorModel

__all__ = ["calibrate"]


def calibrate(factors: FactorModel, validation: Interactions) -> tuple[Calibration, dict[str, Any]]:
    """Fit a calibration, and say what `metadata.json` keeps of it.

    `factors` must be of a model that has the validation part neither in its graph nor in its
    training. The errors before and after are of the ratings it was fitted on: what it is worth
    shows on the test part.
    """
    found = fit_calibration(factors, validation)
    if not factors.has_distribution:
        return found, {}
    before = measure_calibration(factors, factors.scale, validation).numbers
    after = measure_calibration(calibrated(factors, found), factors.scale, validation).numbers
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
