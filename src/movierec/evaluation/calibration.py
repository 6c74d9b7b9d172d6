"""Do the probabilities of a rating distribution come true?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from movierec.data.dataset import FloatArray, IntArray, Interactions, RatingScale
from movierec.errors import EvaluationError
from movierec.evaluation.ratings import Float64Array, by_user
from movierec.models.calibration import level_of
from movierec.models.protocol import PredictsAtTime, PredictsDistribution, Recommender

__all__ = ["BINS", "DistributionQuality", "calibration_error", "measure_calibration"]

# of equal width: they add up over blocks without sorting, and are the same for every version
BINS = 10
MOST_THRESHOLDS = 20  # a scale with more levels is asked at as many of them, evenly spread
CELLS_AT_ONCE = 2**21
TAIL = 0.1  # probability left out at each end of the central 80 % interval
# what float32 can tell from 1: one rating called impossible must not hide all others
SMALLEST_CHANCE = float(np.finfo(np.float32).eps)
_COLUMNS = ("threshold", "bin", "predicted", "observed", "count")


@dataclass(frozen=True, eq=False)
class DistributionQuality:
    """How well rating distributions fit held-out ratings; all NaN where there are none.

    `numbers`:
        ece: mean of `ece_per_threshold`, see `calibration_error`.
        ece_per_threshold: stars -> error of P(rating > stars).
        nll: -mean(log P(rating)) in nats per rating; a probability below 1.2e-7 counts as that.
        coverage_80: share of ratings inside the central 80 % interval, which reaches from the
            first level where P(rating <= level) >= 0.1 to the first where it is >= 0.9.
        claimed_80: the mean probability of that interval. It holds whole levels, so it is above
            0.8, and coverage is to be compared with it.
        width_80: its mean width in stars.
        n: ratings with a distribution.

    `reliability`: one row per threshold and bin with ratings: threshold (stars), bin, predicted
    (mean probability of a rating above the threshold), observed (share above it), count.
    """

    numbers: dict[str, Any]
    reliability: pd.DataFrame


def calibration_error(predicted: npt.ArrayLike, happened: npt.ArrayLike) -> float:
    """Return the expected calibration error of probabilities of one event, 0 to 1.

        ECE = sum_b n_b / n * |mean predicted in b - share that happened in b|

    over ten bins b of equal width (Naeini, Cooper and Hauskrecht 2015, Obtaining Well Calibrated
    Probabilities Using Bayesian Binning; Guo et al. 2017). NaN over nothing.

    Shapes: predicted: (n,) probabilities; happened: (n,) 0 or 1.
    """
    sums = _Sums.empty(1)
    sums.add(np.asarray(predicted, np.float64)[:, None], np.asarray(happened, np.float64)[:, None])
    return float(sums.errors()[0])


def measure_calibration(
    model: Recommender, scale: RatingScale, held_out: Interactions
) -> DistributionQuality:
    """Measure a model's rating distributions on ratings it has not seen.

    A threshold is every level but the highest; the event is a rating above it. Errors are
    averaged over thresholds with equal weight.

    Raises:
        EvaluationError: the model returns distributions of another shape than it was asked for.

    """
    found = _Found(scale)
    if isinstance(model, PredictsDistribution) and model.has_distribution:
        for part in by_user(held_out, max(1, CELLS_AT_ONCE // len(scale.levels))):
            probabilities = _chances(model, scale, held_out, part)
            found.add(probabilities, level_of(scale, held_out.rating[part]))
    return DistributionQuality(found.numbers(), found.reliability())


def _chances(
    model: PredictsDistribution, scale: RatingScale, held_out: Interactions, part: IntArray
) -> Float64Array:
    user, movie = held_out.user[part], held_out.movie[part]
    time = held_out.timestamp
    if time is not None and isinstance(model, PredictsAtTime) and model.uses_timestamps:
        found = model.rating_distribution(user, movie, time[part])
    else:
        found = model.rating_distribution(user, movie)
    probabilities = np.asarray(found, np.float64)
    if probabilities.shape != (len(user), len(scale.levels)):
        raise EvaluationError(
            f"rating_distribution() returned shape {probabilities.shape} for {len(user)} pairs.",
            hint="It must return a probability per pair and level of the scale.",
        )
    return probabilities


@dataclass(eq=False)
class _Sums:
    """What a reliability table needs, (n_thresholds, BINS) each."""

    count: Float64Array
    predicted: Float64Array
    happened: Float64Array

    @classmethod
    def empty(cls, n_thresholds: int) -> _Sums:
        return cls(*(np.zeros((n_thresholds, BINS)) for _ in range(3)))

    def add(self, predicted: Float64Array, happened: Float64Array) -> None:
        """Count probabilities and events, (n, n_thresholds) each."""
        at = np.clip((predicted * BINS).astype(np.int64), 0, BINS - 1)
        for row, bins in enumerate(at.T):
            self.count[row] += np.bincount(bins, minlength=BINS)
            self.predicted[row] += np.bincount(bins, predicted[:, row], BINS)
            self.happened[row] += np.bincount(bins, happened[:, row], BINS)

    def errors(self) -> Float64Array:
        """Return the ECE of each threshold, (n_thresholds,)."""
        total = self.count.sum(axis=1)
        gaps = np.abs(self.predicted - self.happened).sum(axis=1)
        return np.where(total > 0, gaps / np.maximum(total, 1), np.nan)


@dataclass(eq=False)
class _Found:
    """Everything that adds up over blocks of ratings."""

    scale: RatingScale
    log_chance: float = 0.0
    inside: float = 0.0
    claimed: float = 0.0
    width: float = 0.0
    n: int = 0
    thresholds: IntArray = field(init=False)
    sums: _Sums = field(init=False)

    def __post_init__(self) -> None:
        n = len(self.scale.levels) - 1
        spread = np.linspace(0, n - 1, min(n, MOST_THRESHOLDS))
        self.thresholds = np.unique(spread.round().astype(np.int64))
        self.sums = _Sums.empty(len(self.thresholds))

    def add(self, probabilities: Float64Array, level: IntArray) -> None:
        below = probabilities.cumsum(axis=1)  # P(rating <= level)
        above = np.clip(1 - below[:, self.thresholds], 0, 1)
        self.sums.add(above, (level[:, None] > self.thresholds).astype(np.float64))
        given = np.take_along_axis(probabilities, level[:, None], axis=1)
        self.log_chance += float(np.log(np.maximum(given, SMALLEST_CHANCE)).sum())
        self._add_interval(probabilities, below, level)
        self.n += len(level)

    def _add_interval(
        self, probabilities: Float64Array, below: Float64Array, level: IntArray
    ) -> None:
        low, high = (below < TAIL).sum(axis=1), (below < 1 - TAIL).sum(axis=1)
        high = np.minimum(high, probabilities.shape[1] - 1)  # float32 may sum to a little below 1
        before = np.take_along_axis(below - probabilities, low[:, None], axis=1)
        upto = np.take_along_axis(below, high[:, None], axis=1)
        self.claimed += float((upto - before).sum())
        self.inside += float(((level >= low) & (level <= high)).sum())
        self.width += float((high - low).sum() * self.scale.step)

    def numbers(self) -> dict[str, Any]:
        errors = self.sums.errors()
        names = [f"{self.scale.levels[at]:g}" for at in self.thresholds]
        return {
            "ece": float(errors.mean()) if len(errors) else np.nan,
            "ece_per_threshold": dict(zip(names, errors.tolist(), strict=True)),
            "nll": self._mean(-self.log_chance),
            "coverage_80": self._mean(self.inside),
            "claimed_80": self._mean(self.claimed),
            "width_80": self._mean(self.width),
            "n": self.n,
        }

    def reliability(self) -> pd.DataFrame:
        row, bins = np.nonzero(self.sums.count)
        count = self.sums.count[row, bins]
        stars: FloatArray = self.scale.levels[self.thresholds[row]]
        means = (total[row, bins] / count for total in (self.sums.predicted, self.sums.happened))
        columns = (stars.astype(np.float64), bins, *means, count.astype(np.int64))
        return pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))

    def _mean(self, total: float) -> float:
        return total / self.n if self.n else np.nan
