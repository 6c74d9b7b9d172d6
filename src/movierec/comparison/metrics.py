"""The metrics that versions are compared by: one place for names, directions and digits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from movierec.metadata import EvaluationSummary, Number

__all__ = [
    "BEYOND",
    "BY_KEY",
    "METRICS",
    "PAIRED",
    "REFERENCE_BASELINES",
    "Metric",
    "number_of",
    "values_of",
]


@dataclass(frozen=True)
class Metric:
    """One metric: where it lies in an `EvaluationSummary`, and which direction is better.

    `column` is its name for `significance.compare_users`; empty where only the whole test part
    has a value, so that no interval can be given. `digits` are those it is shown with.
    """

    key: str
    label: str
    path: tuple[str, ...]
    hint: str
    column: str = ""
    digits: int = 3
    lower_is_better: bool = False

    def gain(self, delta: float) -> float:
        """Return a difference with the sign turned so that more is better."""
        return -delta if self.lower_is_better else delta

    def value_in(self, evaluation: EvaluationSummary) -> float:
        """Return its value, NaN where it was not measured."""
        return number_of(evaluation.value_at(*self.path))


_STARS = "Stars, over all test ratings. Lower is better."
_FULL = "Candidates: all movies the user has not rated in the train part. Higher is better."
_LIKED = "As full, but only held-out ratings of 4 stars or more count. Higher is better."
_RATED = "Candidates: only the user's own test movies; an easy protocol. Higher is better."
_LISTS = "Over the top-10 lists of all test users; "

# Those whose difference is tested user by user; Holm's correction is over all of them.
PAIRED = (
    Metric("rmse", "RMSE", ("rmse",), _STARS, "rmse", 4, lower_is_better=True),
    Metric("mae", "MAE", ("mae",), _STARS, "mae", 4, lower_is_better=True),
    Metric("ndcg_full", "NDCG@10 full", ("full", "ndcg_at_10"), _FULL, "full_ndcg_at_10"),
    Metric("recall_full", "R@10 full", ("full", "recall_at_10"), _FULL, "full_recall_at_10"),
    Metric("hit_full", "HitRate@10 full", ("full", "hit_rate_at_10"), _FULL, "full_hit_rate_at_10"),
    Metric("ndcg_liked", "NDCG@10 full, 4★+", ("full_4", "ndcg_at_10"), _LIKED,
           "full_4_ndcg_at_10"),
    Metric("precision_rated", "P@10 rated", ("rated", "precision_at_10"), _RATED,
           "rated_precision_at_10"),
    Metric("ndcg_rated", "NDCG@10 rated", ("rated", "ndcg_at_10"), _RATED, "rated_ndcg_at_10"),
)  # fmt: skip
BEYOND = (
    Metric("coverage", "Coverage", ("beyond", "catalogue_coverage"),
           _LISTS + "share of the movies that is in at least one. Higher is broader."),
    Metric("gini", "Gini of exposure", ("beyond", "gini"),
           _LISTS + "0: all movies equally often, 1: one movie alone. Lower is broader.",
           lower_is_better=True),
    Metric("popularity", "Popularity bias", ("beyond", "popularity_percentile"),
           _LISTS + "mean popularity percentile of what is shown. Lower is less biased.",
           lower_is_better=True),
    Metric("novelty", "Novelty (bits)", ("beyond", "novelty_bits"),
           _LISTS + "mean self-information of a movie. Higher is less known.", digits=2),
    Metric("diversity", "Diversity", ("beyond", "intra_list_diversity"),
           _LISTS + "1 − mean cosine of genres within a list. Higher is more varied."),
    Metric("personalisation", "Personalisation", ("beyond", "personalisation"),
           _LISTS + "1 − mean overlap of two users' lists. Higher is more personal."),
    Metric("ece", "Calibration error", ("calibration", "ece"),
           "Expected gap of predicted probabilities, 0–1. Lower is better.",
           lower_is_better=True),
    Metric("nll", "NLL (nats)", ("calibration", "nll"),
           "Negative log-likelihood per test rating. Lower is better.", lower_is_better=True),
)  # fmt: skip
METRICS = (*PAIRED, *BEYOND)
# In the order they are shown; "averages": the mean, moved by how far this user and this movie lie
# from it.
REFERENCE_BASELINES: Mapping[str, str] = {
    "biases": "averages",
    "constant": "constant",
    "popular": "most popular",
    "random": "random",
}
BY_KEY: Mapping[str, Metric] = {metric.key: metric for metric in METRICS}


def values_of(evaluation: EvaluationSummary) -> dict[str, float]:
    """Return every metric of an evaluation by key, NaN where it was not measured."""
    return {metric.key: metric.value_in(evaluation) for metric in METRICS}


def number_of(value: Number) -> float:
    """Return a recorded number, NaN where there is none."""
    return math.nan if value is None else float(value)
