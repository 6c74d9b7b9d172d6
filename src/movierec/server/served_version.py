"""A version in memory, with what its answers are made of and measured against."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from movierec.data.dataset import Dataset
from movierec.inference.load import data_of, load_from, split_of
from movierec.inference.parts import SplitParts
from movierec.inference.version import LoadedVersion
from movierec.registry import Registry
from movierec.registry.names import METADATA
from movierec.server.drift import Drift
from movierec.settings import Settings
from movierec.store import Store, VersionRecord

__all__ = ["Loader", "Mark", "ServedVersion", "mark_of", "reference_of"]

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

    Asked for every request: `os` takes a third of the time that paths do.
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
        version.recommend(str(dataset.users.ids[0]))  # what is made at the first question
        return ServedVersion(mark, record, version, Drift())


def reference_of(held: ServedVersion) -> list[float]:
    """Return the ratings a version predicts in the lists of its validation users.

    They are at most 200 users, evenly spaced; none where the version predicts no ratings. Takes
    some hundredths of a second.
    """
    version = held.version
    parts = version.parts or SplitParts.of(version.dataset, split_of(held.record, version.dataset))
    users = np.unique(version.dataset.ratings.user[parts.validation])
    if not version.predicts_ratings or not len(users):
        return []
    sample = users[np.linspace(0, len(users) - 1, min(SAMPLE, len(users))).astype(np.int64)]
    lists = list(version.recommend_all(LENGTH, users=sample))
    predicted = np.concatenate([each.predicted for each in lists])
    found: list[float] = predicted[np.isfinite(predicted)].tolist()
    return found
