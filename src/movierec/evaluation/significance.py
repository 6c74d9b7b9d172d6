"""Whether a difference is real: paired bootstrap or jackknife over users, Holm correction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtr, stdtrit

from movierec.columns import Columns
from movierec.errors import EvaluationError
from movierec.evaluation.ratings import Float64Array

__all__ = [
    "Difference",
    "PairedSums",
    "Verdict",
    "compare_many",
    "compare_users",
    "holm",
    "paired_bootstrap",
    "standard_errors",
]

WEIGHTS_AT_ONCE = 2**21  # draws of users held at a time: about 60 MB
MOST_DRAWN = 20_000  # users; beyond, drawing them takes longer than anybody waits for a page
LEAST_LINEAR = 500  # users of a group from which on the formula is within 2 % of the draws


@dataclass(frozen=True, eq=False)
class PairedSums:
    """A metric of A and B as ratios of sums over users; the root of it for "rmse".

    Shapes: a, b, size: (n_users,) each; users left out are 0 in all three.
    """

    metric: str
    a: Float64Array
    b: Float64Array
    size: Float64Array

    @property
    def users(self) -> int:
        """How many users are not left out."""
        return int(np.count_nonzero(self.size > 0))

    def counted(self) -> PairedSums:
        """Return the sums of those users alone."""
        kept = self.size > 0
        return PairedSums(self.metric, self.a[kept], self.b[kept], self.size[kept])

    def values(self, totals: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return A's and B's metric for each row of totals of a, b and size, (n_draws, 3)."""
        ratio = [_ratio(totals[:, column], totals[:, 2]) for column in (0, 1)]
        a, b = np.sqrt(ratio) if self.metric == "rmse" else ratio
        return a, b


def standard_errors(sums: Sequence[PairedSums], resamples: int, seed: int) -> list[float]:
    """Return the standard error of B - A of each, all of the same users; NaN where it has none.

    By draws of users, the same for all; beyond 20,000 users by the formula, but for groups that
    few of them are in.
    """
    if not sums:
        return []
    if len(sums[0].size) <= MOST_DRAWN:
        return _drawn(sums, resamples, seed)
    return [
        _linear(one) if one.users >= LEAST_LINEAR else _drawn([one.counted()], resamples, seed)[0]
        for one in sums
    ]


def _linear(sums: PairedSums) -> float:
    """Return sqrt(sum over users of the squared influence of one on B - A).

    Of a ratio A/S the influence of a user is (a - A/S s) / S, of its root that over 2 sqrt(A/S).
    """
    left, right = (_influence(values, sums.size, sums.metric) for values in (sums.a, sums.b))
    return math.sqrt(float(((right - left) ** 2).sum()))


def _influence(values: Float64Array, size: Float64Array, metric: str) -> Float64Array:
    ratio = values.sum() / size.sum()
    influence: Float64Array = (values - ratio * size) / size.sum()
    if metric != "rmse":
        return influence
    return influence / (2 * math.sqrt(ratio)) if ratio > 0 else np.zeros_like(influence)


def _drawn(sums: Sequence[PairedSums], resamples: int, seed: int) -> list[float]:
    deltas = (values[~np.isnan(values)] for values in _draw_deltas(sums, resamples, seed))
    return [float(values.std()) if len(values) else math.nan for values in deltas]


def _draw_deltas(sums: Sequence[PairedSums], resamples: int, seed: int) -> list[Float64Array]:
    """Return B − A in every draw of users; one matrix product a block of draws for all sums."""
    columns = np.column_stack([part for one in sums for part in (one.a, one.b, one.size)])
    deltas = np.full((len(sums), resamples), np.nan)
    for rows, weights in _draws(len(columns), resamples, seed):
        totals = weights @ columns
        for place, one in enumerate(sums):
            a, b = one.values(totals[:, 3 * place : 3 * place + 3])
            deltas[place, rows] = b - a
    return [*deltas]


def _draws(n_users: int, resamples: int, seed: int) -> Iterator[tuple[slice, Float64Array]]:
    """Yield how often each user is drawn, (n_draws, n_users) at a time."""
    rng = np.random.default_rng(seed)
    size = max(1, WEIGHTS_AT_ONCE // max(1, n_users))
    for start in range(0, resamples, size):
        n = min(size, resamples - start)
        drawn = rng.integers(0, max(1, n_users), size=(n, n_users))
        flat = (drawn + n_users * np.arange(n)[:, None]).ravel()
        counts = np.bincount(flat, minlength=n * n_users).reshape(n, n_users)
        yield slice(start, start + n), counts.astype(np.float64)


def _ratio(numerator: Float64Array, denominator: Float64Array) -> Float64Array:
    out = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


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
