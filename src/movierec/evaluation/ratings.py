"""How far predicted ratings are from the held-out ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from movierec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from movierec.errors import EvaluationError
from movierec.models.protocol import PredictsAtTime, Recommender

__all__ = ["Float64Array", "by_user", "mae", "predict_ratings", "rmse", "uses_timestamps"]

Float64Array: TypeAlias = npt.NDArray[np.float64]

PAIRS_AT_ONCE = 2**18  # bounds what a model gathers for one call: 64 MB at 64 factors


def uses_timestamps(model: Recommender, held_out: Interactions) -> bool:
    """Return whether the model predicts these ratings with the time they were given at."""
    knows = isinstance(model, PredictsAtTime) and model.uses_timestamps
    return knows and held_out.timestamp is not None


def predict_ratings(
    model: Recommender, dataset: Dataset, held_out: Interactions, *, timed: bool = True
) -> FloatArray:
    """Return the predicted stars of every held-out rating, clipped to the scale.

    A model that heeds the time is told each rating's unless `timed` is false.

    Shapes: (n,) for n held-out ratings; NaN where the model does not predict ratings.

    Raises:
        EvaluationError: the model returns another number of predictions than it was asked for.

    """
    if not timed:
        held_out = replace(held_out, timestamp=None)
    predicted = np.empty(len(held_out), np.float32)
    for part in by_user(held_out, PAIRS_AT_ONCE):
        predicted[part] = _predict(model, held_out, part)
    return dataset.scale.clip(predicted)


def by_user(held_out: Interactions, size: int) -> Iterator[IntArray]:
    """Yield positions, `size` at a time, with those of a user side by side where there are more.

    What a model does once for a user and a call it then does once in all.
    """
    order = np.arange(len(held_out))
    if len(held_out) > size:
        order = np.argsort(held_out.user, kind="stable")
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _predict(model: Recommender, held_out: Interactions, part: IntArray) -> FloatArray:
    user, movie = held_out.user[part], held_out.movie[part]
    time = held_out.timestamp
    if time is not None and isinstance(model, PredictsAtTime) and model.uses_timestamps:
        predicted = np.asarray(model.predict_at(user, movie, time[part]), np.float32)
    else:
        predicted = np.asarray(model.predict(user, movie), np.float32)
    if predicted.shape != user.shape:
        raise EvaluationError(
            f"predict() returned shape {predicted.shape} for {len(user)} pairs.",
            hint="It must return one rating per pair.",
        )
    return predicted


def rmse(predicted: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """Root mean squared error in stars: sqrt(mean((predicted - actual)²)).

    NaN over nothing, and when any prediction is NaN: the model does not predict ratings.
    """
    return float(np.sqrt(_mean(_error(predicted, actual) ** 2)))


def mae(predicted: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """Mean absolute error in stars: mean(|predicted - actual|); NaN as in `rmse`."""
    return float(_mean(np.abs(_error(predicted, actual))))


def _error(predicted: npt.ArrayLike, actual: npt.ArrayLike) -> Float64Array:
    return np.asarray(predicted, np.float64) - np.asarray(actual, np.float64)


def _mean(values: Float64Array) -> float:
    return float(values.mean()) if values.size else float("nan")
