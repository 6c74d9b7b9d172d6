"""What a version answers: who should see what, and which movies are alike."""

from movierec.inference.filters import Filters
from movierec.inference.load import load_version
from movierec.inference.person import Person
from movierec.inference.results import (
    Cause,
    Explanation,
    Reason,
    Recommendation,
    SimilarMovie,
)
from movierec.inference.version import LoadedVersion

__all__ = [
    "Cause",
    "Explanation",
    "Filters",
    "LoadedVersion",
    "Person",
    "Reason",
    "Recommendation",
    "SimilarMovie",
    "load_version",
]
