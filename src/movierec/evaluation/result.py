"""What one evaluation found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from movierec.evaluation.ranking import RankingMetrics
from movierec.plain import plain

__all__ = ["Evaluation"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every number of one model on one test part, with the protocol it was measured under.

    `full` (every held-out rating is relevant), `full_4` (ratings from 4 stars) and `rated` hold
    `precision_at_10, recall_at_10, ndcg_at_10, hit_rate_at_10, map_at_10, mrr, users`, with k in
    place of 10. NaN means "not measured".

    `without_time` holds rmse and mae of predictions that are not told when a rating was given; they
    are the same where the model does not use it.

    Frames:
        slices: see `slices.slice_table`.
        per_user: user_id, user_index, n_train, n_test, sq_error_sum, abs_error_sum, rmse, and
            `<protocol>_<metric>` for each protocol, NaN where only a sample is ranked and the user
            is not in it; one row per user with test ratings.
        per_rating: position, user_index, movie_index, rating, prediction, recommended (is it in
            the user's `full` list; missing where the user is not ranked); one row per test
            rating, in the order of `Split.test`.
        reliability: see `calibration.DistributionQuality`, as for `calibration`.
    """

    protocol: Mapping[str, Any]
    rmse: float
    mae: float
    without_time: Mapping[str, float]
    n_ratings: int
    full: RankingMetrics
    full_4: RankingMetrics
    rated: RankingMetrics
    beyond: Mapping[str, float]
    slices: pd.DataFrame
    per_user: pd.DataFrame
    per_rating: pd.DataFrame
    calibration: Mapping[str, Any]
    reliability: pd.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the frames, ready for JSON: NaN becomes None."""
        return {
            "protocol": plain(self.protocol),
            **self.metrics(),
            "without_time": plain(self.without_time),
            "beyond": plain(self.beyond),
            "calibration": plain(self.calibration),
        }

    def metrics(self) -> dict[str, Any]:
        """Return `rmse, mae, n_ratings, full, full_4, rated`, ready for JSON."""
        names = ("rmse", "mae", "n_ratings", "full", "full_4", "rated")
        return {name: plain(getattr(self, name)) for name in names}

    def slice_rows(self) -> list[dict[str, Any]]:
        """Return the slices as rows, ready for JSON."""
        return [plain(row) for row in self.slices.to_dict("records")]

    def reliability_rows(self) -> list[dict[str, Any]]:
        """Return the reliability table as rows, ready for JSON."""
        return [plain(row) for row in self.reliability.to_dict("records")]
