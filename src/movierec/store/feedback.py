"""Feedback on recommendations, the number of lists each version gave, and named profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from movierec.errors import NotFoundError, StoreError
from movierec.plain import plain_dict
from movierec.store.engine import Database
from movierec.store.records import (
    FeedbackRecord,
    ProfileRecord,
    ServedRecord,
    profile_record,
    served_record,
)
from movierec.store.tables import Base, FeedbackRow, ProfileRow, ServedRow

__all__ = ["FeedbackStore", "ProfileStore", "ServedStore"]

# `list` is a method below
Thumbs: TypeAlias = list[FeedbackRecord]
Served: TypeAlias = list[ServedRecord]
Profiles: TypeAlias = list[ProfileRecord]

_PAIR = ("fingerprint", "user_id", "movie_id")
_COLUMNS = [getattr(FeedbackRow, each.name) for each in fields(FeedbackRecord)]

LONGEST = 80  # characters of a profile's name
_PROFILE_KEY = ("fingerprint", "name")


class FeedbackStore:
    """Thumbs; the last one of a user on a movie of a data set counts.

    They outlive the version they were given to: its name stays. Every method raises StoreError
    when the database cannot be read or written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        *,
        version: str,
        dataset: str,
        user_id: str,
        movie_id: str,
        is_liked: bool,
        rank: int | None = None,
        source: str = "page",
        at: datetime | None = None,
    ) -> FeedbackRecord:
        """Keep a thumb in place of any earlier one; `dataset` is a fingerprint."""
        values = {
            "version": version, "fingerprint": dataset, "user_id": user_id, "movie_id": movie_id,
            "is_liked": is_liked, "rank": rank, "source": source, "at": at or datetime.now(UTC),
        }  # fmt: skip
        changed = [name for name in values if name not in _PAIR]
        with self._database.writing() as session:
            statement = _upsert(session.get_bind().dialect.name, FeedbackRow).values(**values)
            new = {name: statement.excluded[name] for name in changed}
            session.execute(statement.on_conflict_do_update(index_elements=_PAIR, set_=new))
            query = select(*_COLUMNS).where(*_of(dataset, user_id, movie_id))
            return FeedbackRecord(*session.execute(query).one())

    def remove(self, dataset: str, user_id: str, movie_id: str) -> None:
        """Take a thumb back; nothing happens where there is none."""
        with self._database.writing() as session:
            session.execute(delete(FeedbackRow).where(*_of(dataset, user_id, movie_id)))

    def of_user(self, dataset: str, user_id: str) -> Thumbs:
        """Return a user's thumbs, newest first."""
        return self._select(FeedbackRow.fingerprint == dataset, FeedbackRow.user_id == user_id)

    def list(self, dataset: str | None = None, versions: Sequence[str] | None = None) -> Thumbs:
        """Return thumbs, newest first: of a data set, of some versions, or all."""
        wanted = []
        if dataset is not None:
            wanted.append(FeedbackRow.fingerprint == dataset)
        if versions is not None:
            wanted.append(FeedbackRow.version.in_(versions))
        return self._select(*wanted)

    def count(self, dataset: str) -> int:
        """Return the number of thumbs of a data set."""
        query = select(func.count()).where(FeedbackRow.fingerprint == dataset)
        with self._database.reading() as session:
            return session.scalar(query) or 0

    def _select(self, *wanted: Any) -> Thumbs:
        # columns, not objects: with 100,000 thumbs it takes a third of the time
        query = select(*_COLUMNS).where(*wanted).order_by(FeedbackRow.at.desc(), FeedbackRow.id)
        with self._database.reading() as session:
            return [FeedbackRecord(*row) for row in session.execute(query)]


class ServedStore:
    """Number of lists each version gave, by day and source; StoreError as above."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, counts: Mapping[tuple[str, str], int], day: date | None = None) -> None:
        """Add numbers of lists by version and source to a day, today (UTC) if none is given."""
        rows = [
            {"day": day or datetime.now(UTC).date(), "version": v, "source": s, "lists": n}
            for (v, s), n in sorted(counts.items())
            if n
        ]
        if not rows:
            return
        with self._database.writing() as session:
            statement = _upsert(session.get_bind().dialect.name, ServedRow).values(rows)
            total = {"lists": ServedRow.lists + statement.excluded.lists}
            key = ("day", "version", "source")
            session.execute(statement.on_conflict_do_update(index_elements=key, set_=total))

    def by_day(self, versions: Sequence[str] | None = None) -> Served:
        """Return the counts of some versions, or of all, the oldest day first."""
        query = select(ServedRow).order_by(ServedRow.day, ServedRow.version, ServedRow.source)
        if versions is not None:
            query = query.where(ServedRow.version.in_(versions))
        with self._database.reading() as session:
            return [served_record(row) for row in session.scalars(query)]


class ProfileStore:
    """Named profiles of new users, for each data set by its fingerprint.

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
        """Keep a profile, in place of one of the same name.

        Raises:
            StoreError: the name is empty, too long or not printable.

        """
        now, name = datetime.now(UTC), _profile_name(name)
        values = {
            "name": name, "fingerprint": fingerprint, "ratings": plain_dict(ratings),
            "features": plain_dict(features or {}), "created_at": now, "changed_at": now,
        }  # fmt: skip
        with self._database.writing() as session:
            statement = _upsert(session.get_bind().dialect.name, ProfileRow).values(**values)
            new = {n: statement.excluded[n] for n in ("ratings", "features", "changed_at")}
            session.execute(statement.on_conflict_do_update(index_elements=_PROFILE_KEY, set_=new))
        return self.get(name, fingerprint)

    def list(self, fingerprint: str) -> Profiles:
        """Return a data set's profiles, ordered by name."""
        query = select(ProfileRow).where(ProfileRow.fingerprint == fingerprint)
        with self._database.reading() as session:
            return [profile_record(row) for row in session.scalars(query.order_by(ProfileRow.name))]

    def get(self, name: str, fingerprint: str) -> ProfileRecord:
        """Return a profile; NotFoundError where there is none."""
        found = [each for each in self.list(fingerprint) if each.name == name]
        if not found:
            raise NotFoundError(
                f"There is no profile {name[:LONGEST]!r} for this data set.",
                hint="`movierec profiles list` shows those there are.",
            )
        return found[0]

    def delete(self, name: str, fingerprint: str) -> None:
        """Delete a profile; NotFoundError where there is none."""
        record = self.get(name, fingerprint)
        with self._database.writing() as session:
            session.execute(delete(ProfileRow).where(ProfileRow.id == record.id))


def _upsert(dialect: str, kind: type[Base]) -> Any:
    """Return an insert that may say what to do where the key is taken.

    Raises:
        StoreError: the database is neither SQLite nor PostgreSQL.

    """
    makers: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    if dialect not in makers:
        raise StoreError(
            f"Feedback cannot be kept in a database of the kind {dialect}.",
            hint="Use SQLite or PostgreSQL.",
        )
    return makers[dialect](kind)


def _of(dataset: str, user_id: str, movie_id: str) -> tuple[Any, ...]:
    return (
        FeedbackRow.fingerprint == dataset,
        FeedbackRow.user_id == user_id,
        FeedbackRow.movie_id == movie_id,
    )


def _profile_name(name: str) -> str:
    trimmed = " ".join(name.split())
    if not trimmed or len(trimmed) > LONGEST or not trimmed.isprintable():
        raise StoreError(
            f"{name[:LONGEST]!r} is no name for a profile.",
            hint=f"Use 1 to {LONGEST} printable characters.",
        )
    return trimmed
