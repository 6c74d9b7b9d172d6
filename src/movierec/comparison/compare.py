"""Versions side by side: everything the page, the report and the command line show."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from movierec.comparison.differences import costs_of, seed_groups, setting_diffs
from movierec.comparison.evidence import Evidence
from movierec.comparison.metrics import BY_KEY, METRICS, REFERENCE_BASELINES, values_of
from movierec.comparison.pairs import compare_all
from movierec.comparison.results import Comparison, Pair
from movierec.comparison.slices import slice_diffs
from movierec.data.dataset import Dataset
from movierec.errors import EvaluationError
from movierec.plain import plain
from movierec.store import VersionRecord

__all__ = ["as_csv", "as_dict", "compare", "default_baseline"]

_COLUMNS = (
    "version", "baseline", "metric", "label", "lower_is_better", "value", "baseline_value",
    "delta", "low", "high", "p_value", "p_holm", "verdict", "users", "comparable",
)  # fmt: skip


def compare(
    evidence: Sequence[Evidence],
    baseline: str,
    dataset: Dataset | None,
    *,
    resamples: int = 5_000,
    seed: int = 0,
) -> Comparison:
    """Compare versions with one of them; groups only where their data set is given.

    Raises:
        EvaluationError: there are fewer than two versions, one is named twice, or the baseline
            is none of them.

    """
    by_name = {each.record.name: each for each in evidence}
    _require(by_name, evidence, baseline)
    first = by_name[baseline]
    others = [each for each in evidence if each.record.name != baseline]
    pairs = compare_all(first, others, resamples=resamples, seed=seed)
    records = [each.record for each in evidence]
    return Comparison(
        baseline=baseline,
        versions=tuple(by_name),
        measured_on=_measured_on(first.record),
        values={record.name: values_of(record.metadata.evaluation) for record in records},
        floors=_baselines(first.record),
        pairs={pair.version: pair for pair in pairs},
        slices={
            pair.version: slice_diffs(first, by_name[pair.version], dataset, seed=seed)
            for pair in pairs
            if dataset is not None and pair.is_comparable
        },
        groups=seed_groups(records),
        settings=setting_diffs(records),
        costs=costs_of(records),
    )


def default_baseline(records: Sequence[VersionRecord]) -> str:
    """Return the current version's name where it is among them, else the oldest one's."""
    current = next((record for record in records if record.is_current), None)
    return (current or min(records, key=lambda record: record.created_at)).name


def as_dict(found: Comparison) -> dict[str, Any]:
    """Return the whole comparison ready for JSON: NaN becomes None."""
    facts: dict[str, Any] = plain(asdict(found))
    for name, pair in found.pairs.items():
        facts["pairs"][name]["is_comparable"] = pair.is_comparable
    return facts


def as_csv(found: Comparison) -> str:
    """Return one row for each metric of each version; empty cells were not measured."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for version in found.versions:
        pair = found.pairs.get(version)
        for metric in METRICS:
            row = _row(found, version, metric.key, pair)
            writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _row(found: Comparison, version: str, key: str, pair: Pair | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "version": version,
        "baseline": found.baseline,
        "metric": key,
        "label": BY_KEY[key].label,
        "lower_is_better": BY_KEY[key].lower_is_better,
        "value": found.values[version].get(key, math.nan),
        "baseline_value": found.values[found.baseline].get(key, math.nan),
        "comparable": pair is None or pair.is_comparable,
    }
    if pair is None or not pair.is_comparable:
        return row
    row["delta"] = pair.deltas.get(key, math.nan)
    difference = pair.difference(key)
    named = ("low", "high", "p_value", "p_holm", "verdict", "users")
    return row if difference is None else row | {n: getattr(difference, n) for n in named}


def _cell(value: object) -> object:
    return "" if isinstance(value, float) and not math.isfinite(value) else value


def _require(by_name: Mapping[str, Evidence], evidence: Sequence[Evidence], baseline: str) -> None:
    if len(evidence) < 2:
        raise EvaluationError("A comparison needs two versions.", hint="Name another one.")
    if len(by_name) < len(evidence):
        raise EvaluationError("A version is named twice.", hint="Name each version once.")
    if baseline not in by_name:
        raise EvaluationError(
            f"The baseline {baseline} is not among the versions.",
            hint=f"Choose one of {', '.join(by_name)}.",
        )


def _measured_on(record: VersionRecord) -> str:
    evaluation = record.metadata.evaluation
    ratings, protocol = evaluation.n_ratings, evaluation.protocol
    parts = ["held-out ratings" if ratings is None else f"{ratings:,} held-out ratings"]
    if protocol.n_test_users is not None:
        parts.append(f"of {protocol.n_test_users:,} users")
    if protocol.users_ranked is not None:
        parts.append(f"(ranking: {protocol.users_ranked})")
    text = f"Measured on {' '.join(parts)} of {record.dataset_name}, split {record.split_label}"
    if record.metadata.measured_together is not None:
        return f"{text}: ratings that none of these versions has seen."
    return f"{text}. Differences are each version's value minus that of {record.name}."


def _baselines(record: VersionRecord) -> dict[str, dict[str, float]]:
    found = record.metadata.floors
    return {name: values_of(found[name]) for name in REFERENCE_BASELINES if name in found}
