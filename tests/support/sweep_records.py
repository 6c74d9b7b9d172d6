"""Records of sweeps that nobody made, for what is drawn of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from movierec.sweeps.records import SweepRecord, TrialRecord, TrialState


def trial(
    number: int, value: float | None, params: Mapping[str, Any], *, state: TrialState = "done"
) -> TrialRecord:
    return TrialRecord(
        number=number, state=state, value=value, params=params, metrics={}, epochs=0,
        best_epoch=None, seconds=None, reason="", hyperparameters={},
    )  # fmt: skip


def record_of(trials: Sequence[TrialRecord], search: Mapping[str, str]) -> SweepRecord:
    return SweepRecord(
        name="made", preset="default", dataset="tiny", split="random", metric="val_rmse",
        direction="minimize", seed=0, fixed={}, search=search, trials=tuple(trials),
        importance=None, command=None, created_at=datetime.now(UTC),
    )  # fmt: skip
