"""A small comparison made by hand, for what only draws one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from movierec.comparison.metrics import BY_KEY, METRICS, PAIRED
from movierec.comparison.results import (
    Comparison,
    Cost,
    Obstacle,
    Pair,
    SeedGroup,
    SettingDiff,
    SliceDiff,
)
from movierec.evaluation.significance import Difference, Verdict
from movierec.metadata import VersionMetadata
from movierec.store import VersionRecord
from movierec.ui.components.theme import VersionStyle, version_style
from tests.support.states import metadata

NAMES = ("v1.0.0", "v1.1.0", "v1.2.0")
STYLES: Mapping[str, VersionStyle] = {name: version_style(name, NAMES) for name in NAMES}
OBSTACLE = Obstacle(
    "seed", "the split's seed", "42", "7", "They were split with different seeds.", "common"
)


def values(by: float = 0.0) -> dict[str, float]:
    """Every metric, each of its own size, moved by so much."""
    return {metric.key: 0.5 + 0.02 * i + by for i, metric in enumerate(METRICS)}


def difference(key: str, delta: float, a: float = 0.5, width: float = 0.01) -> Difference:
    """A change that is sure where its interval leaves out zero."""
    verdict: Verdict = "can't tell"
    if abs(delta) > width:
        verdict = "better" if BY_KEY[key].gain(delta) > 0 else "worse"
    p = 0.5 if verdict == "can't tell" else 0.001
    return Difference(key, a, a + delta, delta, delta - width, delta + width, p, p, verdict, 40)


def pair(version: str, by: float) -> Pair:
    base = values()
    return Pair(
        baseline=NAMES[0],
        version=version,
        differences=tuple(difference(m.key, by, base[m.key]) for m in PAIRED),
        deltas=dict.fromkeys(base, by),
        sentence=f"{version} differs from {NAMES[0]}",
        caveats=(),
    )


def apart(found: Comparison, version: str) -> Comparison:
    """The same, but one version cannot be compared."""
    pairs = {**found.pairs, version: Pair(NAMES[0], version, (OBSTACLE,), sentence="No.")}
    return replace(found, pairs=pairs)


def slice_diff(
    value: str, delta: float, *, metric: str = "rmse", kind: str = "age", users: int = 60
) -> SliceDiff:
    return SliceDiff(kind, value, metric, users, 10 * users, difference(metric, delta))


def records() -> dict[str, VersionRecord]:
    """The rows of the three versions, with what a report draws of them."""
    widths = {"v1.0.0": 64, "v1.1.0": 128, "v1.2.0": 64}
    return {name: _record(name, hidden_dim=width) for name, width in widths.items()}


def _record(name: str, **hyperparameters: object) -> VersionRecord:
    reliability = [
        {"threshold": 1.0, "bin": b, "predicted": b / 10, "observed": b / 10, "count": 20}
        for b in range(10)
    ]
    rules = {
        "dataset": "planted", "n_test": 200, "n_test_users": 40, "k": 10,
        "thresholds": {"full": 0.0, "full_4": 4.0}, "candidates": {"full": "all movies"},
    }  # fmt: skip
    facts = metadata(name, "random", history=True, rmse=0.9)
    return VersionRecord(
        name=name, model="graphsage", preset="default", dataset_name="planted",
        fingerprint="f" * 64, split_label="random 80/20, seed 42",
        created_at=datetime(2026, 11, 25, tzinfo=UTC), is_current=name == NAMES[0], run_id=None,
        size_bytes=10_000, parameters=1000,
        metadata=VersionMetadata.of({
            **facts, "hyperparameters": hyperparameters, "reliability": reliability,
            "evaluation": {**facts["evaluation"], "protocol": rules},
        }),
    )  # fmt: skip


def comparison() -> Comparison:
    """Three versions: the second with 0.03 more of everything, the third 0.005 less."""
    shifts = {"v1.0.0": 0.0, "v1.1.0": 0.03, "v1.2.0": -0.005}
    return Comparison(
        baseline=NAMES[0],
        versions=NAMES,
        measured_on="200 held-out ratings of planted, random 80/20, seed 42",
        values={name: values(by) for name, by in shifts.items()},
        floors={"biases": values(-0.2), "random": {**values(-0.4), "rmse": math.nan}},
        pairs={name: pair(name, by) for name, by in shifts.items() if by},
        slices={
            "v1.1.0": (slice_diff("18-24", 0.05), slice_diff("F", -0.02, kind="gender")),
            "v1.2.0": (),
        },
        groups=(SeedGroup("default", NAMES[:2], values(0.01), dict.fromkeys(values(), 0.0123)),),
        settings=(
            SettingDiff("hyperparameter", "hidden_dim", {"v1.0.0": "64", "v1.1.0": "128"}),
            SettingDiff("environment", "device", {"v1.0.0": "cpu", "v1.1.0": "cuda"}),
        ),
        costs=(
            Cost("v1.0.0", 90.0, 1000, 500.0, 10_000),
            Cost("v1.1.0", 40.0, 2000, math.nan, 20_000),
            Cost("v1.2.0", 95.0, 1500, 700.0, 15_000),
        ),
    )
