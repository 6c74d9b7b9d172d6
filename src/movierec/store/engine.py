"""The engine: a database set up for several processes and machines at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from movierec.errors import StoreError
from movierec.store.failures import store_error

__all__ = ["Database", "shown_url", "store_error"]

BUSY_SECONDS = 15.0  # how long a writer waits for another one; an import holds it for seconds
LOG_LIMIT = 64 << 20  # bytes; a large import's log would stay as long as the database itself
_BEGIN = "movierec_begin"
_MIGRATING = 0x6D6F76696572  # "movier": a lock of the server that no other program asks for

# A server that does not answer, or a network that was pulled, must not hold anybody for minutes.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": int(1000 * BUSY_SECONDS),
    "application_name": "movierec",
}


class Database:
    """One engine and its two kinds of transactions.

    Raises:
        StoreError: the URL is malformed or its driver is not installed.

    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.where = shown_url(self.engine.url)
        driver = self.engine.dialect.loaded_dbapi
        self._errors = (SQLAlchemyError, driver.Error) if driver else (SQLAlchemyError,)
        self._on_postgres = self.engine.dialect.name == "postgresql"
        self._writer = self.engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        self._reader = self.engine
        if self._on_postgres:
            self._reader = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn every error of SQLAlchemy and its driver inside the block into a StoreError."""
        try:
            yield
        except self._errors as error:
            raise store_error(error, self.where) from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that sees one state of the database and changes nothing."""
        with self.translated(), Session(self._reader) as session:
            yield session

    @contextmanager
    def writing(self, alone_in: str = "") -> Iterator[Session]:
        """Open a session that is committed at the end of the block, or leaves no trace.

        On SQLite it takes the write lock at its first statement: a transaction that reads
        first and writes later fails at once when another process wrote in between. On a server
        others write meanwhile, but not to the table `alone_in`: what is not there when it is
        looked up is still not there when it is added.
        """
        with self.translated(), Session(self._writer) as session, session.begin():
            if alone_in and self._on_postgres:
                session.execute(text(f"LOCK TABLE {alone_in} IN SHARE ROW EXCLUSIVE MODE"))
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Open a writing connection, for migrations; of several machines one goes first."""
        with self.translated(), self._writer.begin() as connection:
            if self._on_postgres:
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
            yield connection

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def shown_url(url: URL | str) -> str:
    """Return a database URL without its password."""
    parts = make_url(url)
    secrets = [name for name in parts.query if "password" in name.lower()]
    return parts.difference_update_query(secrets).render_as_string(hide_password=True)


def _engine(url: str) -> Engine:
    try:
        engine = _created(url)
    except (ArgumentError, NoSuchModuleError, ValueError):
        # the cause may quote the URL, and with it a password
        raise StoreError(
            "MOVIEREC_DATABASE_URL is not a database URL that can be used.",
            hint="It looks like sqlite:////folder/file.db or postgresql+psycopg://user@host/name.",
        ) from None
    except ImportError as error:
        raise _driver_missing(error) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.driver == "psycopg":
        event.listen(engine, "connect", _set_up_psycopg)
    return engine


def _created(url: str) -> Engine:
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return create_engine(parts)
    patience = {k: v for k, v in _PATIENCE.items() if k not in parts.query}
    arguments = patience if parts.get_dialect().driver == "psycopg" else {}
    # a connection that a restarted server has forgotten is noticed before it is used
    return create_engine(parts, connect_args=arguments, pool_pre_ping=True)


def _driver_missing(error: ImportError) -> StoreError:
    name = error.name or "of MOVIEREC_DATABASE_URL"
    ours = name.partition(".")[0] == "psycopg"
    return StoreError(
        f"The database's driver {name} is not installed.",
        hint="Install it: `make postgres`." if ours else f"Install it: pip install {name}.",
    )


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # sqlite3's own transaction control commits before DDL and begins late; we begin ourselves
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={int(1000 * BUSY_SECONDS)}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"journal_size_limit={LOG_LIMIT}",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _set_up_psycopg(connection: Any, _record: object) -> None:
    # outside a transaction: a rollback would take the setting back
    connection.autocommit = True
    connection.execute(f"SET lock_timeout = {int(1000 * BUSY_SECONDS)}").close()
    connection.autocommit = False
