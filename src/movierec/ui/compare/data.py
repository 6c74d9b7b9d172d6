"""The data of the Compare page's views: a comparison, its evidence, and cached results of both."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from movierec.columns import Columns
from movierec.comparison.compare import compare
from movierec.comparison.evidence import Evidence
from movierec.comparison.lists import UserChange, UserLists, changed_users, user_lists
from movierec.comparison.measured import as_measured
from movierec.comparison.results import Comparison, SliceDiff
from movierec.comparison.slices import error_by_rating, slice_diffs
from movierec.data.dataset import Dataset, Interactions
from movierec.inference import LoadedVersion
from movierec.store import DatasetRecord, VersionRecord
from movierec.ui.compare import list_charts
from movierec.ui.components import cache, widgets
from movierec.ui.components.theme import VersionStyle, version_style

__all__ = ["LISTED", "Changes", "Compared", "compare_versions", "pick"]

LISTED = 2000  # users to choose from; any other can be typed


@dataclass(frozen=True, eq=False)
class Changes:
    """Every user's change of a metric, the largest gain first."""

    every: Sequence[UserChange]

    @cached_property
    def by_id(self) -> Mapping[str, UserChange]:
        """The changes by the users' ids."""
        return {change.user_id: change for change in self.every}

    @cached_property
    def gained(self) -> list[str]:
        """Ids of users who gained, most first: so many as can be offered."""
        return [change.user_id for change in self.every[:LISTED] if change.gain > 0]

    @cached_property
    def lost(self) -> list[str]:
        """Ids of users who lost, most first."""
        return [change.user_id for change in self.every[: -LISTED - 1 : -1] if change.gain < 0]

    @cached_property
    def first(self) -> list[str]:
        """Ids of the first users of the data."""
        ordered = heapq.nsmallest(LISTED, self.every, key=lambda change: change.index)
        return [change.user_id for change in ordered]


@dataclass(frozen=True, eq=False)
class Compared:
    """A comparison with its versions.

    `records` are the versions' own rows, `evidence` what they were compared by: their own test
    part, or one on which they were measured together. `mark` changes with either. `dataset` is
    None where their data set is not in this database.
    """

    found: Comparison
    records: Mapping[str, VersionRecord]
    evidence: Mapping[str, Evidence]
    styles: Mapping[str, VersionStyle]
    dataset: DatasetRecord | None
    mark: tuple[str, ...]

    def has(self, key: str, version: str) -> bool:
        """Return whether a metric was compared user by user."""
        return self.found.pairs[version].difference(key) is not None

    def slices(self, version: str) -> tuple[SliceDiff, ...]:
        """Return the change of every group; none where the data set is not here."""
        if self.dataset is None:
            return ()
        data = cache.dataset(self.dataset)
        pair = self._pair(version)
        return cache.drawn(("slices", *self._key(version)), lambda: slice_diffs(*pair, data))

    def errors(self, version: str) -> pd.DataFrame | None:
        """Return a version's error by true rating, None where it predicts none."""
        evidence = self.evidence[version]
        return cache.drawn(("errors", *self._key(version)), lambda: error_by_rating(evidence))

    def changes(self, version: str, key: str) -> Changes:
        """Return every user's change of a metric."""
        a, b = (evidence.per_user for evidence in self._pair(version))
        if a is None or b is None:
            return Changes(())
        return cache.drawn(
            ("changes", key, *self._key(version)), lambda: Changes(changed_users(a, b, key, None))
        )

    def changes_figure(self, version: str, key: str) -> go.Figure:
        """Return how many users' metric changed how much, drawn."""
        styles, found = self.styles, self.changes(version, key)
        return cache.drawn(
            ("changes drawn", key, styles[version].colour, *self._key(version)),
            lambda: list_charts.changes(found.every, key, self.found.baseline, version, styles),
        )

    def user_lists(self, version: str, user: str) -> UserLists:
        """Return a user's lists of the baseline and a version."""
        pair = self._pair(version)
        loaded = {each.record.name: cache.loaded(self.records[each.record.name]) for each in pair}
        data = next(iter(loaded.values())).dataset
        return cache.drawn(
            ("lists", user, *self._key(version)),
            lambda: user_lists(
                {each.record.name: self._as_measured(loaded, each) for each in pair},
                self._held_out(data, data.users.index(user)),
                user,
            ),
        )

    def whole(self) -> Comparison:
        """Return the comparison with the groups of every pair."""
        data = None if self.dataset is None else cache.dataset(self.dataset)
        evidence = [*self.evidence.values()]
        return cache.drawn(
            ("whole", *self.mark), lambda: compare(evidence, self.found.baseline, data)
        )

    def _as_measured(
        self, loaded: Mapping[str, LoadedVersion], evidence: Evidence
    ) -> LoadedVersion:
        name = evidence.record.name
        return cache.drawn(
            ("as measured", *self._key(name)), lambda: as_measured(loaded[name], evidence)
        )

    def _held_out(self, data: Dataset, user: int) -> Interactions:
        frame = self.evidence[self.found.baseline].per_rating
        if frame is None:
            return data.ratings.take(np.zeros(0, np.int64))
        own = frame[Columns.USER_INDEX].to_numpy() == user
        return data.ratings.take(frame[Columns.POSITION].to_numpy()[own])

    def _pair(self, version: str) -> tuple[Evidence, Evidence]:
        return self.evidence[self.found.baseline], self.evidence[version]

    def _key(self, version: str) -> tuple[str, ...]:
        return (version, *self.mark)


def compare_versions(records: Sequence[VersionRecord], baseline: str) -> Compared:
    """Compare versions; what was compared before is not compared again."""
    names = cache.store().versions.names_ever()
    evidence, mark = cache.evidence(records)
    mark = (baseline, *mark)
    found = cache.drawn(
        ("comparison", *mark), lambda: compare([*evidence.values()], baseline, None)
    )
    return Compared(
        found,
        {record.name: record for record in records},
        evidence,
        {record.name: version_style(record.name, names) for record in records},
        cache.store().datasets.find(evidence[baseline].record.fingerprint),
        mark,
    )


def pick(compared: Compared, key: str) -> str | None:
    """Offer the versions that can be compared with the baseline; None where there is none."""
    names = compared.found.alike[1:]
    if not names:
        widgets.mute(
            "None of these versions was measured as the baseline was, so they cannot be set "
            "against each other user by user."
        )
        return None
    if len(names) == 1:
        return names[0]
    chosen: str = st.segmented_control(
        "Compare with", names, default=names[0], required=True, key=key
    )
    return chosen
