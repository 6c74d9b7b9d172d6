"""Is B better than A on the same test users? Paired bootstrap over users.

Users are drawn with replacement; every metric is recomputed on the same draws, so that a user's
ratings stay together and the two models are always compared on the same people. The draws give
the standard error of a difference, Student's t the interval and the p-value: percentiles of the
draws are too narrow in small groups, and two users are always on one side (docs/LOG.md). Of more
than 20,000 users none is drawn: `spread` has the formula of the same standard error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtr, stdtrit

from movierec.columns import Columns
from movierec.errors import EvaluationError
from movierec.evaluation.ratings import Float64Array
from movierec.evaluation.spread import PairedSums, standard_errors

__all__ = [
    "Difference",
    "PairedSums",
    "Verdict",
    "compare_many",
    "compare_users",
    "holm",
    "paired_bootstrap",
]

Verdict = Literal["better", "worse", "can't tell"]

ERROR_SUMS = {"rmse": "sq_error_sum", "mae": "abs_error_sum"}
LOWER_IS_BETTER = frozenset(ERROR_SUMS)
LEVEL = 0.05  # of the verdict, after Holm's correction; the interval is the 95 % one
TIE = 1e-12  # sums of the same terms in another order differ by less


@dataclass(frozen=True)
class Difference:
    """One metric of B minus that of A, in the metric's unit, with its 95 % interval.

    `p_value` is two-sided; `p_holm` is corrected over the metrics compared together and carries
    the verdict. NaN means that fewer than two users could be compared.
    """

    metric: str
    a: float
    b: float
    delta: float
    low: float
    high: float
    p_value: float
    p_holm: float
    verdict: Verdict
    users: int


def compare_users(
    a: pd.DataFrame,
    b: pd.DataFrame,
    metrics: Sequence[str],
    *,
    resamples: int = 5_000,
    seed: int = 0,
) -> list[Difference]:
    """Compare two `Evaluation.per_user` frames of the same test part, metric by metric.

    `rmse` and `mae` are global: sums of errors over sums of ratings, in each draw of users. Any
    other name is a column of the frames, compared by its mean over the users who have it in both.

    Raises:
        EvaluationError: the frames are of different test users or ratings, a metric is no
            column, or `resamples` is below 100.

    """
    return compare_many(a, [b], [metrics], resamples=resamples, seed=seed)[0]


def compare_many(
    a: pd.DataFrame,
    others: Sequence[pd.DataFrame],
    metrics: Sequence[Sequence[str]],
    *,
    resamples: int = 5_000,
    seed: int = 0,
) -> list[list[Difference]]:
    """Compare each of several frames with A as `compare_users` does, on the same draws of users.

    `metrics` are those of each of the others; Holm's correction is over them.
    """
    families = []
    for b, names in zip(others, metrics, strict=True):
        pair = _aligned(a, b)
        families.append([_sums(*pair, metric) for metric in names])
    return paired_bootstrap(families, resamples=resamples, seed=seed)


def paired_bootstrap(
    families: Sequence[Sequence[PairedSums]], *, resamples: int = 5_000, seed: int = 0
) -> list[list[Difference]]:
    """Test families of differences of the same users, each family corrected for itself.

    Raises:
        EvaluationError: `resamples` is below 100.

    """
    if resamples < 100:
        raise EvaluationError(f"{resamples} resamples are too few.", hint="Use 2,000 or more.")
    every = [sums for family in families for sums in family]
    errors = iter(standard_errors(every, resamples, seed))
    return [_family([_difference(sums, next(errors)) for sums in family]) for family in families]


def _family(differences: Sequence[Difference]) -> list[Difference]:
    corrected = holm(np.array([d.p_value for d in differences]))
    return [_judge(d, float(p)) for d, p in zip(differences, corrected, strict=True)]


def _aligned(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    a, b = (frame.sort_values(Columns.USER, ignore_index=True) for frame in (a, b))
    for column, what in ((Columns.USER, "test users"), ("n_test", "test ratings per user")):
        if not np.array_equal(a[column].to_numpy(), b[column].to_numpy()):
            raise EvaluationError(
                f"The two evaluations have different {what}.",
                hint="Compare versions measured on the same split and seed.",
            )
    return a, b


def _sums(a: pd.DataFrame, b: pd.DataFrame, metric: str) -> PairedSums:
    column = ERROR_SUMS.get(metric, metric)
    missing = column not in a or column not in b
    if missing:
        raise EvaluationError(
            f"There is no metric {metric!r} in both evaluations.",
            hint=f"They have {', '.join([*ERROR_SUMS, *_metric_columns(a)])}.",
        )
    left, right = a[column].to_numpy(np.float64), b[column].to_numpy(np.float64)
    both = ~np.isnan(left) & ~np.isnan(right)
    size = a["n_test"].to_numpy(np.float64) if metric in ERROR_SUMS else np.ones(len(a))
    return PairedSums(metric, *(np.where(both, values, 0.0) for values in (left, right, size)))


def _metric_columns(frame: pd.DataFrame) -> list[str]:
    return [str(c) for c in frame.columns if str(c).startswith(("full_", "rated_"))]


def _difference(sums: PairedSums, spread: float) -> Difference:
    users = sums.users
    (a,), (b,) = sums.values(np.array([[sums.a.sum(), sums.b.sum(), sums.size.sum()]]))
    delta = float(b - a)
    reach = p_value = float("nan")
    if users > 1 and not math.isnan(spread):
        error = spread * math.sqrt(users / (users - 1))
        reach = float(stdtrit(users - 1, 1 - LEVEL / 2)) * error
        p_value = _two_sided(delta, error, users, differing=int((sums.a != sums.b).sum()))
    return Difference(
        metric=sums.metric,
        a=float(a),
        b=float(b),
        delta=delta,
        low=delta - reach,
        high=delta + reach,
        p_value=p_value,
        p_holm=p_value,
        verdict="can't tell",
        users=users,
    )


def _two_sided(delta: float, error: float, users: int, *, differing: int) -> float:
    """Return the p-value of Student's t that belongs to the interval.

    It is never below what a sign test could say at best, of as many users as differ at all:
    two who happen to agree prove nothing, and neither do six hits against none.
    """
    if abs(delta) < TIE:
        return 1.0
    found = 2 * float(stdtr(users - 1, -abs(delta) / error)) if error > TIE else 0.0
    return min(1.0, max(found, 2.0 ** (1 - differing)))


def holm(p_values: npt.ArrayLike) -> Float64Array:
    """Return p-values corrected for being looked at together (Holm 1979); NaN stays NaN.

    In ascending order the i-th of m is multiplied by m - i + 1; none is below the one before.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN sorts last
    factors = np.arange(len(order), 0, -1)
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return corrected


def _judge(difference: Difference, p_holm: float) -> Difference:
    verdict: Verdict = "can't tell"
    if p_holm < LEVEL:
        gain = -difference.delta if difference.metric in LOWER_IS_BETTER else difference.delta
        verdict = "better" if gain > 0 else "worse"
    return replace(difference, p_holm=p_holm, verdict=verdict)
