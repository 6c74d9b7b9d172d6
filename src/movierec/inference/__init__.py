"""What a version answers: who should see what, and which movies are alike."""

from movierec.inference.load import load_version
from movierec.inference.results import Reason, Recommendation, SimilarMovie
from movierec.inference.serving import LoadedVersion

__all__ = ["LoadedVersion", "Reason", "Recommendation", "SimilarMovie", "load_version"]
