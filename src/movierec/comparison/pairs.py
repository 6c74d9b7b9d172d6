"""One version against the baseline: whether it may be, by how much, how surely, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from movierec.comparison.comparability import obstacles
from movierec.comparison.evidence import Evidence
from movierec.comparison.metrics import METRICS, PAIRED, values_of
from movierec.comparison.results import Obstacle, Pair
from movierec.comparison.sentences import sentence_of, value_text
from movierec.evaluation.significance import Difference, compare_many

__all__ = ["compare_all", "compare_pair"]


def compare_pair(
    baseline: Evidence, version: Evidence, *, resamples: int = 5_000, seed: int = 0
) -> Pair:
    """Compare one version with the baseline, or say why that cannot be."""
    return compare_all(baseline, [version], resamples=resamples, seed=seed)[0]


def compare_all(
    baseline: Evidence, others: Sequence[Evidence], *, resamples: int = 5_000, seed: int = 0
) -> list[Pair]:
    """Compare versions with the baseline, all on the same draws of users.

    Holm's correction is over the metrics measured in both versions of a pair. Values and
    differences are those of the versions' own metadata.
    """
    against = [obstacles(baseline, each) for each in others]
    alike = [each for each, wrong in zip(others, against, strict=True) if not wrong]
    tested = iter(_tested(baseline, alike, resamples, seed))
    return [
        _blocked(baseline, each, wrong) if wrong else _pair(baseline, each, next(tested))
        for each, wrong in zip(others, against, strict=True)
    ]


def _tested(
    baseline: Evidence, others: Sequence[Evidence], resamples: int, seed: int
) -> list[list[Difference]]:
    frames = [each.per_user for each in others if each.per_user is not None]
    if baseline.per_user is None or not frames:
        return []
    metrics = [[metric.column for metric in PAIRED if _both(baseline, each, metric.key)]
               for each in others]  # fmt: skip
    return compare_many(baseline.per_user, frames, metrics, resamples=resamples, seed=seed)


def _both(baseline: Evidence, version: Evidence, key: str) -> bool:
    return not any(math.isnan(_values(side)[key]) for side in (baseline, version))


def _values(side: Evidence) -> dict[str, float]:
    return values_of(side.record.metadata.evaluation)


def _blocked(baseline: Evidence, version: Evidence, wrong: tuple[Obstacle, ...]) -> Pair:
    names = baseline.record.name, version.record.name
    return Pair(*names, obstacles=wrong, sentence=sentence_of(*names, {}, wrong))


def _pair(baseline: Evidence, version: Evidence, tested: Sequence[Difference]) -> Pair:
    names = baseline.record.name, version.record.name
    a, b = _values(baseline), _values(version)
    by_column = {found.metric: found for found in tested}
    differences = {
        metric.key: replace(
            by_column[metric.column], metric=metric.key, a=a[metric.key], b=b[metric.key],
            delta=b[metric.key] - a[metric.key],
        )
        for metric in PAIRED
        if metric.column in by_column
    }  # fmt: skip
    return Pair(
        *names,
        differences=tuple(differences.values()),
        deltas={metric.key: b[metric.key] - a[metric.key] for metric in METRICS},
        sentence=sentence_of(*names, differences),
        caveats=tuple(_caveats(baseline, version)),
    )


def _caveats(baseline: Evidence, version: Evidence) -> list[str]:
    sides = (baseline, version)
    protocols = [side.record.metadata.evaluation.protocol for side in sides]
    together = [side.record.metadata.measured_together for side in sides]
    found = [caveat for told in together if told is not None for caveat in told.caveats]
    times = [protocol.rating_time for protocol in protocols]
    if times[0] != times[1] and None not in times:
        found.append(_about_time(sides, [str(time) for time in times]))
    ranked = [protocol.rated_ranked_by for protocol in protocols]
    if ranked[0] != ranked[1] and None not in ranked:
        words = " and ".join(
            f"{side.record.name} by its {by}" for side, by in zip(sides, ranked, strict=True)
        )
        found.append(f"The user's own movies (rated) are ranked for {words}.")
    return list(dict.fromkeys(found))


def _about_time(sides: Sequence[Evidence], times: Sequence[str]) -> str:
    """Say that only one of two models used when a rating was given, and what it is worth."""
    knows = next(
        (side for side, time in zip(sides, times, strict=True) if time != "not used"), None
    )
    if knows is None:
        return "They use the time of a rating in different ways."
    rmse = knows.record.metadata.evaluation.without_time.rmse
    told = f" (its RMSE is {value_text('rmse', rmse)} where it does not)" if rmse else ""
    other = next(side for side in sides if side is not knows)
    return (
        f"Only {knows.record.name} knows when a rating that it predicts was given{told}; "
        f"{other.record.name} does not use it."
    )
