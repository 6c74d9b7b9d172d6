"""Promotions, the moves of `current`: one row each, never changed once it is done.

A move is planned before the alias on disk changes and done in the transaction that changes the
rows, so that a process killed in between loses neither the move nor its reason.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from movierec.plain import plain_dict
from movierec.store.engine import Database
from movierec.store.records import Move, PromotionRecord, promotion_record
from movierec.store.tables import PromotionRow

__all__ = ["PromotionStore", "note_move"]

# `list` is a method below
Promotions: TypeAlias = list[PromotionRecord]

_IS_PLANNED = PromotionRow.is_done.is_(False)


class PromotionStore:
    """The history of `current`; StoreError when the database cannot be read or written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> Promotions:
        """Return every move that was made, newest first."""
        query = select(PromotionRow).where(PromotionRow.is_done).order_by(PromotionRow.id.desc())
        with self._database.reading() as session:
            return [promotion_record(row) for row in session.scalars(query)]

    def plan(self, version: str, move: Move) -> None:
        """Note a move that is about to be made, in place of any that never was."""
        with self._database.writing() as session:
            _forget_plans(session)
            session.add(_row(version, move))

    def forget_plans(self) -> None:
        """Forget moves that were planned and never made."""
        with self._database.reading() as session:
            planned = session.scalar(select(PromotionRow.id).where(_IS_PLANNED))
        if planned is not None:
            with self._database.writing() as session:
                _forget_plans(session)


def note_move(session: Session, before: str | None, now: str | None, move: Move) -> None:
    """Write a move into the history, or what was planned of it instead; a standstill is none."""
    row = session.scalar(select(PromotionRow).where(_IS_PLANNED, PromotionRow.version == now))
    if before == now:
        _forget_plans(session)
        return
    if row is None:
        row = _row(now, move)
        session.add(row)
    row.at, row.previous, row.is_done = datetime.now(UTC), before, True
    session.flush()
    _forget_plans(session)


def _row(version: str | None, move: Move) -> PromotionRow:
    """Return the row of a planned move."""
    return PromotionRow(
        at=datetime.now(UTC), version=version, previous=None, who=move.who, how=move.how,
        reason=move.reason, checks=[plain_dict(check) for check in move.checks], is_done=False,
    )  # fmt: skip


def _forget_plans(session: Session) -> None:
    session.execute(delete(PromotionRow).where(_IS_PLANNED))
