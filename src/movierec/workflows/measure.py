"""Measure saved versions: one again, or several on ratings that none of them has seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from movierec.data.dataset import Dataset
from movierec.data.splits import CommonSpec, Split, common_split, recorded_split
from movierec.errors import EvaluationError
from movierec.evaluation import Evaluation, evaluate
from movierec.inference.load import bring_back, data_of, load_version, split_of
from movierec.progress import Progress, silent
from movierec.registry import Registry
from movierec.registry.measurements import Measurement, TestSet
from movierec.registry.names import listed
from movierec.settings import Settings
from movierec.store import Store, VersionRecord, open_store
from movierec.workflows.baselines import measured_baselines
from movierec.workflows.command import retraining
from movierec.workflows.requests import MeasureRequest

__all__ = [
    "LEAST_RATINGS",
    "LEAST_USERS",
    "common_test",
    "evaluate_version",
    "measure_together",
    "require_one_task",
]

# fewer tell nothing: a 95 % interval from 20 users is wider than models differ
LEAST_RATINGS, LEAST_USERS = 100, 20
TOLD_APART = 0.05  # shares of ratings known before that differ by less are the luck of a shuffle
# how far a split keeps what is newer from the model: not at all, each user's own, everybody's
_KEEPS_LATER = {"leave-last-n": 1, "temporal": 2}
_CANDIDATES = "all movies but those of the user's ratings that any of the versions knew"


def measure_together(
    settings: Settings, names: Sequence[str], *, on_progress: Progress | None = None
) -> Measurement:
    """Measure versions on the ratings that all of them held out, and keep what is found.

    Versions of one split are measured on its test part, as when they were trained. What was
    measured before, and is whole, is not measured again.

    Raises:
        HyperparameterError: there are fewer than two versions, or one twice.
        NotFoundError: there is no such version, or its data set was deleted.
        EvaluationError: they have too few held-out ratings in common, or none can be fair.
        ArtifactError: a version's files or data changed, or nothing can be kept.

    """
    tell = on_progress or silent
    with open_store(settings) as store:
        registry = Registry(settings, store)
        records = [registry.get(name) for name in names]
        MeasureRequest.of([record.name for record in records])
        before = registry.measurements.get(records)
        if before is not None and not before.problems():
            return before
        require_one_task(store, records)
        tell("loading the data", 0.0)
        dataset = data_of(store, records[0])
        splits = {record.name: split_of(record, dataset) for record in records}
        split = common_test(dataset, splits)
        _require_enough(store, records, dataset, split)
        ground = _ground(dataset, split, splits, settings)
        found = _evaluations(registry, records, dataset, split, tell)
        measurement = registry.measurements.save(records, ground, found)
    tell("measured", 1.0)
    return measurement


def require_one_task(store: Store, records: Sequence[VersionRecord]) -> None:
    """Refuse versions that no held-out rating could tell apart fairly.

    Raises:
        EvaluationError: they were trained on different data, or users whom some have never met
            are known to others.

    """
    first = records[0]
    for other in records[1:]:
        if other.fingerprint != first.fingerprint:
            raise EvaluationError(
                f"{first.name} was trained on {first.dataset_name} and {other.name} on "
                f"{_other_data(first, other)}: there are no ratings to measure both on.",
                hint=retraining(store, other, on=first),
            )
        if _is_cold(other) != _is_cold(first):
            cold, warm = (other, first) if _is_cold(other) else (first, other)
            raise EvaluationError(
                f"{cold.name} was measured on users whom it had never met, and {warm.name} has "
                "learnt from those users' ratings: what both hold out asks different things of "
                "the two.",
                hint=retraining(store, warm, on=cold),
            )


def common_test(dataset: Dataset, splits: Mapping[str, Split]) -> Split:
    """Return what versions, by name, can be measured on together.

    The test part is what every one of their splits holds out; known is what any of them knows.
    Where all hold out the same ratings it is the first of their splits.
    """
    specs = tuple(dict.fromkeys(split.spec for split in splits.values()))
    if len({split.sha256 for split in splits.values()}) == 1:
        return next(iter(splits.values()))
    return common_split(dataset, CommonSpec(versions=tuple(splits), parts=specs))


def _evaluations(
    registry: Registry,
    records: Sequence[VersionRecord],
    dataset: Dataset,
    split: Split,
    tell: Progress,
) -> Iterator[tuple[str, Evaluation]]:
    """Evaluate one version after the other, so that only one is in memory."""
    for place, record in enumerate(records):
        of = f"{place + 1} of {len(records)}"
        tell(f"measuring {record.name}, {of}", 0.1 + 0.9 * place / len(records))
        loaded = bring_back(record, registry.arrays(record.name), dataset)
        # arrays were kept when they had been told of the support part
        found = evaluate(loaded.recommender, dataset, split, told=True)
        yield record.name, _said_so(found, split)


def _said_so(found: Evaluation, split: Split) -> Evaluation:
    """Have the protocol say that known is what any of the versions knew."""
    if not isinstance(split.spec, CommonSpec):
        return found
    protocol = {
        **found.protocol,
        "measured_together": [*split.spec.versions],
        "candidates": {**found.protocol["candidates"], "full": _CANDIDATES},
    }
    return replace(found, protocol=protocol)


def _require_enough(
    store: Store, records: Sequence[VersionRecord], dataset: Dataset, split: Split
) -> None:
    n_ratings, n_users = len(split.test), _n_users(dataset, split)
    if n_ratings >= LEAST_RATINGS and n_users >= LEAST_USERS:
        return
    first = records[0]
    other = next((r for r in records if r.split_label != first.split_label), records[-1])
    names = listed([record.name for record in records])
    raise EvaluationError(
        f"Only {n_ratings:,} ratings of {n_users:,} users are held out by all of {names}; "
        f"fewer than {LEAST_RATINGS} ratings or {LEAST_USERS} users tell nothing.",
        hint=retraining(store, other, on=first),
    )


def _n_users(dataset: Dataset, split: Split) -> int:
    return len(np.unique(dataset.ratings.user[split.test]))


def _ground(
    dataset: Dataset, split: Split, splits: Mapping[str, Split], settings: Settings
) -> TestSet:
    return TestSet(
        dataset_name=dataset.name,
        fingerprint=dataset.fingerprint,
        split=split.spec.model_dump(mode="json"),
        split_label=split.spec.label,
        test_sha256=split.sha256,
        n_ratings=len(split.test),
        n_users=_n_users(dataset, split),
        floors=measured_baselines(dataset, split, settings),
        caveats=[*_told_apart(dataset, split, splits), *_knew_later(splits)],
    )


def _told_apart(dataset: Dataset, split: Split, splits: Mapping[str, Split]) -> Iterator[str]:
    """Say where one version had been told more of these users than another one."""
    users = np.zeros(dataset.n_users, bool)
    users[dataset.ratings.user[split.test]] = True
    theirs = users[dataset.ratings.user]
    known = {name: float(theirs[each.known].sum() / theirs.sum()) for name, each in splits.items()}
    if max(known.values()) - min(known.values()) > TOLD_APART:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in known.items())
        yield (
            f"Of these users' ratings they knew unequal shares ({shares}), so a part of the "
            "difference may come from that."
        )


def _knew_later(splits: Mapping[str, Split]) -> Iterator[str]:
    """Say where one version has learnt from what came after the held-out ratings."""
    kept = {name: _KEEPS_LATER.get(split.spec.name, 0) for name, split in splits.items()}
    strict = [name for name in kept if kept[name] == max(kept.values())]
    others = [name for name in kept if name not in strict]
    if others:
        yield (
            f"{listed(others)} learnt from ratings that are newer than held-out ones, "
            f"{listed(strict)} did not: a part of the difference may come from that."
        )


def _other_data(first: VersionRecord, other: VersionRecord) -> str:
    if first.dataset_name != other.dataset_name:
        return other.dataset_name
    return f"other ratings under the name {other.dataset_name}"


def _is_cold(record: VersionRecord) -> bool:
    return record.metadata.split.name == "cold-users"


def evaluate_version(name: str, settings: Settings, *, k: int = 10) -> Evaluation:
    """Return the evaluation of a version's serving arrays.

    With k = 10 it repeats what was measured when the version was trained.

    Raises:
        NotFoundError: there is no such version.
        ArtifactError: its files or its data changed.

    """
    loaded = load_version(name, settings)
    split = recorded_split(loaded.dataset, loaded.metadata.split)
    # its arrays were kept when it had been told of the support part
    return evaluate(loaded.recommender, loaded.dataset, split, k=k, told=True)
