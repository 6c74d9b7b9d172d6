"""Records: plain frozen facts, detached from the database, and the one mapper of each table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from movierec.metadata import VersionMetadata
from movierec.plain import plain_dict
from movierec.store.tables import (
    DatasetRow,
    EpochRow,
    ProfileRow,
    PromotionRow,
    RunRow,
    ServedRow,
    VersionRow,
    WorkerRow,
)

__all__ = [
    "ACTIVE_STATES",
    "DatasetRecord",
    "EpochRecord",
    "FeedbackRecord",
    "Move",
    "MoveKind",
    "ProfileRecord",
    "PromotionRecord",
    "RunKind",
    "RunRecord",
    "RunState",
    "ServedRecord",
    "VersionRecord",
    "WorkerRecord",
    "dataset_record",
    "epoch_record",
    "epoch_row",
    "profile_record",
    "promotion_record",
    "run_record",
    "served_record",
    "version_record",
    "version_row",
    "worker_record",
]

MoveKind = Literal["saved", "promoted", "rolled back", "repaired"]
RunState = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
RunKind = Literal["import", "train", "sweep", "evaluate"]
ACTIVE_STATES: tuple[RunState, ...] = ("queued", "running")


@dataclass(frozen=True)
class DatasetRecord:
    """One imported data set. `report` is `ImportReport.as_dict()`, stored at import."""

    id: int
    name: str
    fingerprint: str
    source: str
    imported_at: datetime
    n_users: int
    n_movies: int
    n_ratings: int
    rating_low: float
    rating_high: float
    rating_step: float
    report: Mapping[str, Any]
    has_timestamps: bool = True


@dataclass(frozen=True)
class EpochRecord:
    """Measures of one finished epoch. Losses in the loss's own unit, seconds of wall time.

    `memory_mb` is the largest resident memory of its process so far, in MB.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_rmse: float
    val_ndcg_10: float
    seconds: float
    is_best: bool
    memory_mb: float = math.nan


@dataclass(frozen=True)
class RunRecord:
    """One piece of work and how far it is. `progress` runs from 0 to 1.

    `log_path` is where its process writes its log; the file need not exist. Queued runs are
    taken by highest `priority`, then lowest `place`. `parent_id` is the run it was cloned from,
    or the sweep whose best it trains; `claimed_by` the worker that took it; `facts` what its
    process recorded: device, epochs, steps_per_epoch, n_parameters, patience.
    """

    id: int
    kind: RunKind
    state: RunState
    preset: str
    dataset_name: str
    request: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    pid: int | None
    pid_started_at: float | None
    progress: float
    stage: str
    error: str
    traceback: str
    version: str | None
    log_path: str
    host: str = ""
    cancel_requested: bool = False
    cancel_requested_at: datetime | None = None
    priority: int = 0
    place: float = 0.0
    parent_id: int | None = None
    claimed_by: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kept_for(self) -> str:
        """The host that alone can do it, as only that one has the file; empty: any."""
        return str(self.facts.get("kept_for", ""))

    @property
    def is_claimed(self) -> bool:
        """Whether a worker has taken it and its process has not started it yet."""
        return self.state == "queued" and self.pid is not None


@dataclass(frozen=True)
class WorkerRecord:
    """One process that takes runs from the queue, `slots` of them at a time."""

    id: int
    host: str
    pid: int
    pid_started_at: float
    slots: int
    started_at: datetime
    heartbeat_at: datetime


@dataclass(frozen=True)
class VersionRecord:
    """One kept model. `metadata` is its whole `metadata.json`, or in lists some of it.

    `is_missing` says that its folder was gone when somebody last looked. `origin` tells of an
    import ("archive", "name", "imported_at") and is empty for what was trained here. One in the
    trash has both times: since when, and until when it can be restored.
    """

    name: str
    model: str
    preset: str
    dataset_name: str
    fingerprint: str
    split_label: str
    created_at: datetime
    is_current: bool
    run_id: int | None
    size_bytes: int
    parameters: int
    metadata: VersionMetadata
    is_missing: bool = False
    tags: tuple[str, ...] = ()
    notes: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    trashed_at: datetime | None = None
    trashed_until: datetime | None = None


@dataclass(frozen=True)
class Move:
    """How and why `current` moves.

    `who` is the user of the operating system, or whoever was named; `reason` says why failed
    checks were overridden; `checks` are those of the promotion, as objects.
    """

    how: MoveKind = "repaired"
    who: str = ""
    reason: str = ""
    checks: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class PromotionRecord:
    """One move of `current`, from `previous` to `version`; None stands for no version.

    The other fields are those of `Move`.
    """

    id: int
    at: datetime
    version: str | None
    previous: str | None
    who: str
    how: str
    reason: str = ""
    checks: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class FeedbackRecord:
    """One thumb on a recommended movie.

    `version` is the one that recommended it, `rank` its place in the list; `source` is "page",
    "api" or "cli". User and movie are those of the data set with this fingerprint.
    """

    id: int
    at: datetime
    version: str
    fingerprint: str
    user_id: str
    movie_id: str
    is_liked: bool
    rank: int | None
    source: str


@dataclass(frozen=True)
class ProfileRecord:
    """A named profile of a new user: stars by movie id, and optional features."""

    id: int
    name: str
    fingerprint: str
    ratings: Mapping[str, float]
    features: Mapping[str, Any]
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class ServedRecord:
    """Number of lists that a version gave on a day (UTC), through "page" or "api"."""

    day: date
    version: str
    source: str
    lists: int


def dataset_record(row: DatasetRow) -> DatasetRecord:
    """Return the record of a data set's row."""
    return DatasetRecord(**_same(DatasetRecord, row))


def run_record(row: RunRow, runs_path: Path) -> RunRecord:
    """Return the record of a run's row; its log lies in a folder of `runs_path`."""
    return RunRecord(**_same(RunRecord, row), log_path=str(runs_path / str(row.id) / "run.log"))


def epoch_record(row: EpochRow) -> EpochRecord:
    """Return the record of an epoch's row, NaN for what was not measured."""
    same = _same(EpochRecord, row)
    missing = {name: math.nan for name, value in same.items() if value is None}
    return EpochRecord(**same | missing)


def epoch_row(run_id: int, epoch: EpochRecord) -> EpochRow:
    """Return the row of an epoch, NULL for NaN."""
    same = _same(EpochRecord, epoch)
    missing = {name: None for name, value in same.items() if math.isnan(value)}
    return EpochRow(run_id=run_id, **same | missing)


def worker_record(row: WorkerRow) -> WorkerRecord:
    """Return the record of a worker's row."""
    return WorkerRecord(**_same(WorkerRecord, row))


def version_record(columns: Mapping[str, Any], document: Mapping[str, Any]) -> VersionRecord:
    """Return the record of a version from the columns of its row and its metadata."""
    same = {
        each.name: columns[each.name] for each in fields(VersionRecord) if each.name != "metadata"
    }
    same |= {"tags": tuple(same["tags"]), "metadata": VersionMetadata.of(document)}
    return VersionRecord(**same)


def version_row(record: VersionRecord) -> VersionRow:
    """Return the row of a version that is to be listed."""
    same = _same(VersionRecord, record)
    del same["metadata"]
    plain = {"tags": [*record.tags], "origin": plain_dict(record.origin), "is_current": False}
    return VersionRow(**same | plain, facts=plain_dict(record.metadata.as_dict()))


def promotion_record(row: PromotionRow) -> PromotionRecord:
    """Return the record of a move's row."""
    return PromotionRecord(**_same(PromotionRecord, row) | {"checks": tuple(row.checks)})


def profile_record(row: ProfileRow) -> ProfileRecord:
    """Return the record of a named profile's row."""
    return ProfileRecord(**_same(ProfileRecord, row))


def served_record(row: ServedRow) -> ServedRecord:
    """Return the record of a day's count of lists."""
    return ServedRecord(**_same(ServedRecord, row))


def _same(kind: Any, source: object) -> dict[str, Any]:
    """Return the fields of a record class that a row or record has under the same name."""
    names = [each.name for each in fields(kind)]
    return {name: getattr(source, name) for name in names if hasattr(source, name)}
