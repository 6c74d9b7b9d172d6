"""Making a version the current one: what is checked before, and overriding it for a reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from movierec.comparison.measured import comparable_evidence
from movierec.comparison.metrics import BY_KEY, PAIRED
from movierec.comparison.pairs import compare_pair
from movierec.comparison.results import Pair
from movierec.comparison.sentences import delta_text, interval_text
from movierec.errors import PromotionError, SettingsError
from movierec.evaluation.significance import LEVEL, Difference, holm
from movierec.registry import Registry
from movierec.registry.annotations import checked_reason
from movierec.store import VersionRecord

__all__ = ["GUARDS", "Check", "PromotionCheck", "check_promotion", "promote"]

GUARDS = ("rmse", "ndcg_full")
FILES = "files whole"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what, whether it is well, and what was found."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class PromotionCheck:
    """What stands for and against making `version` the current one in place of `current`.

    `pair` compares the two, where they may be compared.
    """

    version: str
    current: str | None
    checks: tuple[Check, ...]
    pair: Pair | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that speak against it."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.failed

    @property
    def can_be_overridden(self) -> bool:
        """Whether a reason is enough: files that are not whole would break every page."""
        return all(check.name != FILES for check in self.failed)


def check_promotion(
    registry: Registry, name: str, *, guards: Sequence[str] = GUARDS
) -> PromotionCheck:
    """Look whether a version may become current: files, data set, and no loss in the guards.

    A guard is a key of the metrics that are tested user by user. One fails where the version is
    worse than the current one for sure, corrected over the guards (Holm), or has no value where
    the current one has one.

    Raises:
        NotFoundError: there is no such version.
        SettingsError: a guard is no such metric.

    """
    wanted = _known(guards)
    record, current = registry.get(name), registry.current()
    checks = [_files(registry, record)]
    if current is None or current.name == record.name:
        return PromotionCheck(record.name, None if current is None else current.name, tuple(checks))
    checks.append(_data(record, current))
    pair = None
    if all(check.passed for check in checks):
        before, after = comparable_evidence(registry, [current.name, record.name])
        pair = compare_pair(before, after)
        checks.append(_comparable(pair, before.record.split_label))
        if pair.is_comparable:
            checks += _losses(pair, before.record, after.record, wanted)
    return PromotionCheck(record.name, current.name, tuple(checks), pair)


def promote(
    registry: Registry,
    name: str,
    *,
    guards: Sequence[str] = GUARDS,
    override: str | None = None,
    who: str = "",
) -> VersionRecord:
    """Make a version the current one if nothing speaks against it, or for a reason.

    The history keeps the checks, and `override`, the reason why they do not count.

    Raises:
        NotFoundError: there is no such version.
        PromotionError: checks failed and there is no reason.
        SettingsError: a guard is no metric that is tested, or the reason is empty or too long.
        ArtifactError: its files are not whole, which no reason changes; `current` moved
            meanwhile; or files cannot be written.

    """
    reason = "" if override is None else checked_reason(override)
    gate = check_promotion(registry, name, guards=guards)
    if gate.can_be_overridden and not gate.passed and not reason:
        raise _refusal(gate)
    checks = [asdict(check) for check in gate.checks]
    return registry.promotion.promote(
        gate.version, who=who, reason=reason, checks=checks, replaces=[gate.current]
    )


def _known(guards: Sequence[str]) -> list[str]:
    known = [metric.key for metric in PAIRED]
    strange = [guard for guard in guards if guard not in known]
    if strange:
        raise SettingsError(
            f"{strange[0][:50]!r} is no metric that can guard a promotion.",
            hint=f"Choose among {', '.join(known)}.",
        )
    return list(dict.fromkeys(guards))


def _files(registry: Registry, record: VersionRecord) -> Check:
    problems = registry.verify(record.name)
    return Check(FILES, not problems, " ".join(problems) or "All files are whole.")


def _data(record: VersionRecord, current: VersionRecord) -> Check:
    same = record.fingerprint == current.fingerprint
    if same:
        found = f"Both are of {record.dataset_name}."
    elif record.dataset_name == current.dataset_name:
        found = f"Both are of a data set {record.dataset_name}, but not of the same ratings."
    else:
        found = (
            f"{record.name} is of {record.dataset_name}, {current.name} of {current.dataset_name}."
        )
    return Check("same data set", same, found)


def _comparable(pair: Pair, measured_on: str) -> Check:
    wrong = " ".join(obstacle.message for obstacle in pair.obstacles)
    found = wrong or f"Both were measured on the test part of {measured_on}."
    return Check("comparable", pair.is_comparable, found)


def _losses(
    pair: Pair, before: VersionRecord, after: VersionRecord, guards: Sequence[str]
) -> Iterator[Check]:
    tested = {key: found for key in guards if (found := pair.difference(key)) is not None}
    corrected = holm([found.p_value for found in tested.values()])
    p_values = dict(zip(tested, corrected, strict=True))
    for key in guards:
        name = f"no loss in {BY_KEY[key].label}"
        if key in tested:
            yield Check(name, *_judged(key, tested[key], float(p_values[key])))
        else:
            yield Check(name, *_unmeasured(key, before, after))


def _judged(key: str, found: Difference, p_value: float) -> tuple[bool, str]:
    metric, is_sure = BY_KEY[key], p_value < LEVEL
    is_worse = metric.gain(found.delta) < 0
    said = f"{'worse' if is_worse else 'better'} for sure" if is_sure else "no sure difference"
    interval = interval_text(key, found.low, found.high)
    change = f"{metric.label} {delta_text(key, found.delta)}, 95 % interval {interval}"
    return not (is_worse and is_sure), f"{change}: {said}."


def _unmeasured(key: str, before: VersionRecord, after: VersionRecord) -> tuple[bool, str]:
    values = (BY_KEY[key].value_in(record.metadata.evaluation) for record in (before, after))
    is_lost = [math.isnan(value) for value in values] == [False, True]
    label = BY_KEY[key].label
    if is_lost:
        return False, f"{label} was measured for {before.name} and not for {after.name}."
    return True, f"{label} was not measured for {before.name}, so none can be lost."


def _refusal(gate: PromotionCheck) -> PromotionError:
    found = " ".join(check.detail for check in gate.failed)
    return PromotionError(
        f"Version {gate.version} was not made current in place of {gate.current}: {found}",
        hint="With a reason it can be all the same: "
        f"`movierec versions promote {gate.version} --override REASON`.",
    )
