"""Rating scales: written by the user, or inferred from the ratings."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import RatingScale
from movierec.errors import FormatError

__all__ = ["HALF_STARS", "WHOLE_STARS", "infer_scale", "on_scale", "parse_scale"]

WHOLE_STARS = RatingScale(1.0, 5.0, 1.0)
HALF_STARS = RatingScale(0.5, 5.0, 0.5)
RESOLUTION = 1000  # steps are told apart down to a thousandth of a star
TOLERANCE = 1e-4  # stars; ratings are kept as float32
MAX_LEVELS = 1001


def parse_scale(text: str) -> RatingScale:
    """Read "low:high:step", e.g. "1:5:0.5".

    Raises:
        FormatError: it is not three numbers with low < high and a step that fits between.

    """
    hint = "Write it as low:high:step, for example 1:5:1 or 0.5:5:0.5."
    try:
        low, high, step = (float(part) for part in text.split(":"))
    except ValueError as error:
        raise FormatError(f"{text!r} is not a rating scale.", hint=hint) from error
    finite = all(math.isfinite(x) for x in (low, high, step))
    if not finite or not low < high or step <= 0 or (high - low) / step > MAX_LEVELS:
        raise FormatError(f"The rating scale {text!r} is impossible.", hint=hint)
    steps = (high - low) / step
    if abs(steps - round(steps)) > 1e-6:
        raise FormatError(f"The step of the rating scale {text!r} does not fit.", hint=hint)
    return RatingScale(low, high, step)


def infer_scale(ratings: npt.NDArray[np.float64]) -> RatingScale:
    """Return the smallest scale that holds the ratings: their range and common step.

    Ratings without a common step of a thousandth star or more get 1,000 equal steps.
    """
    units = np.unique(np.round(ratings * RESOLUTION).astype(np.int64))
    low, high = int(units[0]), int(units[-1])
    # rounding to units may have moved an end inwards
    low -= ratings.min() < low / RESOLUTION - TOLERANCE
    high += ratings.max() > high / RESOLUTION + TOLERANCE
    step = int(np.gcd.reduce(np.diff(units))) if len(units) > 1 else RESOLUTION
    step = max(step, (high - low) // (MAX_LEVELS - 1))
    return RatingScale(low / RESOLUTION, high / RESOLUTION, step / RESOLUTION)


def on_scale(ratings: npt.NDArray[np.float64], scale: RatingScale) -> npt.NDArray[np.bool_]:
    """Return which ratings are one of the scale's levels."""
    steps = (ratings - scale.low) / scale.step
    inside = (ratings >= scale.low - TOLERANCE) & (ratings <= scale.high + TOLERANCE)
    return inside & (np.abs(steps - np.round(steps)) * scale.step <= TOLERANCE)
