"""A version in memory: how it is loaded, and how far what it serves has drifted."""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from movierec.data.dataset import Dataset
from movierec.inference.load import data_of, load_from, split_of
from movierec.inference.parts import SplitParts
from movierec.inference.version import LoadedVersion
from movierec.registry import Registry
from movierec.registry.names import METADATA
from movierec.settings import Settings
from movierec.store import Store, VersionRecord

__all__ = [
    "Drift",
    "Loader",
    "Mark",
    "ServedVersion",
    "mark_of",
    "reference_of",
    "stability_index",
]

WINDOW = 5_000  # served movies that are looked at together
LEAST = 500  # before that the index is mostly noise
BINS = 10
_FLOOR = 1e-4  # an empty bin's share; the logarithm of 0 is none


def stability_index(served: Sequence[int], expected: Sequence[float]) -> float:
    """Return the population stability index of counts against expected shares.

        PSI = sum_i (p_i - q_i) * ln(p_i / q_i)

    with p the served and q the expected share of bin i (Siddiqi 2006, "Credit Risk Scorecards":
    below 0.1 alike, above 0.25 another population). NaN where nothing was served.
    """
    total = sum(served)
    if not total:
        return math.nan
    pairs = [
        (max(n / total, _FLOOR), max(q, _FLOOR)) for n, q in zip(served, expected, strict=True)
    ]
    return sum((p - q) * math.log(p / q) for p, q in pairs)


class Drift:
    """Predicted ratings of the last movies served, against those of the reference lists.

    The bins are the reference's deciles, so that each expects a tenth, or more where many
    predictions are alike.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._last: deque[float] = deque(maxlen=window)
        self._sum = 0.0
        self._edges: list[float] = []
        self._counts: list[int] = []
        self._expected: list[float] = []
        self.reference_mean = math.nan

    def refer_to(self, predicted: Sequence[float]) -> None:
        """Set the reference; what was served before does not count."""
        if not predicted:
            return
        edges = np.unique(np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1])).tolist()
        counts = np.bincount([bisect_right(edges, p) for p in predicted], minlength=len(edges) + 1)
        self._last.clear()
        self._sum = 0.0
        self._expected = (counts / len(predicted)).tolist()
        self._counts = [0] * len(self._expected)
        self.reference_mean = float(np.mean(predicted))
        self._edges = edges

    def serve(self, predicted: Sequence[float | None]) -> None:
        """Count the predicted ratings of a list that was served."""
        if not self._expected:
            return
        for rating in predicted:
            if rating is not None:
                self._push(rating)

    @property
    def index(self) -> float:
        """The stability index of the last movies served; NaN below 500 of them."""
        if len(self._last) < LEAST:
            return math.nan
        return stability_index(self._counts, self._expected)

    @property
    def served_mean(self) -> float:
        """Their mean predicted rating, in stars; NaN without any."""
        return self._sum / len(self._last) if self._last else math.nan

    def _push(self, rating: float) -> None:
        if len(self._last) == self._last.maxlen:
            oldest = self._last[0]
            self._counts[bisect_right(self._edges, oldest)] -= 1
            self._sum -= oldest
        self._last.append(rating)
        self._counts[bisect_right(self._edges, rating)] += 1
        self._sum += rating


SAMPLE = 200  # users whose lists are the reference of drift
LENGTH = 10

# name, file number and change time: another version, or other files under its name, differ in it
Mark: TypeAlias = tuple[str, int, int]


@dataclass(frozen=True, eq=False)
class ServedVersion:
    """One loaded version; everything of an answer comes from one of these."""

    mark: Mark
    record: VersionRecord
    version: LoadedVersion
    drift: Drift

    @property
    def name(self) -> str:
        """The version's name."""
        return self.record.name


def mark_of(root: str, name: str) -> Mark | None:
    """Return what tells a version's files apart from others of its name; None where it is gone.

    Called for every request: `os` takes a third of the time that paths do.
    """
    try:
        found = os.stat(f"{root}/{name}/{METADATA}")  # noqa: PTH116
    except OSError:
        return None
    return name, found.st_ino, found.st_mtime_ns


class Loader:
    """Loads versions, each with data that others of the same data share."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._store = store
        self._registry = Registry(settings, store)
        self._root = str(settings.models_path)

    def __call__(self, name: str, loaded: Callable[[str], Dataset | None]) -> ServedVersion:
        """Load a version; `loaded` returns the data of a fingerprint that is in memory.

        Raises:
            NotFoundError: there is no such version, or its data set was deleted.
            ArtifactError: its files are missing, changed, or of other data.
            StoreError: the database cannot be read.

        """
        record = self._registry.get(name)
        self._registry.path(record.name)  # has it fetched before its files are marked
        mark = mark_of(self._root, record.name) or (record.name, 0, 0)
        dataset = loaded(record.fingerprint) or data_of(self._store, record)
        version = load_from(self._registry, record, dataset, self._store.datasets)
        version.recommend(str(dataset.users.ids[0]))  # builds what the first answer needs
        return ServedVersion(mark, record, version, Drift())


def reference_of(served: ServedVersion) -> list[float]:
    """Return the ratings a version predicts in the lists of its validation users.

    They are at most 200 users, evenly spaced; none where the version predicts no ratings. Takes
    some hundredths of a second.
    """
    version, dataset = served.version, served.version.dataset
    parts = version.parts or SplitParts.of(dataset, split_of(served.record, dataset))
    users = np.unique(dataset.ratings.user[parts.validation])
    if not version.predicts_ratings or not len(users):
        return []
    sample = users[np.linspace(0, len(users) - 1, min(SAMPLE, len(users))).astype(np.int64)]
    lists = list(version.recommend_all(LENGTH, users=sample))
    predicted = np.concatenate([each.predicted for each in lists])
    found: list[float] = predicted[np.isfinite(predicted)].tolist()
    return found
