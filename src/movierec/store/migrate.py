"""Bringing a database to the tables of this code."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, inspect, text

from movierec.errors import StoreError
from movierec.store.engine import Database

__all__ = ["HEAD", "migrate"]

HEAD = "0004"  # the newest revision in migrations/versions; a test keeps the two together
LOCK_SECONDS = 60.0


def migrate(database: Database, lock: Path) -> None:
    """Create or update the tables, one process at a time.

    Alembic is imported only when there is something to do: it costs more than the rest of
    the start.

    Raises:
        StoreError: the database is newer than the code, or cannot be read or written.

    """
    try:
        with FileLock(lock, timeout=LOCK_SECONDS):
            if not _is_up_to_date(database):
                _upgrade(database)
    except Timeout as error:
        raise StoreError(
            "Another movierec is still preparing the database.",
            hint="Wait for it, or end it, and try again.",
        ) from error
    except OSError as error:
        raise StoreError(
            f"{lock.parent} cannot be written: {error.strerror}.",
            hint="Check its permissions and the free space, or set MOVIEREC_DATA_DIR.",
        ) from error


def _is_up_to_date(database: Database) -> bool:
    """Look without the write lock, which an import in another process may hold for seconds.

    Revisions are numbered, so that a database of the future is told from one of the past.
    """
    with database.reading() as session:
        revision = _revision(session.connection())
    if revision is not None and revision > HEAD:
        raise StoreError(
            f"The database {database.where} was written by a newer movierec "
            f"(revision {revision}; this one knows {HEAD}).",
            hint="Update movierec, or set MOVIEREC_DATABASE_URL to another database.",
        )
    return revision == HEAD


def _upgrade(database: Database) -> None:
    from alembic import command
    from alembic.config import Config

    with database.connection() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "movierec.store:migrations")
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
