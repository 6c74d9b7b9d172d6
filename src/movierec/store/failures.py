"""A driver's errors in our words: what is wrong with the database and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy.exc import DBAPIError

from movierec.errors import StoreError

__all__ = ["store_error"]

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


def store_error(error: Exception, where: str) -> StoreError:
    """Translate a driver's or SQLAlchemy's exception; `where` names the database."""
    cause = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    first = cause.splitlines()[0] if cause else type(error).__name__
    hints = _OF_A_FILE if where.startswith("sqlite") else _OF_A_SERVER
    hint = next((h for key, h in hints.items() if key in cause.lower()), _OTHERWISE)
    return StoreError(f"The database {where} cannot be used: {first.rstrip('.')}.", hint=hint)
