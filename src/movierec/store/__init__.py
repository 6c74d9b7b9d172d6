"""Rows in, frozen records out: data sets, runs, versions."""

from movierec.store.records import (
    ACTIVE_STATES,
    DatasetRecord,
    EpochRecord,
    PromotionRecord,
    RunKind,
    RunRecord,
    RunState,
    VersionRecord,
    WorkerRecord,
)
from movierec.store.store import Store, open_store

__all__ = [
    "ACTIVE_STATES",
    "DatasetRecord",
    "EpochRecord",
    "PromotionRecord",
    "RunKind",
    "RunRecord",
    "RunState",
    "Store",
    "VersionRecord",
    "WorkerRecord",
    "open_store",
]
