"""Rows in, frozen records out: data sets, runs, versions."""

from movierec.store.records import (
    ACTIVE_STATES,
    DatasetRecord,
    EpochRecord,
    FeedbackRecord,
    ProfileRecord,
    PromotionRecord,
    RunKind,
    RunRecord,
    RunState,
    ServedRecord,
    VersionRecord,
    WorkerRecord,
)
from movierec.store.store import Store, open_store

__all__ = [
    "ACTIVE_STATES",
    "DatasetRecord",
    "EpochRecord",
    "FeedbackRecord",
    "ProfileRecord",
    "PromotionRecord",
    "RunKind",
    "RunRecord",
    "RunState",
    "ServedRecord",
    "Store",
    "VersionRecord",
    "WorkerRecord",
    "open_store",
]
