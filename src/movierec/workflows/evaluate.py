"""Measure a kept version again, from its files, on the test part it was measured on."""

from __future__ import annotations

from movierec.data.splits import recorded_split
from movierec.evaluation import Evaluation, evaluate
from movierec.inference.load import load_version
from movierec.settings import Settings

__all__ = ["evaluate_version"]


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
