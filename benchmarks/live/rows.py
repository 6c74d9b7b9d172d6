"""A database that has been used for long: many finished runs with all their epochs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from movierec.processes import own_mark
from movierec.store import Store
from movierec.store.tables import EpochRow, RunRow
from movierec.workflows.requests import TrainRequest

__all__ = ["add_finished_runs"]

STATES = ("succeeded", "succeeded", "failed", "cancelled", "interrupted")
PRESETS = ("default", "report")
CHUNK = 100  # runs in one statement: SQLite's write-ahead log stays small


def add_finished_runs(store: Store, dataset: str, runs: int, epochs: int) -> None:
    """Add so many runs to the history, each with so many epochs."""
    first = (run.id if (run := store.runs.latest()) else 0) + 1
    with store.engine.begin() as connection:
        for start in range(first, first + runs, CHUNK):
            ids = range(start, min(start + CHUNK, first + runs))
            connection.execute(insert(RunRow), [_run(i, dataset) for i in ids])
            connection.execute(insert(EpochRow), [*_epochs(ids, epochs)])


def _run(run_id: int, dataset: str) -> dict[str, Any]:
    state, preset = STATES[run_id % len(STATES)], PRESETS[run_id % len(PRESETS)]
    began = datetime.now(UTC) - timedelta(minutes=10) * (1 + run_id % 500)
    request = TrainRequest.of(preset=preset, dataset=dataset).model_dump(mode="json")
    facts = {"device": "cpu", "epochs": 200, "fits": 1, "n_parameters": 174_172}
    return {
        "id": run_id, "kind": "train", "state": state, "preset": preset, "dataset_name": dataset,
        "request": request, "created_at": began, "started_at": began, "heartbeat_at": began,
        "finished_at": began + timedelta(seconds=90), "host": own_mark().host, "progress": 1.0,
        "stage": "saved", "error": "The disk is full." if state == "failed" else "",
        "traceback": "Traceback …" if state == "failed" else "", "cancel_requested": False,
        "place": float(run_id), "facts": facts,
    }  # fmt: skip


def _epochs(run_ids: range, epochs: int) -> Iterator[dict[str, Any]]:
    for run_id in run_ids:
        for epoch in range(1, epochs + 1):
            yield {
                "run_id": run_id, "epoch": epoch, "train_loss": 0.7 + math.exp(-epoch / 9),
                "val_loss": 0.8 + math.exp(-epoch / 8), "val_rmse": 0.9 + math.exp(-epoch / 7),
                "val_ndcg_10": 0.3 - math.exp(-epoch / 5) / 5, "seconds": 0.4,
                "is_best": epoch < 140, "memory_mb": 950.0,
            }  # fmt: skip
