"""Versions of different splits: compared by what was found when they were measured together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from pyarrow import ArrowException

from movierec.comparison.comparability import obstacles
from movierec.comparison.evidence import Evidence, read_evidence
from movierec.data.splits import recorded_split
from movierec.errors import ArtifactError
from movierec.inference import LoadedVersion
from movierec.inference.parts import SplitParts
from movierec.registry import Registry
from movierec.registry.measurements import Frame, Measurement, Measurements
from movierec.store import VersionRecord

__all__ = [
    "as_measured",
    "comparable_evidence",
    "evidence_from",
    "evidence_of",
    "measured_together",
]


def comparable_evidence(registry: Registry, names: Sequence[str]) -> list[Evidence]:
    """Return what versions can be compared by: their own, or what was measured of all together.

    Where they may not be compared as they are and nobody measured them together, it is their
    own, whose obstacles then say why.

    Raises:
        NotFoundError: there is no such version.

    """
    own = [read_evidence(registry, name) for name in names]
    found = measured_together(registry.measurements, own)
    return [each if found is None else evidence_from(found, each) for each in own]


def measured_together(kept: Measurements, own: Sequence[Evidence]) -> Measurement | None:
    """Return what helps versions that may not be compared by their own evidence, if it is there.

    A version of other data than the first cannot be measured with it and does not count.
    """
    if not any(obstacles(own[0], other) for other in own[1:]):
        return None
    same = [each.record for each in own if each.record.fingerprint == own[0].record.fingerprint]
    return kept.find(same) if len(same) > 1 else None


def evidence_from(measurement: Measurement, own: Evidence) -> Evidence:
    """Return what was measured of a version together with others, or its own where it was not."""
    return evidence_of(measurement, own.record) if measurement.holds([own.record]) else own


def evidence_of(measurement: Measurement, record: VersionRecord) -> Evidence:
    """Return a version's evidence as if it had been measured so when it was trained.

    `metadata.measured_together` tells that it was not: its versions, when, the split it was
    trained on, and caveats.
    """
    ground, found = measurement.ground, measurement.versions[record.name]
    facts = {
        "evaluation": found.evaluation,
        "slices": found.slices,
        "reliability": found.reliability,
        "floors": ground.floors,
        "split": ground.split,
        "split_test_sha256": ground.test_sha256,
        "measured_together": {
            "versions": [*measurement.versions],
            "created_at": measurement.created_at.isoformat(),
            "own_split": record.metadata.split.as_dict(),
            "caveats": ground.caveats,
        },
    }
    told = replace(
        record, split_label=ground.split_label, metadata=record.metadata.with_facts(**facts)
    )
    per_user, wrong = _tried(measurement, record.name, "per_user")
    per_rating, also_wrong = _tried(measurement, record.name, "per_rating")
    return Evidence(told, per_user, per_rating, wrong or also_wrong)


def as_measured(loaded: LoadedVersion, evidence: Evidence) -> LoadedVersion:
    """Return a version whose lists leave out what any of those measured with it knew.

    Its history is then the same as theirs, and what was held out is its metadata's split. One
    that is compared by its own numbers is returned as it is.
    """
    if evidence.record.metadata.measured_together is None:
        return loaded
    split = recorded_split(loaded.dataset, evidence.record.metadata.split)
    parts = SplitParts.of(loaded.dataset, split)
    return replace(loaded, known=parts.known, metadata=evidence.record.metadata, parts=parts)


def _tried(measurement: Measurement, name: str, frame: Frame) -> tuple[pd.DataFrame | None, str]:
    try:
        return measurement.frame(name, frame), ""
    except ArtifactError as error:
        return None, str(error)
    except (OSError, ValueError, ArrowException):
        return None, f"What was measured of {name} together with others cannot be read."
