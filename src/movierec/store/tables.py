"""The tables. Row classes stay inside the store; records go out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

__all__ = [
    "Base",
    "DatasetRow",
    "EpochRow",
    "FeedbackRow",
    "MovieRow",
    "ProfileRow",
    "PromotionRow",
    "RatingRow",
    "RunRow",
    "ServedRow",
    "UserRow",
    "UtcDateTime",
    "VersionRow",
    "WorkerRow",
]

# Without this, SQLite adds a hidden integer key and a second tree to each table.
KEY_IS_ROW = {"sqlite_with_rowid": False}


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in, aware UTC datetimes out, also where the database drops the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert to UTC; a naive value raises ValueError."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Attach UTC to what SQLite returns without a zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Collects the tables; names every constraint so that migrations can refer to it."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a class attribute
        str: Text,
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
    }


Base.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class DatasetRow(Base):
    """One imported data set. `user_columns` and `movie_columns` are those its source had."""

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    source: Mapped[str]
    imported_at: Mapped[datetime]
    n_users: Mapped[int]
    n_movies: Mapped[int]
    n_ratings: Mapped[int]
    rating_low: Mapped[float]
    rating_high: Mapped[float]
    rating_step: Mapped[float]
    has_timestamps: Mapped[bool]
    user_columns: Mapped[list[str]]
    movie_columns: Mapped[list[str]]
    report: Mapped[dict[str, Any]]


def _dataset_key() -> Mapped[int]:
    return mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)


class UserRow(Base):
    """One user of a data set, by index."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("dataset_id", "user_id"), KEY_IS_ROW)

    dataset_id: Mapped[int] = _dataset_key()
    user_index: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    age: Mapped[float | None]
    gender: Mapped[str | None]
    occupation: Mapped[str | None]
    zip_code: Mapped[str | None]


class MovieRow(Base):
    """One movie of a data set, by index."""

    __tablename__ = "movies"
    __table_args__ = (UniqueConstraint("dataset_id", "movie_id"), KEY_IS_ROW)

    dataset_id: Mapped[int] = _dataset_key()
    movie_index: Mapped[int] = mapped_column(primary_key=True)
    movie_id: Mapped[str]
    title: Mapped[str | None]
    year: Mapped[float | None]
    genres: Mapped[str | None]


class RatingRow(Base):
    """One rating; `position` is its place in the source, without which u1…u5 are lost.

    The indices have no foreign keys of their own: deleting a data set would otherwise look
    for each user among all ratings, or need two more indexes.
    """

    __tablename__ = "ratings"
    __table_args__ = KEY_IS_ROW

    dataset_id: Mapped[int] = _dataset_key()
    position: Mapped[int] = mapped_column(primary_key=True)
    user_index: Mapped[int]
    movie_index: Mapped[int]
    rating: Mapped[float]
    timestamp: Mapped[int | None] = mapped_column(BigInteger)


class RunRow(Base):
    """One piece of work and the process that does it."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    preset: Mapped[str]
    dataset_name: Mapped[str]
    request: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    host: Mapped[str]
    pid: Mapped[int | None]
    pid_started_at: Mapped[float | None]
    progress: Mapped[float]
    stage: Mapped[str]
    error: Mapped[str]
    traceback: Mapped[str]
    version: Mapped[str | None]
    cancel_requested: Mapped[bool]
    cancel_requested_at: Mapped[datetime | None]
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    place: Mapped[float] = mapped_column(default=0.0, server_default="0")
    parent_id: Mapped[int | None]
    claimed_by: Mapped[int | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")


class EpochRow(Base):
    """One finished epoch; NULL where a number was not measured (SQLite has no NaN)."""

    __tablename__ = "run_epochs"
    __table_args__ = KEY_IS_ROW

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    train_loss: Mapped[float | None]
    val_loss: Mapped[float | None]
    val_rmse: Mapped[float | None]
    val_ndcg_10: Mapped[float | None]
    seconds: Mapped[float | None]
    is_best: Mapped[bool]
    memory_mb: Mapped[float | None]


class WorkerRow(Base):
    """One process that takes runs from the queue."""

    __tablename__ = "workers"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - runs remember a number

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    pid_started_at: Mapped[float]
    slots: Mapped[int]
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]


class VersionRow(Base):
    """One version. A deleted one keeps its name here, so that the name is not given again.

    One in the trash has `trashed_at` and keeps everything.
    """

    __tablename__ = "versions"
    __table_args__ = (
        Index(
            "ix_versions_one_current",
            "is_current",
            unique=True,
            sqlite_where=text("is_current"),
            postgresql_where=text("is_current"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    model: Mapped[str]
    preset: Mapped[str]
    dataset_name: Mapped[str]
    fingerprint: Mapped[str]
    split_label: Mapped[str]
    created_at: Mapped[datetime]
    is_current: Mapped[bool]
    is_missing: Mapped[bool]
    deleted_at: Mapped[datetime | None]
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    parameters: Mapped[int] = mapped_column(BigInteger)
    facts: Mapped[dict[str, Any]] = mapped_column("metadata")
    tags: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    notes: Mapped[str] = mapped_column(default="", server_default="")
    origin: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    trashed_at: Mapped[datetime | None]
    trashed_until: Mapped[datetime | None]


class PromotionRow(Base):
    """One move of `current`, written before the alias moves and `is_done` once it has."""

    __tablename__ = "promotions"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - a history

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    version: Mapped[str | None]
    previous: Mapped[str | None]
    who: Mapped[str]
    how: Mapped[str]
    reason: Mapped[str]
    checks: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    is_done: Mapped[bool]


class FeedbackRow(Base):
    """One thumb; the last one of a user on a movie counts."""

    __tablename__ = "feedback"
    __table_args__ = (UniqueConstraint("fingerprint", "user_id", "movie_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    version: Mapped[str] = mapped_column(index=True)
    fingerprint: Mapped[str]
    user_id: Mapped[str]
    movie_id: Mapped[str]
    is_liked: Mapped[bool]
    rank: Mapped[int | None]
    source: Mapped[str]


class ProfileRow(Base):
    """A named profile of a new user; `ratings` are stars by movie id."""

    __tablename__ = "profiles"
    __table_args__ = (UniqueConstraint("fingerprint", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    fingerprint: Mapped[str]
    ratings: Mapped[dict[str, Any]]
    features: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class ServedRow(Base):
    """Number of lists that a version gave on a day (UTC), through the pages or the API."""

    __tablename__ = "served"

    day: Mapped[date] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    lists: Mapped[int] = mapped_column(BigInteger)
