"""A version's metadata: one typed model of `metadata.json`, for all who write or read it.

Whatever a version has ever kept has a field here. Versions of older releases lack some, so
almost every field has a default that means "not recorded"; what a newer release adds is kept
beside the fields (`extra`). Imports pydantic and nothing else, so that every room can read it.
"""

from movierec.metadata.parts import (
    STRANGER,
    CalibrationSummary,
    Count,
    Durations,
    EpochSummary,
    EvaluationSummary,
    FileFacts,
    FittedCalibration,
    GitState,
    Hash,
    MeasuredTogether,
    MeasurementProtocol,
    Number,
    RecordedSplit,
    ReliabilityBin,
    SliceSummary,
    Text,
    Time,
)
from movierec.metadata.version import VersionMetadata

__all__ = [
    "STRANGER",
    "CalibrationSummary",
    "Count",
    "Durations",
    "EpochSummary",
    "EvaluationSummary",
    "FileFacts",
    "FittedCalibration",
    "GitState",
    "Hash",
    "MeasuredTogether",
    "MeasurementProtocol",
    "Number",
    "RecordedSplit",
    "ReliabilityBin",
    "SliceSummary",
    "Text",
    "Time",
    "VersionMetadata",
]
