"""Making the probabilities of a rating distribution come true on held-out ratings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_expit

from movierec.data.dataset import FloatArray, IntArray, Interactions, RatingScale
from movierec.models.arrays import Float64Array
from movierec.models.factors import FactorModel

__all__ = ["FEWEST_RATINGS", "Calibration", "calibrated", "fit_calibration", "level_of"]

Method: TypeAlias = Literal["none", "temperature", "cut points"]

FEWEST_RATINGS = 50  # below, the fit would follow chance
FEWEST_PER_LEVEL = 10  # a level seen less often says too little about the cut points around it
MOST_SOFTENING = 3.0  # |log temperature|: 20 times as soft or as sharp
GAPS = (-9.0, 4.0)  # log of the distance of two cut points; float32 tells them apart


@dataclass(frozen=True, eq=False)
class Calibration:
    """How to change the logits of a rating distribution, and what that gained where it was fitted.

    Calibrated, the logit of P(rating > level_k) is logit_k / temperature - shifts[k]: a temperature
    above 1 means that the model was too sure. Shapes: shifts: (L - 1,). When the distribution was
    left as it was `reason` says why. Negative log-likelihoods are in nats per rating, NaN where
    there was nothing to fit.
    """

    method: Method
    temperature: float
    shifts: Float64Array
    n_ratings: int
    nll_before: float
    nll_after: float
    reason: str = ""

    def numbers(self, factors: FactorModel) -> FloatArray:
        """Return what `FactorModel.calibration` is to hold: (L,), or empty for none.

        For another model than the one it was fitted on, as after a refit, the change is made
        relative to that model's own cut points.
        """
        if self.method == "none":
            return np.zeros(0, np.float32)
        cuts = factors.cut_points.astype(np.float64)
        cuts = np.maximum.accumulate(cuts / self.temperature + self.shifts)
        return np.append(factors.slope / self.temperature, cuts).astype(np.float32)


def calibrated(factors: FactorModel, calibration: Calibration) -> FactorModel:
    """Return the same model with these probabilities; its predictions stay as they are."""
    return replace(factors, calibration=calibration.numbers(factors))


def fit_calibration(
    factors: FactorModel, held_out: Interactions, raw: FloatArray | None = None
) -> Calibration:
    """Choose slope and cut points of the distribution on ratings the model has not seen.

    With logits_k = slope * raw - c_k of P(rating > level_k) (`FactorModel`), three candidates:

        none           as trained
        temperature    logits_k / T (Guo et al. 2017, On Calibration of Modern Neural Networks)
        cut points     slope / T and all c_k anew: the proportional-odds model (McCullagh 1980)
                       with raw as its only covariate

    each of least negative log-likelihood NLL = -sum_i log P(rating_i). The one of least NLL + p
    for p parameters is taken (Akaike 1974, AIC: what to expect on new ratings), so parameters
    must pay and NLL never rises. A calibration the model already has is ignored.

    `raw`: the scores before the link, (n,), of a model that moves those of `factors`. `held_out`
    must not be in the graph or the training of `factors`. Nothing is fitted on fewer
    than 50 ratings, and no cut points where a level was given fewer than 10 times.
    """
    if not factors.has_distribution:
        return _left_alone(len(held_out), "the model has no distribution")
    if len(held_out) < FEWEST_RATINGS:
        few = f"{len(held_out)} ratings are too few; it takes {FEWEST_RATINGS}"
        return _left_alone(len(held_out), few)
    data = _Ratings.of(factors, held_out, raw)
    start = np.append(factors.slope, factors.cut_points)
    candidates: dict[Method, Float64Array] = {"none": start, "temperature": data.softened(start)}
    if data.shows_every_level:
        candidates["cut points"] = data.refitted(candidates["temperature"])
    return _best(data, candidates)


def level_of(scale: RatingScale, ratings: FloatArray) -> IntArray:
    """Return which level of the scale each rating is, the lowest being 0; (n,) -> (n,)."""
    levels: IntArray = np.rint((ratings - scale.low) / scale.step).astype(np.int64)
    return levels.clip(0, len(scale.levels) - 1)


@dataclass(frozen=True, eq=False)
class _Ratings:
    """Raw scores and the levels that were given, counted from 0. Shapes: (n,), (n,)."""

    raw: Float64Array
    level: IntArray
    n_levels: int

    @classmethod
    def of(
        cls, factors: FactorModel, ratings: Interactions, raw: FloatArray | None = None
    ) -> _Ratings:
        if raw is None:
            raw = factors.raw(ratings.user, ratings.movie)
        return cls(
            raw.astype(np.float64),
            level_of(factors.scale, ratings.rating),
            len(factors.scale.levels),
        )

    @property
    def shows_every_level(self) -> bool:
        counts = np.bincount(self.level, minlength=self.n_levels)
        return bool(counts.min() >= FEWEST_PER_LEVEL)

    def nll(self, numbers: npt.ArrayLike) -> float:
        """Return the mean NLL under (slope, cut points), in nats per rating."""
        above, below, gap = self._logits(np.asarray(numbers, np.float64))
        with np.errstate(divide="ignore"):  # equal cut points: a level that cannot be
            log_chance = log_expit(above) + log_expit(-below) + np.log(-np.expm1(-gap))
        return float(-log_chance.mean())

    def softened(self, numbers: Float64Array) -> Float64Array:
        """Return the numbers at their best temperature."""
        bounds = (-MOST_SOFTENING, MOST_SOFTENING)
        found = minimize_scalar(
            lambda heat: self.nll(numbers * np.exp(-heat)), bounds=bounds, method="bounded"
        )
        softened: Float64Array = numbers * np.exp(-found.x)
        return softened

    def refitted(self, start: Float64Array) -> Float64Array:
        """Return the slope and cut points of least NLL, from a start near them.

        Gaps are fitted as logarithms, so that cut points cannot cross.
        """
        slope, cuts = start[0], start[1:]
        with np.errstate(divide="ignore"):
            gaps = np.clip(np.log(np.diff(cuts)), *GAPS)
        found = minimize(
            lambda theta: self._objective(theta, slope),
            np.concatenate([[0.0], cuts[:1], gaps]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-MOST_SOFTENING, MOST_SOFTENING), (None, None), *[GAPS] * len(gaps)],
        )
        return _numbers(found.x, slope)

    def _objective(self, theta: Float64Array, slope: float) -> tuple[float, Float64Array]:
        """Return the NLL and its gradient in log temperature, first cut point and log gaps."""
        numbers = _numbers(theta, slope)
        by_slope, by_cuts = self._gradient(numbers)
        by_steps = np.cumsum(by_cuts[::-1])[::-1]  # a step moves every cut point after it
        steps = np.append(1.0, np.exp(theta[2:]))
        return self.nll(numbers), np.append(-by_slope * numbers[0], by_steps * steps)

    def _gradient(self, numbers: Float64Array) -> tuple[float, Float64Array]:
        """Return the derivatives of the NLL by the slope and by each cut point.

        For P = s(a) - s(b), s the logistic function: d log P / da = s(-a) + 1 / (e^(a-b) - 1) and
        d log P / db = -s(b) - 1 / (e^(a-b) - 1).
        """
        above, below, gap = self._logits(numbers)
        with np.errstate(over="ignore"):
            crowding = 1 / np.expm1(gap)
        upper = -(expit(-above) + crowding) / len(self.raw)
        lower = (expit(below) + crowding) / len(self.raw)
        size = self.n_levels + 1
        edges = np.zeros(size)
        edges += np.bincount(self.level, upper, size) + np.bincount(self.level + 1, lower, size)
        return float(((upper + lower) * self.raw).sum()), -edges[1:-1]

    def _logits(self, numbers: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return the logits of reaching the given level and the next one, and their distance."""
        edges = np.concatenate([[-np.inf], numbers[1:], [np.inf]])
        low, high = edges[self.level], edges[self.level + 1]
        score = numbers[0] * self.raw
        return score - low, score - high, high - low


def _numbers(theta: Float64Array, slope: float) -> Float64Array:
    cuts = np.cumsum(np.append(theta[1], np.exp(theta[2:])))
    return np.append(slope * np.exp(-theta[0]), cuts)


def _best(data: _Ratings, candidates: dict[Method, Float64Array]) -> Calibration:
    nll = {name: data.nll(numbers) for name, numbers in candidates.items()}
    parameters = {"none": 0, "temperature": 1, "cut points": data.n_levels}
    method = min(candidates, key=lambda name: nll[name] + parameters[name] / len(data.raw))
    before, after = candidates["none"], candidates[method]
    temperature = float(before[0] / after[0]) if after[0] else 1.0
    return Calibration(
        method,
        temperature,
        shifts=after[1:] - before[1:] / temperature,
        n_ratings=len(data.raw),
        nll_before=nll["none"],
        nll_after=nll[method],
        reason="no parameter gained what it costs" if method == "none" else "",
    )


def _left_alone(n_ratings: int, reason: str) -> Calibration:
    return Calibration("none", 1.0, np.zeros(0), n_ratings, np.nan, np.nan, reason)
