"""Rows of runs: finding one, changing it under a condition, and the columns that go together."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from movierec.errors import NotFoundError
from movierec.processes import ProcessMark
from movierec.store.tables import RunRow

__all__ = ["CLAIMED", "CLEARED", "LAST_ID", "change_run", "process_columns", "require_run"]

LAST_ID = 2**31 - 1  # what the column holds; PostgreSQL refuses to look for more
CLAIMED = "claimed"  # the stage of a run that a worker has taken and not yet begun
# what a run that is started or queued again no longer has
CLEARED: Mapping[str, Any] = MappingProxyType(
    {
        "finished_at": None,
        "error": "",
        "traceback": "",
        "cancel_requested": False,
        "cancel_requested_at": None,
    }
)


def process_columns(mark: ProcessMark) -> dict[str, Any]:
    """Return the columns that name a run's process."""
    return {"host": mark.host, "pid": mark.pid, "pid_started_at": mark.started_at}


def require_run(session: Session, run_id: int, *, lock: bool = False) -> RunRow:
    """Return a run's row, where the database locks rows `lock`ed until the transaction ends."""
    known = 0 < run_id <= LAST_ID
    row = session.get(RunRow, run_id, with_for_update=lock) if known else None
    if row is None:
        raise NotFoundError(f"There is no run {run_id}.", hint="`movierec runs` lists them.")
    return row


def change_run(
    session: Session, run_id: int, condition: ColumnElement[bool], values: Mapping[str, Any]
) -> bool:
    """Update a run if the condition still holds; return whether it did."""
    query = update(RunRow).where(RunRow.id == run_id, condition).values(**values)
    changed = session.execute(query.returning(RunRow.id)).first() is not None
    session.expire_all()
    return changed
