"""Text columns to numbers, times and ids, all rows at once; what cannot be read is NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["MISSING", "is_missing", "numbers", "seconds", "trimmed"]

MISSING = ("", "nan", "na", "n/a", "null", "none")  # in lower case
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59 UTC
MILLISECONDS_FROM = 100_000_000_000  # as seconds this would be the year 5138
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def trimmed(column: Any) -> Any:
    """Return a string column as one array, without blanks around the values."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return pc.utf8_trim_whitespace(column)


def is_missing(column: Any) -> npt.NDArray[np.bool_]:
    """Return which values say that there is none, "NaN" and "null" among them."""
    missing = pc.is_in(pc.utf8_lower(trimmed(column)), pa.array(MISSING))
    mask: npt.NDArray[np.bool_] = missing.to_numpy(zero_copy_only=False)
    return mask


def numbers(column: Any) -> npt.NDArray[np.float64]:
    """Return finite numbers as float64, NaN for everything else, (n,)."""
    texts = trimmed(column)
    try:
        values = pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        # the quick way failed on some row: mask what does not look like a number, then cast
        texts = pc.if_else(pc.match_substring_regex(texts, _NUMBER), texts, None)
        values = pc.cast(texts, pa.float64())
    found = np.array(values.to_numpy(zero_copy_only=False), np.float64)
    found[~np.isfinite(found)] = np.nan
    return found


def seconds(column: Any) -> npt.NDArray[np.float64]:
    """Return times as whole seconds since 1970; NaN for what is no time or outside 1970…9999.

    Reads seconds, milliseconds (when all numbers are that large) and ISO 8601 texts.
    """
    found = numbers(column)
    if np.isnan(found).all():
        found = _iso_seconds(column)
    if len(found) and np.nanmin(found, initial=np.inf) >= MILLISECONDS_FROM:
        found = found / 1000
    found = np.floor(found)
    found[~((found >= 0) & (found <= LAST_SECOND))] = np.nan
    return found


def _iso_seconds(column: Any) -> npt.NDArray[np.float64]:
    times = pd.to_datetime(column.to_pandas(), format="ISO8601", utc=True, errors="coerce")
    parsed = times.dt.as_unit("s")
    found = np.array(parsed.astype("int64"), np.float64)
    found[parsed.isna().to_numpy()] = np.nan
    return found
