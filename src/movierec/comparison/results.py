"""What a comparison found: plain frozen facts, the same for the page, the CLI and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from movierec.evaluation.significance import Difference

__all__ = [
    "Comparison",
    "Cost",
    "Obstacle",
    "Pair",
    "Remedy",
    "SeedGroup",
    "SettingDiff",
    "SliceDiff",
]

# "common": both can be measured on ratings that neither has seen; "again": measured again on
# the split they share; "retrain": only training one of them again helps.
Remedy: TypeAlias = Literal["common", "again", "retrain", "restore"]


@dataclass(frozen=True)
class Obstacle:
    """One reason why two versions may not be compared.

    `key` names it ("fingerprint", "split", "seed", …), `what` says it in words ("the split's
    seed"), `baseline` and `version` are the two values in words, `message` is a whole sentence.
    """

    key: str
    what: str
    baseline: str
    version: str
    message: str
    remedy: Remedy


@dataclass(frozen=True)
class Pair:
    """One version against the baseline.

    With obstacles there are no differences and no deltas. `differences` are of `PAIRED`
    metrics, in that order, keyed like `Metric.key` (not by column); `deltas` are version minus
    baseline of every metric, NaN where one was not measured. `sentence` is the verdict in words,
    `caveats` say what the reader must know besides.
    """

    baseline: str
    version: str
    obstacles: tuple[Obstacle, ...] = ()
    differences: tuple[Difference, ...] = ()
    deltas: Mapping[str, float] = field(default_factory=dict)
    sentence: str = ""
    caveats: tuple[str, ...] = ()

    @property
    def is_comparable(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.obstacles

    def difference(self, key: str) -> Difference | None:
        """Return the tested difference of a metric, None where there is none."""
        return next((d for d in self.differences if d.metric == key), None)


@dataclass(frozen=True)
class SliceDiff:
    """How one metric changed within one group of users or movies, with its 95 % interval.

    `metric` is a key: "rmse" for every group; "ndcg_full" for groups of users, "recall_full"
    (the share of held-out ratings that are in the lists) for groups of movies. The verdict is
    Holm-corrected over all groups and metrics of the pair.
    """

    slice: str
    value: str
    metric: str
    users: int
    ratings: int
    difference: Difference


@dataclass(frozen=True)
class SeedGroup:
    """Versions that share everything but the seed: mean and sample deviation of each metric."""

    label: str
    versions: tuple[str, ...]
    means: Mapping[str, float]
    deviations: Mapping[str, float]


@dataclass(frozen=True)
class SettingDiff:
    """One setting that is not the same in all versions; values in words, by version.

    `kind` is "hyperparameter", "training" (seed, members, refit, preset, …) or "environment"
    (device, threads, libraries, code).
    """

    kind: Literal["hyperparameter", "training", "environment"]
    name: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Cost:
    """What a version costs. NaN: not recorded. `seconds` is the whole run, `memory_mb` its peak."""

    version: str
    seconds: float
    parameters: int
    memory_mb: float
    size_bytes: int


@dataclass(frozen=True)
class Comparison:
    """Versions against one of them, the baseline, in the order they were asked for.

    `values` holds each version's metrics as its `metadata.json` has them, by `Metric.key`;
    `floors` those of the reference baselines measured on the baseline's test part, by their names
    ("biases", "constant", "popular", "random"). `slices` holds, per version but the baseline,
    the groups, those that got worse for sure first.
    """

    baseline: str
    versions: tuple[str, ...]
    measured_on: str
    values: Mapping[str, Mapping[str, float]]
    floors: Mapping[str, Mapping[str, float]]
    pairs: Mapping[str, Pair]
    slices: Mapping[str, tuple[SliceDiff, ...]]
    groups: tuple[SeedGroup, ...]
    settings: tuple[SettingDiff, ...]
    costs: tuple[Cost, ...]

    @property
    def alike(self) -> list[str]:
        """The baseline and the versions that can be compared with it."""
        return [self.baseline, *[p.version for p in self.pairs.values() if p.is_comparable]]
