"""The store: one door to the database, whose tables are created or updated when it opens."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, inspect, text

from movierec.errors import StoreError
from movierec.settings import Settings
from movierec.store.costs import CostStore
from movierec.store.engine import Database
from movierec.store.feedback import FeedbackStore, ProfileStore, ServedStore
from movierec.store.promotions import PromotionStore
from movierec.store.queue import QueueStore
from movierec.store.runs import RunStore
from movierec.store.versions import VersionStore

if TYPE_CHECKING:
    from movierec.store.datasets import DatasetStore

__all__ = ["HEAD", "Store", "migrate", "open_store"]

HEAD = "0004"  # the newest revision in migrations/versions; a test keeps the two together
LOCK_SECONDS = 60.0


class Store:
    """Data sets, runs, versions, feedback and profiles of one database; a context manager."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._cache = settings.data_path / "cache"
        self.runs = RunStore(database, settings.runs_path)
        self.queue = QueueStore(database, self.runs)
        self.costs = CostStore(database)
        self.versions = VersionStore(database)
        self.promotions = PromotionStore(database)
        self.feedback = FeedbackStore(database)
        self.profiles = ProfileStore(database)
        self.served = ServedStore(database)

    @cached_property
    def datasets(self) -> DatasetStore:
        """The data sets; imported when asked for, since pandas costs more than all the rest."""
        from movierec.store.datasets import DatasetStore
        from movierec.store.snapshots import Snapshots

        return DatasetStore(self._database, Snapshots(self._cache))

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, for tools that look at the tables themselves."""
        return self._database.engine

    def close(self) -> None:
        """Close the connections; the store opens new ones if it is used again."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_store(settings: Settings) -> Store:
    """Open the database in force, with folders made and tables up to date.

    Raises:
        StoreError: it is unreadable, damaged, locked, newer than this code, or the disk is
            full; the hint says what to do.

    """
    folders = [settings.data_path, settings.models_path, settings.runs_path]
    if settings.database_path is not None:
        folders.append(settings.database_path.parent)
    for folder in folders:
        _make(folder)
    database = Database(settings.database)
    try:
        migrate(database, settings.data_path / ".database.lock")
    except BaseException:
        database.close()
        raise
    return Store(database, settings)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            hint="Check its permissions, or set MOVIEREC_DATA_DIR or MOVIEREC_HOME to another one.",
        ) from error


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
