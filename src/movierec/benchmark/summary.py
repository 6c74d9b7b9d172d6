"""Rows of benchmarks summed up: means and deviations over seeds, what can stand together."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from movierec.benchmark.row import Row
from movierec.data.splits import SplitSpec
from movierec.models.factory import BASELINES

__all__ = [
    "COLUMNS",
    "Column",
    "MeanAndDeviation",
    "Section",
    "Summary",
    "curves_of",
    "sections",
    "spread_of",
    "summaries",
]

NEW_USERS = "cold-users"


@dataclass(frozen=True)
class MeanAndDeviation:
    """Mean of a number over seeds and its standard deviation (n - 1); None where unknown."""

    mean: float | None
    sd: float | None = None

    def text(self, digits: int) -> str:
        """Return "0.8889 ± 0.0006", without the deviation where it is not seen."""
        if self.mean is None:
            return "–"
        mean = f"{self.mean:,.{digits}f}"
        return f"{mean} ± {self.sd:,.{digits}f}" if round(self.sd or 0.0, digits) else mean


def spread_of(values: Sequence[float | None]) -> MeanAndDeviation:
    """Return the spread of the numbers that were measured."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return MeanAndDeviation(None)
    alone = len(known) == 1 or len(set(known)) == 1
    return MeanAndDeviation(statistics.fmean(known), None if alone else statistics.stdev(known))


@dataclass(frozen=True)
class Column:
    """A number of a row, how it is shown, and which one is best: the least, the most or none."""

    heading: str
    read: Callable[[Row], float | None]
    digits: int
    best: Callable[[Sequence[float]], float] | None = None


COLUMNS: dict[str, Column] = {
    "rmse": Column("RMSE", lambda row: row["rmse"], 4, min),
    "untimed": Column("RMSE, time not told", lambda row: _without_time(row), 4, min),
    "mae": Column("MAE", lambda row: row["mae"], 4, min),
    "ndcg": Column("NDCG@10 `full`", lambda row: row["full"]["ndcg_at_10"], 4, max),
    "rated": Column("NDCG@10 `rated`", lambda row: row["rated"]["ndcg_at_10"], 4, max),
    "whole": Column("whole s", lambda row: row["whole_seconds"], 1),
    "fit": Column("fit s", lambda row: row["fit_seconds"], 1),
    "predict": Column("predict s", lambda row: row["predict_seconds"], 2),
    "memory": Column("peak MiB", lambda row: row["peak_memory_mb"], 0),
    "parameters": Column("parameters", lambda row: row["parameters"], 0),
}


def _without_time(row: Row) -> float | None:
    """Return the RMSE of predictions that know no time; the RMSE itself in rows of before."""
    value: float | None = row.get("without_time", row)["rmse"]
    return value


@dataclass(frozen=True)
class Summary:
    """One model on one split: the spread of every column over its seeds."""

    label: str
    preset: str
    seeds: int
    values: dict[str, MeanAndDeviation]

    @property
    def is_baseline(self) -> bool:
        """Whether it is a peer and no GraphSAGE."""
        return self.preset in BASELINES

    @property
    def name(self) -> str:
        """The label in the field's words: "SVD++", "GraphSAGE `default`, refit"."""
        kind = BASELINES.get(self.preset)
        shown = kind.label if kind else f"GraphSAGE `{self.preset}`"
        return shown + self.label.removeprefix(self.preset)

    def mean(self, column: str) -> float | None:
        """Return the mean of a column."""
        return self.values[column].mean


def summaries(rows: Sequence[Row]) -> list[Summary]:
    """Return a summary of each model: GraphSAGE first, otherwise as they come."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        # a preset that was changed in between is another model under the same name
        settled = json.dumps(row["hyperparameters"], sort_keys=True)
        groups.setdefault((row["model"], settled), []).append(row)
    return sorted(map(_summary, groups.values()), key=lambda found: found.is_baseline)


def _summary(rows: Sequence[Row]) -> Summary:
    values = {
        name: spread_of([column.read(row) for row in rows]) for name, column in COLUMNS.items()
    }
    seeds = len({row["seed"] for row in rows})
    return Summary(rows[0]["model"], rows[0]["request"]["preset"], seeds, values)


@dataclass(frozen=True, eq=False)
class Section:
    """The rows that can stand in one table: one split of one data set.

    For new users it holds every number of given ratings, for they share their train part.
    """

    dataset: str
    fingerprint: str
    label: str
    rows: Sequence[Row]

    @property
    def is_new_users(self) -> bool:
        """Whether its rows are of the split cold-users."""
        return bool(self.rows[0]["split"] == NEW_USERS)

    @property
    def slug(self) -> str:
        """The label as a file's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.label.lower()).strip("-")


def sections(rows: Sequence[Row]) -> list[Section]:
    """Divide rows into what can be compared, in the order in which they come."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["fingerprint"], _common_label(row)), []).append(row)
    return [
        Section(group[0]["dataset"], fingerprint, label, group)
        for (fingerprint, label), group in found.items()
    ]


def _common_label(row: Row) -> str:
    label: str = row["split_label"]
    if row["split"] == NEW_USERS:
        label = re.sub(r" \(\d+ given\)", "", label)
    share = row["request"]["split"]["validation_fraction"]
    usual = share == SplitSpec().validation_fraction
    return label if usual else f"{label}, {share:.0%} validation"


def curves_of(rows: Sequence[Row]) -> tuple[list[int], dict[str, dict[int, Summary]]]:
    """Return the numbers of given ratings, and for each model its summary at each of them."""
    counts = sorted({_given(row) for row in rows})
    curves: dict[str, dict[int, Summary]] = {}
    for count in counts:
        for item in summaries([row for row in rows if _given(row) == count]):
            curves.setdefault(item.label, {})[count] = item
    return counts, curves


def _given(row: Row) -> int:
    split: dict[str, Any] = row["request"]["split"]
    return int(split["given"])
