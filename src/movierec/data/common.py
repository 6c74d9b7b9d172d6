"""What several splits hold out alike: ratings that no version of any of them has seen."""

from __future__ import annotations

from functools import reduce

import numpy as np

from movierec.data.dataset import Dataset
from movierec.data.splits import CommonSpec, Split, SplitSpec, make_split
from movierec.metadata import RecordedSplit

__all__ = ["common_split", "recorded_spec", "recorded_split"]


def common_split(dataset: Dataset, spec: CommonSpec) -> Split:
    """Return the split whose test part every one of the splits holds out.

    Known is what any of them knows (train, validation or support part), all of it in the train
    part: a movie that one version has learnt of is no candidate for any. As each split covers
    every rating, a rating is either known so or in the test part. That may be empty.

    Raises:
        SplitError: the data set cannot give one of the splits.

    """
    splits = [make_split(dataset, part) for part in spec.parts]
    test = reduce(np.intersect1d, (split.test for split in splits))
    known = reduce(np.union1d, (split.known for split in splits))
    none = np.zeros(0, np.int64)
    return Split(spec, known, none, test, none)


def recorded_split(dataset: Dataset, recorded: RecordedSplit) -> Split:
    """Make the split that a version's metadata describes, a common one too.

    Raises:
        ValueError: it describes none.
        SplitError: the data set cannot give it.

    """
    spec = recorded_spec(recorded)
    return (
        common_split(dataset, spec) if isinstance(spec, CommonSpec) else make_split(dataset, spec)
    )


def recorded_spec(recorded: RecordedSplit) -> SplitSpec | CommonSpec:
    """Return what a version's metadata says of its split; ValueError where that is no split."""
    if not recorded.is_recorded:
        raise ValueError("the split is not recorded")
    kind = CommonSpec if recorded.name == "common" else SplitSpec
    return kind.model_validate(recorded.as_dict())
