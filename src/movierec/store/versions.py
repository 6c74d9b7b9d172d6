"""Rows of versions. The registry keeps them in step with the folders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from movierec.errors import NotFoundError, StoreError
from movierec.store.engine import Database
from movierec.store.plain import plain_dict
from movierec.store.records import VersionRecord
from movierec.store.tables import RunRow, VersionRow

__all__ = ["VersionStore"]

Names: TypeAlias = list[str]


class VersionStore:
    """The kept models.

    Methods that take a name raise NotFoundError when there is no such version; all raise
    StoreError when the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[VersionRecord]:
        """Return every version, newest first."""
        query = _living().order_by(VersionRow.created_at.desc(), VersionRow.id.desc())
        with self._database.reading() as session:
            return [_record(row) for row in session.scalars(query)]

    def get(self, name: str) -> VersionRecord:
        """Return a version."""
        with self._database.reading() as session:
            return _record(_require(session, name))

    def current(self) -> VersionRecord | None:
        """Return the version in use, if there is one."""
        with self._database.reading() as session:
            row = session.scalar(_living().where(VersionRow.is_current))
            return None if row is None else _record(row)

    def names_ever(self) -> Names:
        """Return every name that was ever given, deleted versions included."""
        with self._database.reading() as session:
            return list(session.scalars(select(VersionRow.name)))

    def add(
        self,
        *,
        name: str,
        model: str,
        preset: str,
        dataset_name: str,
        fingerprint: str,
        split_label: str,
        created_at: datetime,
        run_id: int | None,
        size_bytes: int,
        parameters: int,
        metadata: Mapping[str, Any],
    ) -> VersionRecord:
        """Keep a version; a run that this database does not know is left out.

        Raises:
            StoreError: the name is taken.

        """
        row = VersionRow(
            name=name,
            model=model,
            preset=preset,
            dataset_name=dataset_name,
            fingerprint=fingerprint,
            split_label=split_label,
            created_at=created_at,
            is_current=False,
            is_missing=False,
            size_bytes=size_bytes,
            parameters=parameters,
            facts=plain_dict(metadata),
        )
        with self._database.writing(alone_in="versions") as session:
            _make_room(session, name)
            row.run_id = None if run_id is None else session.scalar(_known_run(run_id))
            session.add(row)
            session.flush()
            return _record(row)

    def delete(self, name: str) -> None:
        """Forget a version, but not its name."""
        with self._database.writing() as session:
            row = _require(session, name)
            row.deleted_at, row.is_current, row.facts = datetime.now(UTC), False, {}

    def set_current(self, name: str | None) -> None:
        """Make a version the one in use, or none."""
        with self._database.writing(alone_in="versions") as session:
            chosen = None if name is None else _require(session, name)
            # two statements, in this order: an index admits one current row at a time
            session.execute(update(VersionRow).values(is_current=False))
            if chosen is not None:
                query = update(VersionRow).where(VersionRow.id == chosen.id)
                session.execute(query.values(is_current=True))

    def set_missing(self, name: str, *, is_missing: bool) -> None:
        """Note whether a version's folder is there."""
        with self._database.writing() as session:
            _require(session, name).is_missing = is_missing


def _living() -> Any:
    return select(VersionRow).where(VersionRow.deleted_at.is_(None))


def _known_run(run_id: int) -> Any:
    return select(RunRow.id).where(RunRow.id == run_id)


def _require(session: Session, name: str) -> VersionRow:
    row: VersionRow | None = session.scalar(_living().where(VersionRow.name == name))
    if row is not None:
        return row
    names = [r.name for r in session.scalars(_living().order_by(VersionRow.id.desc()).limit(5))]
    hint = f"There is {', '.join(names)}." if names else "Train one: `movierec train`."
    raise NotFoundError(f"There is no version {name!r}.", hint=hint)


def _make_room(session: Session, name: str) -> None:
    row = session.scalar(select(VersionRow).where(VersionRow.name == name))
    if row is not None and row.deleted_at is None:
        raise StoreError(f"There already is a version {name}.", hint="Choose another name.")
    session.execute(delete(VersionRow).where(VersionRow.name == name))


def _record(row: VersionRow) -> VersionRecord:
    return VersionRecord(
        name=row.name,
        model=row.model,
        preset=row.preset,
        dataset_name=row.dataset_name,
        fingerprint=row.fingerprint,
        split_label=row.split_label,
        created_at=row.created_at,
        is_current=row.is_current,
        run_id=row.run_id,
        size_bytes=row.size_bytes,
        parameters=row.parameters,
        metadata=row.facts,
        is_missing=row.is_missing,
    )
