"""How `current` moved: one row per move, never changed once it is done.

A move is planned before the alias on disk changes and done in the transaction that changes the
rows, so that a process killed in between loses neither the move nor its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from movierec.plain import plain_dict
from movierec.store.engine import Database
from movierec.store.records import PromotionRecord
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
            return [_record(row) for row in session.scalars(query)]

    def plan(
        self,
        version: str,
        *,
        how: str,
        who: str,
        reason: str = "",
        checks: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Note a move that is about to be made, in place of any that never was."""
        row = PromotionRow(
            at=datetime.now(UTC), version=version, previous=None, who=who, how=how,
            reason=reason, checks=[plain_dict(check) for check in checks], is_done=False,
        )  # fmt: skip
        with self._database.writing() as session:
            _forget_plans(session)
            session.add(row)

    def forget_plans(self) -> None:
        """Forget moves that were planned and never made."""
        with self._database.reading() as session:
            planned = session.scalar(select(PromotionRow.id).where(_IS_PLANNED))
        if planned is not None:
            with self._database.writing() as session:
                _forget_plans(session)


def note_move(
    session: Session,
    before: str | None,
    now: str | None,
    *,
    how: str,
    who: str,
    reason: str = "",
    checks: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write a move into the history, or what was planned of it instead; a standstill is none."""
    row = session.scalar(select(PromotionRow).where(_IS_PLANNED, PromotionRow.version == now))
    if before == now:
        _forget_plans(session)
        return
    if row is None:
        found = [plain_dict(check) for check in checks]
        row = PromotionRow(version=now, who=who, how=how, reason=reason, checks=found)
        session.add(row)
    row.at, row.previous, row.is_done = datetime.now(UTC), before, True
    session.flush()
    _forget_plans(session)


def _forget_plans(session: Session) -> None:
    session.execute(delete(PromotionRow).where(_IS_PLANNED))


def _record(row: PromotionRow) -> PromotionRecord:
    return PromotionRecord(
        id=row.id,
        at=row.at,
        version=row.version,
        previous=row.previous,
        who=row.who,
        how=row.how,
        reason=row.reason,
        checks=tuple(row.checks),
    )
