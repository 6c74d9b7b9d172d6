"""Versions side by side, from their names; and what helps where they cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from movierec.comparison.compare import compare, default_baseline
from movierec.comparison.evidence import Evidence
from movierec.comparison.measured import comparable_evidence
from movierec.comparison.results import Comparison, Pair
from movierec.comparison.slices import error_by_rating
from movierec.data.dataset import Dataset
from movierec.errors import EvaluationError
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import Store, VersionRecord, open_store
from movierec.workflows.command import retraining

__all__ = ["ComparedVersions", "compare_versions", "compared_versions"]


@dataclass(frozen=True, eq=False)
class ComparedVersions:
    """A comparison, what it rests on by version, and by version what helps against obstacles."""

    found: Comparison
    evidence: Mapping[str, Evidence]
    remedies: Mapping[str, str]
    names_ever: Sequence[str]

    @property
    def records(self) -> dict[str, VersionRecord]:
        """The versions as they were measured for this comparison."""
        return {name: each.record for name, each in self.evidence.items()}

    @property
    def errors(self) -> dict[str, pd.DataFrame]:
        """The error by true rating of those that may be compared and predict any."""
        apart = {name for name, pair in self.found.pairs.items() if pair.obstacles}
        alike = [each for name, each in self.evidence.items() if name not in apart]
        frames = {each.record.name: error_by_rating(each) for each in alike}
        return {name: frame for name, frame in frames.items() if frame is not None}


def compare_versions(
    settings: Settings, names: Sequence[str], baseline: str | None = None
) -> Comparison:
    """Compare versions with one of them: the current one, or the oldest, unless one is named.

    Groups of users and movies are compared where the data set is in the database.

    Raises:
        EvaluationError: there are fewer than two versions, one is named twice, or the baseline
            is none of them.
        NotFoundError: there is no such version.

    """
    return compared_versions(settings, names, baseline).found


def compared_versions(
    settings: Settings, names: Sequence[str], baseline: str | None = None
) -> ComparedVersions:
    """Compare as `compare_versions` does, and return what that rests on besides."""
    with open_store(settings) as store:
        registry = Registry(settings, store)
        records = [registry.get(name) for name in names]
        _require_different(names, records)
        first = default_baseline(records) if baseline is None else registry.get(baseline).name
        evidence = comparable_evidence(registry, [record.name for record in records])
        found = compare(evidence, first, _dataset(store, records, first))
        return ComparedVersions(
            found=found,
            evidence={each.record.name: each for each in evidence},
            remedies=_remedies(store, found, {record.name: record for record in records}),
            names_ever=store.versions.names_ever(),
        )


def _require_different(names: Sequence[str], records: Sequence[VersionRecord]) -> None:
    seen: dict[str, str] = {}
    for name, record in zip(names, records, strict=True):
        if record.name in seen:
            also = "" if name == seen[record.name] else f" (as {name} and {seen[record.name]})"
            raise EvaluationError(
                f"Version {record.name} is named twice{also}.",
                hint="`movierec versions list` shows which versions there are.",
            )
        seen[record.name] = name


def _dataset(store: Store, records: Sequence[VersionRecord], baseline: str) -> Dataset | None:
    prints = {record.name: record.fingerprint for record in records}
    known = store.datasets.find(prints[baseline]) if baseline in prints else None
    return None if known is None else store.datasets.load(known.name)


def _remedies(
    store: Store, found: Comparison, records: Mapping[str, VersionRecord]
) -> dict[str, str]:
    measurable = [name for name in found.versions if _can_be_measured(found.pairs.get(name))]
    return {
        name: _remedy(store, pair, records, measurable)
        for name, pair in found.pairs.items()
        if pair.obstacles
    }


def _can_be_measured(pair: Pair | None) -> bool:
    """Return whether nothing but measuring is missing; the baseline has no pair."""
    return pair is None or {obstacle.remedy for obstacle in pair.obstacles} <= {"common", "again"}


def _remedy(
    store: Store, pair: Pair, records: Mapping[str, VersionRecord], measurable: Sequence[str]
) -> str:
    wanted = {obstacle.remedy for obstacle in pair.obstacles}
    if "restore" in wanted:
        return "Restore the files from a backup: `movierec doctor` names those that are not whole."
    if "retrain" in wanted:
        return retraining(store, records[pair.version], on=records[pair.baseline])
    return (
        "Measure them on the held-out ratings that none of them has seen, then compare again: "
        f"`movierec versions measure {' '.join(measurable)}`."
    )
