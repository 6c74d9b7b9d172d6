"""The engine: SQLite set up for several processes at once, and its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from movierec.errors import StoreError

__all__ = ["Database", "store_error"]

BUSY_SECONDS = 15.0  # how long a writer waits for another one; an import holds it for seconds
_BEGIN = "movierec_begin"

_HINTS = {
    "locked": "Another program holds it for long; end that program or try again.",
    "busy": "Another program holds it for long; end that program or try again.",
    "full": "The disk is full: free some space and try again. Nothing was changed.",
    "readonly": "You may not write to it: check the owner and permissions of the file and folder.",
    "unable to open": "Check that the folder exists and that you may read and write in it.",
    "not a database": (
        "The file is something else: move it away, or set MOVIEREC_DATABASE_URL to another one."
    ),
    "malformed": "The file is damaged: restore a backup, or move it away and import again.",
    "disk i/o": "The disk reports an error or is full: check it, then try again.",
    "already exists": (
        "It holds another program's tables: set MOVIEREC_DATABASE_URL to another database."
    ),
    "no such table": "Tables are gone: restore a backup, or move the file away and import again.",
}
_OTHERWISE = "`movierec doctor` shows which database is in use."


def store_error(error: Exception, where: str) -> StoreError:
    """Translate a driver's or SQLAlchemy's exception; `where` names the database."""
    cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    first = cause.splitlines()[0] if cause else type(error).__name__
    hint = next((h for key, h in _HINTS.items() if key in cause.lower()), _OTHERWISE)
    return StoreError(f"The database {where} cannot be used: {first}.", hint=hint)


class Database:
    """One engine and its two kinds of transactions.

    Raises:
        StoreError: the URL is malformed or its driver is not installed.

    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.where = self.engine.url.render_as_string(hide_password=True)
        self._writer = self.engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn every SQLAlchemy error inside the block into a StoreError."""
        try:
            yield
        except SQLAlchemyError as error:
            raise store_error(error, self.where) from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that sees one state of the database and changes nothing."""
        with self.translated(), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a session that is committed at the end of the block, or leaves no trace.

        On SQLite it takes the write lock at its first statement: a transaction that reads
        first and writes later fails at once when another process wrote in between.
        """
        with self.translated(), Session(self._writer) as session, session.begin():
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Open a writing connection, for migrations."""
        with self.translated(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(
            "MOVIEREC_DATABASE_URL is not a database URL that can be used.",
            hint="It looks like sqlite:////folder/file.db or postgresql+psycopg://user@host/name.",
        ) from error
    except ModuleNotFoundError as error:
        raise StoreError(
            f"The database's driver {error.name} is not installed.",
            hint=f"Install it: pip install {error.name}.",
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # sqlite3's own transaction control commits before DDL and begins late; we begin ourselves
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={int(1000 * BUSY_SECONDS)}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))
