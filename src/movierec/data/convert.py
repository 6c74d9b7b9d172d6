"""Text columns to numbers, times and ids, all rows at once; and the scale of the ratings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from movierec.data.dataset import RatingScale
from movierec.errors import FormatError

__all__ = [
    "HALF_STARS",
    "MISSING",
    "WHOLE_STARS",
    "are_milliseconds",
    "combined",
    "infer_scale",
    "is_missing",
    "numbers",
    "on_scale",
    "parse_scale",
    "times",
    "to_seconds",
    "trimmed",
]

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


MISSING = ("", "nan", "na", "n/a", "null", "none")  # in lower case
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59 UTC
MILLISECONDS_FROM = 100_000_000_000  # as seconds this would be the year 5138
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def combined(column: Any) -> Any:
    """Return a column in one piece."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def trimmed(column: Any) -> Any:
    """Return a string column as one array, without blanks around the values."""
    return pc.utf8_trim_whitespace(combined(column))


def is_missing(column: Any) -> npt.NDArray[np.bool_]:
    """Return which values say that there is none, "NaN" and "null" among them."""
    missing = pc.is_in(pc.utf8_lower(trimmed(column)), pa.array(MISSING))
    mask: npt.NDArray[np.bool_] = missing.to_numpy(zero_copy_only=False)
    return mask


def numbers(column: Any) -> npt.NDArray[np.float64]:
    """Return finite numbers as float64, NaN for everything else, (n,)."""
    try:
        values = pc.cast(combined(column), pa.float64())
    except pa.ArrowInvalid:
        # the quick way failed on some row: mask what does not look like a number, then cast
        texts = trimmed(column)
        texts = pc.if_else(pc.match_substring_regex(texts, _NUMBER), texts, None)
        values = pc.cast(texts, pa.float64())
    found = np.array(values.to_numpy(zero_copy_only=False), np.float64)
    found[~np.isfinite(found)] = np.nan
    return found


def times(column: Any) -> tuple[npt.NDArray[np.float64], bool]:
    """Return times as they are written, NaN for what is none, and whether they are dates.

    They are numbers, or where none of the column is, ISO 8601 texts as seconds since 1970.
    """
    found = numbers(column)
    return (found, False) if not np.isnan(found).all() else (_iso_seconds(column), True)


def are_milliseconds(times: Iterable[npt.NDArray[np.float64]]) -> bool:
    """Return whether numbers are all so large that they can't be seconds; NaN counts for none."""
    lowest = min((np.fmin.reduce(part, initial=np.inf) for part in times), default=0.0)
    return bool(MILLISECONDS_FROM <= lowest < np.inf)


def to_seconds(times: npt.NDArray[np.float64], *, milliseconds: bool) -> npt.NDArray[np.bool_]:
    """Make times whole seconds since 1970 in place, 0 where they lie outside 1970…9999.

    Returns which do not, (n,).
    """
    if milliseconds:
        times /= 1000
    np.floor(times, out=times)
    bad = ~((times >= 0) & (times <= LAST_SECOND))
    times[bad] = 0
    return bad


def _iso_seconds(column: Any) -> npt.NDArray[np.float64]:
    times = pd.to_datetime(column.to_pandas(), format="ISO8601", utc=True, errors="coerce")
    parsed = times.dt.as_unit("s")
    found = np.array(parsed.astype("int64"), np.float64)
    found[parsed.isna().to_numpy()] = np.nan
    return found
