"""The engine: a database set up for several processes and machines at once.

Errors of its driver become a StoreError that says what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from movierec.errors import StoreError

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

_HELD = "Another program holds it for long; end that program or try again."
_FOREIGN = "It holds another program's tables: set MOVIEREC_DATABASE_URL to another database."
_OTHERWISE = "`movierec doctor` shows which database is in use."

_OF_A_FILE: Mapping[str, str] = MappingProxyType(
    {
        "locked": _HELD,
        "busy": _HELD,
        "full": "The disk is full: free some space and try again. Nothing was changed.",
        "readonly": (
            "You may not write to it: check the owner and permissions of the file and folder."
        ),
        "unable to open": "Check that the folder exists and that you may read and write in it.",
        "not a database": (
            "The file is something else: move it away, or set MOVIEREC_DATABASE_URL to another one."
        ),
        "malformed": "The file is damaged: restore a backup, or move it away and import again.",
        "disk i/o": "The disk reports an error or is full: check it, then try again.",
        "already exists": _FOREIGN,
        "no such table": (
            "Tables are gone: restore a backup, or move the file away and import again."
        ),
    }
)

_LOGIN = "Correct user and password in MOVIEREC_DATABASE_URL (or in PGPASSWORD or ~/.pgpass)."
_ADDRESS = "Check that the server runs, and its host and port in MOVIEREC_DATABASE_URL."
_RESTARTED = "The server was stopped or restarted: try again when it is back."
_STANDBY = "It only answers questions: name the server that may be written."
_ROOM = "The server has no connection left: end other programs, or raise its max_connections."

_OF_A_SERVER: Mapping[str, str] = MappingProxyType(
    {
        "password authentication failed": _LOGIN,
        "no password supplied": _LOGIN,
        "pg_hba.conf": "The server admits no such connection: its pg_hba.conf has to name it.",
        "is not permitted to log in": _LOGIN,
        "role ": _LOGIN,
        "permission denied": (
            "The user may not do this there: let it own the database "
            "(ALTER DATABASE … OWNER TO …), or name another user in MOVIEREC_DATABASE_URL."
        ),
        "must be owner": "Use the user that made the tables, or another database.",
        "too many": _ROOM,
        "connection slots": _ROOM,
        "starting up": _RESTARTED,
        "shutting down": _RESTARTED,
        "terminating connection": _RESTARTED,
        "closed the connection": _RESTARTED,
        "connection is lost": _RESTARTED,
        "lock timeout": _HELD,
        "deadlock": "Two programs waited for each other: try again.",
        "no space left": "The server's disk is full: free some space there. Nothing was changed.",
        "nul (0x00)": "A text has a NUL character, which PostgreSQL cannot keep: remove it there.",
        "out of range": "A number is larger than the database can keep: use a smaller one.",
        "during recovery": _STANDBY,
        "read-only transaction": _STANDBY,
        "already exists": _FOREIGN,
        "database ": "Make it (createdb NAME), or correct its name in MOVIEREC_DATABASE_URL.",
        "relation ": "Tables are gone: restore a backup, or use an empty database.",
        "connection": _ADDRESS,
        "resolve host": _ADDRESS,
        "translate host name": _ADDRESS,
    }
)


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


def store_error(error: Exception, where: str) -> StoreError:
    """Translate a driver's or SQLAlchemy's exception; `where` names the database."""
    cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    first = cause.splitlines()[0] if cause else type(error).__name__
    hints = _OF_A_FILE if where.startswith("sqlite") else _OF_A_SERVER
    hint = next((h for key, h in hints.items() if key in cause.lower()), _OTHERWISE)
    return StoreError(f"The database {where} cannot be used: {first.rstrip('.')}.", hint=hint)
