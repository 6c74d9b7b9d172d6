"""Rows of versions. The registry keeps them in step with the folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import delete, inspect, select, update
from sqlalchemy.orm import Session

from movierec.errors import NotFoundError, StoreError
from movierec.store.engine import Database
from movierec.store.promotions import note_move
from movierec.store.records import Move, VersionRecord, version_record, version_row
from movierec.store.tables import RunRow, VersionRow

__all__ = ["VersionStore"]

# `list` is a method below
Names: TypeAlias = list[str]
Versions: TypeAlias = list[VersionRecord]

REPAIRED = Move()
_PLAIN = tuple(column for column in inspect(VersionRow).columns if column.key != "metadata")


class VersionStore:
    """The kept models.

    Methods that take a name raise NotFoundError when there is no such version, or it is in the
    trash; all raise StoreError when the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> Versions:
        """Return every version, newest first."""
        query = _newest_first(_living())
        with self._database.reading() as session:
            return [_record(row) for row in session.scalars(query)]

    def summaries(self, facts: Sequence[str] = ("evaluation",)) -> Versions:
        """Return every version, newest first, its metadata cut down to some facts of its top level.

        Ten times as fast as `list`, since the database takes the metadata apart: 500 versions
        in some hundredths of a second.
        """
        cut = [VersionRow.facts[name].label(f"fact_{name}") for name in facts]
        query = _newest_first(select(*_PLAIN, *cut).where(*_IS_LIVING))
        with self._database.reading() as session:
            return [_summary({**row}, facts) for row in session.execute(query).mappings()]

    def trashed(self) -> Versions:
        """Return every version in the trash, the last deleted first; metadata left out."""
        query = select(*_PLAIN).where(*_IS_TRASHED)
        query = query.order_by(VersionRow.trashed_at.desc(), VersionRow.id.desc())
        with self._database.reading() as session:
            return [_summary({**row}, ()) for row in session.execute(query).mappings()]

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

    def add(self, record: VersionRecord) -> VersionRecord:
        """List a version, or put it into the trash if it has an end there.

        A run that this database does not know is left out.

        Raises:
            StoreError: the name is taken.

        """
        row = version_row(record)
        with self._database.writing(alone_in="versions") as session:
            _require_free(session, record.name)
            row.run_id = session.scalar(select(RunRow.id).where(RunRow.id == record.run_id))
            session.add(row)
            session.flush()
            return _record(row)

    def reserve(self, choose: Callable[[Sequence[str]], str]) -> str:
        """Reserve the name that `choose` makes of all names ever given, for this machine alone.

        The name counts as that of a deleted version until one is added under it.
        """
        now = datetime.now(UTC)
        with self._database.writing(alone_in="versions") as session:
            name = choose(list(session.scalars(select(VersionRow.name))))
            row = VersionRow(
                name=name, model="", preset="", dataset_name="", fingerprint="", split_label="",
                created_at=now, deleted_at=now, is_current=False, is_missing=False,
                size_bytes=0, parameters=0, facts={},
            )  # fmt: skip
            session.add(row)
        return name

    def delete(self, name: str) -> None:
        """Forget a version, in the trash or not, but not its name."""
        with self._database.writing() as session:
            row = _require(session, name, or_trashed=True)
            if row.is_current:
                note_move(session, name, None, REPAIRED)
            row.deleted_at, row.is_current = datetime.now(UTC), False
            row.trashed_at = row.trashed_until = None
            row.facts, row.tags, row.notes, row.origin = {}, [], "", {}

    def trash(self, name: str, until: datetime) -> None:
        """List a version no more; it keeps everything until it is restored or deleted.

        Raises:
            StoreError: it is the current one.

        """
        with self._database.writing() as session:
            row = _require(session, name, or_trashed=True, lock=True)
            if row.is_current:
                raise StoreError(
                    f"Version {name} is the current one.", hint="Make another one current first."
                )
            row.trashed_at, row.trashed_until = row.trashed_at or datetime.now(UTC), until

    def restore(self, name: str) -> None:
        """List a version again as it was before it went to the trash."""
        with self._database.writing() as session:
            row = _require(session, name, or_trashed=True)
            row.trashed_at = row.trashed_until = None

    def set_current(
        self, name: str | None, move: Move = REPAIRED, replaces: Sequence[str | None] = ()
    ) -> None:
        """Make a version the one in use, or none; the history gets a line in the same step.

        A move of this kind that was planned becomes that line. `replaces` names what may be in
        use now; empty: any.

        Raises:
            StoreError: something else is, as another machine moved it meanwhile.

        """
        with self._database.writing(alone_in="versions") as session:
            chosen = None if name is None else _require(session, name)
            before = session.scalar(select(VersionRow.name).where(VersionRow.is_current))
            if replaces and before not in replaces:
                raise StoreError(
                    f"Meanwhile {before or 'no version'} became current, on another machine.",
                    hint="Try again.",
                )
            # two statements, in this order: an index admits one current row at a time
            session.execute(update(VersionRow).values(is_current=False))
            if chosen is not None:
                query = update(VersionRow).where(VersionRow.id == chosen.id)
                session.execute(query.values(is_current=True))
            note_move(session, before, name, move)

    def set_missing(self, name: str, *, is_missing: bool) -> None:
        """Note whether a version's folder is there."""
        with self._database.writing() as session:
            _require(session, name, or_trashed=True).is_missing = is_missing

    def change_tags(self, name: str, change: Callable[[Sequence[str]], Sequence[str]]) -> None:
        """Replace a version's tags by what `change` makes of them; nobody writes in between."""
        with self._database.writing() as session:
            row = _require(session, name, lock=True)
            row.tags = [*change(tuple(row.tags))]

    def set_notes(self, name: str, notes: str) -> None:
        """Replace a version's notes."""
        with self._database.writing() as session:
            _require(session, name).notes = notes


_IS_LIVING = (VersionRow.deleted_at.is_(None), VersionRow.trashed_at.is_(None))
_IS_TRASHED = (VersionRow.deleted_at.is_(None), VersionRow.trashed_at.is_not(None))


def _living() -> Any:
    return select(VersionRow).where(*_IS_LIVING)


def _newest_first(query: Any) -> Any:
    return query.order_by(VersionRow.created_at.desc(), VersionRow.id.desc())


def _require(
    session: Session, name: str, *, or_trashed: bool = False, lock: bool = False
) -> VersionRow:
    """Return a version's row, where the database locks rows `lock`ed until the transaction ends."""
    query = select(VersionRow).where(VersionRow.name == name, VersionRow.deleted_at.is_(None))
    row: VersionRow | None = session.scalar(query.with_for_update() if lock else query)
    if row is not None and (or_trashed or row.trashed_at is None):
        return row
    if row is not None:
        hint = f"Bring it back first: `movierec versions restore {name}`."
        raise NotFoundError(f"Version {name} is in the trash.", hint=hint)
    names = [r.name for r in session.scalars(_living().order_by(VersionRow.id.desc()).limit(5))]
    hint = f"There is {', '.join(names)}." if names else "Train one: `movierec train`."
    raise NotFoundError(f"There is no version {name!r}.", hint=hint)


def _require_free(session: Session, name: str) -> None:
    row = session.scalar(select(VersionRow).where(VersionRow.name == name))
    if row is not None and row.deleted_at is None:
        where = "" if row.trashed_at is None else " in the trash"
        raise StoreError(f"There already is a version {name}{where}.", hint="Choose another name.")
    session.execute(delete(VersionRow).where(VersionRow.name == name))


def _record(row: VersionRow) -> VersionRecord:
    columns = {column.key: getattr(row, column.key) for column in _PLAIN}
    return version_record(columns, row.facts)


def _summary(columns: Mapping[str, Any], facts: Sequence[str]) -> VersionRecord:
    found = {name: columns[f"fact_{name}"] for name in facts}
    return version_record(columns, {name: fact for name, fact in found.items() if fact is not None})
