"""Newcomers kept under a name: their ratings and what is known beside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import delete, select

from movierec.errors import NotFoundError, StoreError
from movierec.plain import plain_dict
from movierec.store.engine import Database
from movierec.store.feedback import upsert
from movierec.store.records import ProfileRecord
from movierec.store.tables import ProfileRow

__all__ = ["ProfileStore"]

LONGEST = 80  # characters of a name
Profiles: TypeAlias = list[ProfileRecord]
_KEY = ("fingerprint", "name")


class ProfileStore:
    """Named newcomers of each data set, by its fingerprint.

    They stay when the data set is deleted, and are there again when it comes back. Every method
    raises StoreError when the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(
        self,
        name: str,
        fingerprint: str,
        ratings: Mapping[str, float],
        features: Mapping[str, Any] | None = None,
    ) -> ProfileRecord:
        """Keep a newcomer, in place of one of the same name.

        Raises:
            StoreError: the name is empty, too long or not printable.

        """
        now, name = datetime.now(UTC), _checked(name)
        values = {
            "name": name, "fingerprint": fingerprint, "ratings": plain_dict(ratings),
            "features": plain_dict(features or {}), "created_at": now, "changed_at": now,
        }  # fmt: skip
        with self._database.writing() as session:
            statement = upsert(session.get_bind().dialect.name, ProfileRow).values(**values)
            new = {n: statement.excluded[n] for n in ("ratings", "features", "changed_at")}
            session.execute(statement.on_conflict_do_update(index_elements=_KEY, set_=new))
        return self.get(name, fingerprint)

    def list(self, fingerprint: str) -> Profiles:
        """Return a data set's named newcomers by name."""
        query = select(ProfileRow).where(ProfileRow.fingerprint == fingerprint)
        with self._database.reading() as session:
            return [_record(row) for row in session.scalars(query.order_by(ProfileRow.name))]

    def get(self, name: str, fingerprint: str) -> ProfileRecord:
        """Return a named newcomer; NotFoundError where there is none."""
        found = [each for each in self.list(fingerprint) if each.name == name]
        if not found:
            raise NotFoundError(
                f"There is no profile {name[:LONGEST]!r} for this data set.",
                hint="`movierec profiles list` shows those there are.",
            )
        return found[0]

    def delete(self, name: str, fingerprint: str) -> None:
        """Forget a named newcomer; NotFoundError where there is none."""
        record = self.get(name, fingerprint)
        with self._database.writing() as session:
            session.execute(delete(ProfileRow).where(ProfileRow.id == record.id))


def _checked(name: str) -> str:
    trimmed = " ".join(name.split())
    if not trimmed or len(trimmed) > LONGEST or not trimmed.isprintable():
        raise StoreError(
            f"{name[:LONGEST]!r} is no name for a profile.",
            hint=f"Use 1 to {LONGEST} printable characters.",
        )
    return trimmed


def _record(row: ProfileRow) -> ProfileRecord:
    return ProfileRecord(
        id=row.id,
        name=row.name,
        fingerprint=row.fingerprint,
        ratings=row.ratings,
        features=row.features,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
