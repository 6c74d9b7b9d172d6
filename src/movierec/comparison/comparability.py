"""May two versions be compared? Every reason why not, by its root: echoes of it are left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from movierec.columns import Columns
from movierec.comparison.evidence import Evidence
from movierec.comparison.metrics import PAIRED, Metric
from movierec.comparison.results import Obstacle, Remedy
from movierec.data.dataset import IntArray
from movierec.evaluation.significance import ERROR_SUMS
from movierec.metadata import MeasurementProtocol

__all__ = ["obstacles"]

Check = Callable[[Evidence, Evidence], Iterable[Obstacle]]

TOLERANCE = 1e-6  # metadata and per-user file are of the same numbers, summed in another order
_NOTHING = "not recorded"
# The rest of a protocol's words, which change only where a metric is defined anew. How a rating's
# time is used and what ranks the user's own movies are the model's own affair.
_DEFINITIONS = ("ties", "mrr", "calibration")
# What a split's test part hangs on. The rest only says how the validation part is drawn, which
# changes how a model was trained and not on what it is measured.
_HELD_OUT_BY: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("u1", "u2", "u3", "u4", "u5"), ()),
    "random": ("seed", "test_fraction"),
    "temporal": ("test_fraction",),
    "leave-last-n": ("last_n",),
    "cold-users": ("seed", "given"),
}


def obstacles(baseline: Evidence, version: Evidence) -> tuple[Obstacle, ...]:
    """Return why two versions may not be compared; nothing if they may.

    Later checks are made only where the earlier ones found nothing: another seed of the split
    brings other test ratings and users with it, and those are not named again.
    """
    for stage in _STAGES:
        found = [obstacle for check in stage for obstacle in check(baseline, version)]
        if found:
            return tuple(found)
    return ()


def _files(baseline: Evidence, version: Evidence) -> Iterable[Obstacle]:
    sides = (baseline, version)
    if any(side.record.is_missing for side in sides):
        words = ["missing" if side.record.is_missing else "there" for side in sides]
        gone = [side.record.name for side in sides if side.record.is_missing]
        yield _obstacle("folder", "the folder", words, "restore",
                        f"The folder of {' and '.join(gone)} is missing.")  # fmt: skip
    elif any(side.per_user is None for side in sides):
        words = ["there" if side.per_user is not None else "unusable" for side in sides]
        problem = " ".join(side.problem for side in sides if side.per_user is None)
        yield _obstacle("file", "the file per_user.parquet", words, "restore", problem)


def _measured(baseline: Evidence, version: Evidence) -> Iterable[Obstacle]:
    sides = (baseline, version)
    without = [side.record.name for side in sides if not _protocol(side).is_recorded]
    if without:
        words = ["recorded" if _protocol(side).is_recorded else _NOTHING for side in sides]
        yield _obstacle("protocol", "the protocol", words, "again",
                        f"How {' and '.join(without)} was measured is not recorded.")  # fmt: skip


def _data(baseline: Evidence, version: Evidence) -> Iterable[Obstacle]:
    sides = (baseline, version)
    prints = [side.record.fingerprint for side in sides]
    if prints[0] == prints[1]:
        return
    names = [side.record.dataset_name for side in sides]
    if names[0] != names[1]:
        yield _differs("fingerprint", "the data set", names, "retrain", sides)
        return
    words = [f"{names[0]}, {p[:10]}…" for p in prints]
    yield _obstacle(
        "fingerprint", "the data's content", words, "retrain",
        f"Both data sets are called {names[0]}, but their ratings are not the same.",
    )  # fmt: skip


def _split(baseline: Evidence, version: Evidence) -> Iterable[Obstacle]:
    sides = (baseline, version)
    specs = [side.record.metadata.split.as_dict() for side in sides]
    kinds = [str(spec.get("name", _NOTHING)) for spec in specs]
    if kinds[0] != kinds[1]:
        yield _differs("split", "the split", kinds, "common", sides)
        return
    held_out_by = _HELD_OUT_BY.get(kinds[0], [k for k in specs[0] if k != "name"])
    seeds = [spec.get("seed") for spec in specs]
    if seeds[0] != seeds[1] and "seed" in held_out_by:
        yield _differs("seed", "the split's seed", [_plain(s) for s in seeds], "common", sides)
    parts = [{k: spec.get(k) for k in held_out_by if k != "seed"} for spec in specs]
    if parts[0] != parts[1]:
        words = [_listed(part, parts) for part in parts]
        yield _differs("parameters", "the split's parameters", words, "common", sides)


def _test_part(baseline: Evidence, version: Evidence) -> Iterable[Obstacle]:
    sides = (baseline, version)
    hashes = [_protocol(side).test_sha256 or _NOTHING for side in sides]
    if hashes[0] != hashes[1]:
        words = [f"{h[:10]}…" if h != _NOTHING else h for h in hashes]
        yield _obstacle(
            "test part", "the test part", words, "common",
            "Their splits have the same name and seed, but hold out other ratings: they were "
            "made by different releases.",
        )  # fmt: skip
    given = [_plain(_protocol(side).n_support) for side in sides]
    if given[0] != given[1]:
        yield _differs("support", "what was told of new users (ratings)", given, "common", sides)


def _rules(baseline: Evidence, version: Evidence) -> Iterable[Obstacle]:
    """Name each rule of measuring that differs, each for itself: none follows from another."""
    sides = (baseline, version)
    found = [_protocol(side) for side in sides]
    for key, what in (("k", "the length of the lists (k)"), ("predictions", "the rating scale")):
        words = [_plain(getattr(protocol, key)) for protocol in found]
        if words[0] != words[1]:
            yield _differs(key, what, words, "again", sides)
    rules = (("thresholds", "the relevance thresholds"), ("candidates", "the candidates"))
    for key, what in rules:
        values = [getattr(protocol, key) for protocol in found]
        if values[0] != values[1]:
            yield _differs(key, what, [_listed(v, values) for v in values], "again", sides)
    ranked = [protocol.users_ranked or "all test users" for protocol in found]
    if ranked[0] != ranked[1]:
        yield _differs("ranked", "who is ranked", ranked, "again", sides)
    meant = [{name: getattr(protocol, name) for name in _DEFINITIONS} for protocol in found]
    if meant[0] != meant[1]:
        words = [_listed(each, meant) for each in meant]
        yield _differs("definitions", "how metrics are defined", words, "again", sides)


def _people(baseline: Evidence, version: Evidence) -> Iterable[Obstacle]:
    """Compare the per-user files themselves, whatever the metadata say."""
    sides = (baseline, version)
    frames = [
        side.per_user.sort_values(Columns.USER) for side in sides if side.per_user is not None
    ]
    users, tests, known = (
        [frame[column].to_numpy() for frame in frames]
        for column in (Columns.USER, "n_test", "n_train")
    )
    if not np.array_equal(users[0], users[1]):
        alone = [np.setdiff1d(users[0], users[1]), np.setdiff1d(users[1], users[0])]
        words = [f"{len(u):,}, {len(a):,} only here" for u, a in zip(users, alone, strict=True)]
        yield _obstacle("users", "the test users", words, "common",
                        "Their per-user files are of different test users.")  # fmt: skip
    elif not np.array_equal(tests[0], tests[1]):
        yield _obstacle("ratings", "the test ratings per user", _counts(tests), "common",
                        "Their test users are the same, but not how many ratings of each were "
                        "held out.")  # fmt: skip
    elif not np.array_equal(known[0], known[1]):
        yield _obstacle("known", "the known ratings per user", _counts(known), "common",
                        "They were told different ratings of the same users, so their candidates "
                        "are not the same.")  # fmt: skip


def _counts(both: Sequence[IntArray]) -> list[str]:
    differ = np.flatnonzero(both[0] != both[1])
    return [f"{each.sum():,}, {each[differ[0]]:,} of the first user that differs" for each in both]


def _fit(baseline: Evidence, version: Evidence) -> Iterable[Obstacle]:
    sides = (baseline, version)
    wrong = [next((m.label for m in PAIRED if not _agrees(side, m)), "") for side in sides]
    if any(wrong):
        words = [f"{label} differs" if label else "fits" for label in wrong]
        names = [side.record.name for side, label in zip(sides, wrong, strict=True) if label]
        yield _obstacle("fit", "file and metadata", words, "again",
                        f"The per-user file of {' and '.join(names)} does not add up to what "
                        "metadata.json says.")  # fmt: skip


def _agrees(side: Evidence, metric: Metric) -> bool:
    """Return whether the per-user file adds up to the value that metadata records."""
    recorded = metric.value_in(side.record.metadata.evaluation)
    frame = side.per_user
    if frame is None or ERROR_SUMS.get(metric.column, metric.column) not in frame:
        return math.isnan(recorded)
    if metric.column in ERROR_SUMS:
        total = frame[ERROR_SUMS[metric.column]].to_numpy().sum()  # NaN stays NaN
        value = float(total / frame["n_test"].sum())
        value = math.sqrt(value) if metric.column == "rmse" and value >= 0 else value
    else:
        value = float(frame[metric.column].mean())
    return math.isclose(value, recorded, abs_tol=TOLERANCE) or (
        math.isnan(value) and math.isnan(recorded)
    )


_STAGES: tuple[tuple[Check, ...], ...] = (
    (_files, _measured), (_data,), (_split, _rules), (_test_part,), (_people,), (_fit,),
)  # fmt: skip


def _protocol(side: Evidence) -> MeasurementProtocol:
    return side.record.metadata.evaluation.protocol


def _differs(
    key: str, what: str, words: Sequence[str], remedy: Remedy, sides: Sequence[Evidence]
) -> Obstacle:
    names = [side.record.name for side in sides]
    message = (
        f"{what[:1].upper()}{what[1:]} differs: {words[0]} for {names[0]}, "
        f"{words[1]} for {names[1]}."
    )
    return _obstacle(key, what, words, remedy, message)


def _obstacle(key: str, what: str, words: Sequence[str], remedy: Remedy, message: str) -> Obstacle:
    return Obstacle(key, what, words[0], words[1], message, remedy)


def _listed(values: Mapping[str, Any], both: Sequence[Mapping[str, Any]]) -> str:
    """Write those of the values that are not the same in both, "test_fraction 0.2"."""
    names = [n for n in {**both[0], **both[1]} if both[0].get(n) != both[1].get(n)]
    return ", ".join(f"{name} {_plain(values.get(name))}" for name in names)


def _plain(value: object) -> str:
    if value is None:
        return _NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)
