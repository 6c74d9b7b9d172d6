"""What else differs between versions: settings, seeds and costs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any, Literal

from movierec.comparison.metrics import METRICS, number_of, values_of
from movierec.comparison.results import Cost, SeedGroup, SettingDiff
from movierec.store import VersionRecord

__all__ = [
    "costs_of",
    "pareto_front",
    "seed_groups",
    "setting_diffs",
]


def pareto_front(points: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Return the names that no other beats, cheapest first.

    `points` holds a cost (less is better) and a gain (more is better) by name. One is beaten by
    another that is no worse in either and better in one; of equal ones all are on the front.
    Those with NaN are left out.
    """
    known = {n: p for n, p in points.items() if not any(map(math.isnan, p))}
    order = sorted(known, key=lambda name: (known[name][0], -known[name][1]))
    front: list[str] = []
    for name in order:
        cost, gain = known[name]
        last = known[front[-1]] if front else (math.nan, -math.inf)
        if gain > last[1] or (cost, gain) == last:
            front.append(name)
    return tuple(front)


def costs_of(records: Sequence[VersionRecord]) -> tuple[Cost, ...]:
    """Return what each version took to train and what it takes to keep."""
    return tuple(
        Cost(
            record.name,
            number_of(record.metadata.durations.total),
            record.parameters,
            number_of(record.metadata.peak_memory_mb),
            record.size_bytes,
        )
        for record in records
    )


Kind = Literal["hyperparameter", "training", "environment"]

NOT_THERE = "–"
_TRAINING = ("preset", "seed", "members", "refit", "num_parameters")
_SPLIT: Mapping[str, str] = {"name": "split", "seed": "split_seed"}
_ENVIRONMENT = ("device", "threads")


def setting_diffs(records: Sequence[VersionRecord]) -> tuple[SettingDiff, ...]:
    """Return the settings that are not the same in all versions; no hashes, dates or durations."""
    kinds: tuple[tuple[Kind, Sequence[Mapping[str, Any]]], ...] = (
        ("hyperparameter", [r.metadata.hyperparameters for r in records]),
        ("training", [_training(record) for record in records]),
        ("environment", [_environment(record) for record in records]),
    )
    return tuple(
        SettingDiff(kind, name, dict(zip([r.name for r in records], words, strict=True)))
        for kind, tables in kinds
        for name in dict.fromkeys(name for table in tables for name in table)
        if len(set(words := [_plain(table.get(name)) for table in tables])) > 1
    )


def seed_groups(records: Sequence[VersionRecord]) -> tuple[SeedGroup, ...]:
    """Return the groups of two or more versions that share everything but the seed.

    That is: the data, the split with its own seed, the model and every hyperparameter, the
    number of members and the refit. Deviations are those of a sample (n − 1).
    """
    groups: dict[str, list[VersionRecord]] = {}
    for record in records:
        groups.setdefault(_but_the_seed(record), []).append(record)
    different = [_one_of_each_seed(alike) for alike in groups.values()]
    return tuple(_group(alike) for alike in different if len(alike) > 1)


def _group(alike: Sequence[VersionRecord]) -> SeedGroup:
    values = [values_of(record.metadata.evaluation) for record in alike]
    means, deviations = {}, {}
    for metric in METRICS:
        column = [each[metric.key] for each in values]
        known = not any(map(math.isnan, column))
        means[metric.key] = mean(column) if known else math.nan
        deviations[metric.key] = stdev(column) if known else math.nan
    names = tuple(record.name for record in alike)
    return SeedGroup(alike[0].preset or alike[0].model, names, means, deviations)


def _one_of_each_seed(alike: Sequence[VersionRecord]) -> list[VersionRecord]:
    """Leave out the same training done again: it tells nothing about seeds."""
    return [*{record.metadata.seed: record for record in reversed(alike)}.values()][::-1]


def _but_the_seed(record: VersionRecord) -> str:
    facts = record.metadata
    same = (
        record.fingerprint, record.model, record.preset, facts.hyperparameters, facts.members,
        facts.refit, _own_split(record), facts.split_test_sha256,
    )  # fmt: skip
    return json.dumps(same, sort_keys=True)


def _training(record: VersionRecord) -> dict[str, Any]:
    names = _known(record, _TRAINING)
    split = {_SPLIT.get(name, name): value for name, value in sorted(_own_split(record).items())}
    return {"model": record.model, "data set": record.dataset_name, **split, **names}


def _known(record: VersionRecord, names: Sequence[str]) -> dict[str, Any]:
    """Return those fields of the metadata that were recorded."""
    values = {name: getattr(record.metadata, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _own_split(record: VersionRecord) -> Mapping[str, Any]:
    """Return the split it was trained on, though it may have been measured on another since."""
    together = record.metadata.measured_together
    own = None if together is None else together.own_split
    return (own or record.metadata.split).as_dict()


def _environment(record: VersionRecord) -> dict[str, Any]:
    git = record.metadata.git
    commit = (git.commit or "")[:10]
    code = {"code": commit + " with local changes" * bool(git.dirty)} if commit else {}
    return {**_known(record, _ENVIRONMENT), **code, **record.metadata.libraries}


def _plain(value: object) -> str:
    if value is None:
        return NOT_THERE
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
