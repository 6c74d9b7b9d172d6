"""Cost of past trainings on this host, for estimates of coming ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, select

from movierec.processes import own_mark
from movierec.store.engine import Database
from movierec.store.tables import DatasetRow, EpochRow, RunRow

__all__ = ["CostStore", "PastCost"]


@dataclass(frozen=True)
class PastCost:
    """Cost of one training: wall seconds of all and of an epoch, largest resident MB.

    `epochs` is how many the first fit took; NaN is "not measured". `request` and the sizes say
    what it was.
    """

    request: Mapping[str, Any]
    seconds: float
    epochs: int
    epoch_seconds: float
    memory_mb: float
    n_users: int
    n_movies: int
    n_ratings: int


class CostStore:
    """Costs of runs that succeeded here; raises as `RunStore` does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, preset: str, limit: int = 5) -> list[PastCost]:
        """Return the costs of the last trainings of a preset or baseline here, newest first."""
        trained = (RunRow.kind == "train", RunRow.state == "succeeded", RunRow.preset == preset)
        here = (RunRow.host == own_mark().host, RunRow.started_at.is_not(None))
        chosen = (
            select(RunRow.id).where(*trained, *here).order_by(RunRow.id.desc()).limit(limit)
        )  # fmt: skip
        measured = (
            select(
                EpochRow.run_id,
                func.count().label("epochs"),
                func.avg(EpochRow.seconds).label("epoch_seconds"),
                func.max(EpochRow.memory_mb).label("memory_mb"),
            )
            .where(EpochRow.run_id.in_(chosen))
            .group_by(EpochRow.run_id)
            .subquery()
        )
        query = (
            select(RunRow, DatasetRow, measured.c.epochs, measured.c.epoch_seconds,
                   measured.c.memory_mb)
            .join(DatasetRow, DatasetRow.name == RunRow.dataset_name)
            .outerjoin(measured, measured.c.run_id == RunRow.id)
            .where(RunRow.id.in_(chosen))
            .order_by(RunRow.id.desc())
        )  # fmt: skip
        with self._database.reading() as session:
            return [_cost(row) for row in session.execute(query)]


def _cost(row: Row[Any]) -> PastCost:
    values: tuple[Any, ...] = tuple(row)
    run, data, epochs, epoch_seconds, memory = values
    return PastCost(
        request=run.request,
        seconds=(run.finished_at - run.started_at).total_seconds(),
        epochs=epochs or 0,
        epoch_seconds=math.nan if epoch_seconds is None else float(epoch_seconds),
        memory_mb=math.nan if memory is None else float(memory),
        n_users=data.n_users,
        n_movies=data.n_movies,
        n_ratings=data.n_ratings,
    )
