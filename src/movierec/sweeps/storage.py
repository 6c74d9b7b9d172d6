"""The store of sweeps: one SQLite file, one process at a time per sweep."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.exceptions import DuplicatedStudyError, OptunaError
from optuna.storages import RDBStorage
from optuna.study import Study
from sqlalchemy import URL, event
from sqlalchemy.exc import SQLAlchemyError

from movierec.errors import NotFoundError, StoreError
from movierec.settings import Settings
from movierec.sweeps.records import Direction, TrialRecord
from movierec.sweeps.rows import count_trials, read_trials

__all__ = ["FACTS", "SweepStore"]

FACTS = "movierec"  # the study's attribute with the facts that Optuna does not have
BUSY_SECONDS = 15.0
LOCK_SECONDS = 2.0  # `is_worked_on` takes the lock for a moment
_ATTRIBUTES = """
SELECT studies.study_id, key, value_json FROM studies
JOIN study_user_attributes ON study_user_attributes.study_id = studies.study_id
WHERE study_name = ?
"""
_NAMES = """
SELECT study_name FROM studies WHERE EXISTS (
    SELECT 1 FROM study_user_attributes a WHERE a.study_id = studies.study_id AND key = ?
) ORDER BY study_id DESC
"""


class SweepStore:
    """The studies of a project.

    Optuna owns the tables and changes them with its own migrations, so they have a file of
    their own beside the project's database and never share one with it.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data_path / "sweeps"
        self.path = self._folder / "sweeps.db"

    def names(self) -> list[str]:
        """Return the names of all sweeps, the newest first."""
        with self._reading() as connection:
            if connection is None:
                return []
            return [name for (name,) in connection.execute(_NAMES, (FACTS,))]

    def facts(self, name: str) -> dict[str, Any]:
        """Return the facts of a sweep that Optuna does not have.

        Raises:
            NotFoundError: there is no sweep of this name.

        """
        facts: dict[str, Any] = self.read(name)[0][FACTS]
        return facts

    def read(self, name: str) -> tuple[Mapping[str, Any], list[TrialRecord]]:
        """Return a sweep's attributes, its facts among them, and its trials in order.

        Raises:
            NotFoundError: there is no sweep of this name.

        """
        is_worked_on = self.is_worked_on(name)
        with self._reading() as connection:
            study_id, attributes = _attributes(connection, name)
            if connection is None or study_id is None:
                raise _unknown(name)
            return attributes, read_trials(connection, study_id, is_worked_on=is_worked_on)

    def count_trials(self, name: str) -> int:
        """Return how many trials of a sweep came to an end; 0 where there is no such sweep."""
        with self._reading() as connection:
            study_id, _ = _attributes(connection, name)
            if connection is None or study_id is None:
                return 0
            return count_trials(connection, study_id)

    def create(self, name: str, direction: Direction, facts: dict[str, Any]) -> None:
        """Add a sweep with its facts.

        Raises:
            StoreError: there is one of this name, or the file cannot be written.

        """
        with self.opened() as storage:
            if name not in self.names():  # a study without facts: killed between the two writes
                _forget(storage, name)
            study = optuna.create_study(storage=storage, study_name=name, direction=direction)
            study.set_user_attr(FACTS, facts)

    @contextmanager
    def study(self, name: str, **parts: Any) -> Iterator[Study]:
        """Open a sweep; `parts` are its sampler and pruner.

        Raises:
            NotFoundError: there is no sweep of this name.

        """
        if name not in self.names():
            raise _unknown(name)
        with self.opened() as storage:
            yield optuna.load_study(study_name=name, storage=storage, **parts)

    def delete(self, name: str) -> None:
        """Forget a sweep and its trials.

        Raises:
            NotFoundError: there is no sweep of this name.
            StoreError: a process works on it.

        """
        with self.study(name), self.working_on(name), self.opened() as storage:
            _forget(storage, name)
        self._lock_file(name).unlink(missing_ok=True)

    @contextmanager
    def working_on(self, name: str, *, patience: float = LOCK_SECONDS) -> Iterator[None]:
        """Keep other processes from this sweep; the lock dies with its process.

        A trial that is marked as running although nobody holds the lock was left by a dead process.

        Raises:
            StoreError: another process works on it, or the folder cannot be written.

        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self._lock_file(name), timeout=patience)
            lock.acquire()
        except Timeout as error:
            raise StoreError(
                f"Another process works on the sweep {name}.",
                hint="Wait for it, end it, or use another --name.",
            ) from error
        except OSError as error:
            raise self._unusable(error) from error
        try:
            yield
        finally:
            lock.release()

    def is_worked_on(self, name: str) -> bool:
        """Return whether a process works on the sweep now."""
        if not self._lock_file(name).exists():
            return False
        try:
            with self.working_on(name, patience=0):
                return False
        except StoreError:
            return True

    @contextmanager
    def opened(self) -> Iterator[RDBStorage]:
        """Open the file, which is made if there is none.

        Raises:
            StoreError: it cannot be read or written.

        """
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # it writes into the progress bar
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            storage = _storage(self.path)
        except (OSError, OptunaError, SQLAlchemyError, RuntimeError) as error:
            raise self._unusable(error) from error
        try:
            yield storage
        except (SQLAlchemyError, OptunaError) as error:
            raise self._unusable(error) from error
        finally:
            storage.remove_session()
            storage.engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """Open the file for reading without Optuna; None while it has no sweeps."""
        if not self.path.exists():
            yield None
            return
        try:
            with closing(sqlite3.connect(self.path, BUSY_SECONDS)) as connection:
                connection.isolation_level = None
                connection.execute("BEGIN")  # one state of everything that is read
                found = "SELECT 1 FROM sqlite_master WHERE name = 'study_user_attributes'"
                yield connection if connection.execute(found).fetchone() else None
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _lock_file(self, name: str) -> Path:
        return self._folder / f"{name}.lock"

    def _unusable(self, error: Exception) -> StoreError:
        if isinstance(error, DuplicatedStudyError):
            return StoreError("There is a sweep of this name.", hint="Use another --name.")
        first = error.__cause__ or error
        lines = str(getattr(first, "orig", first)).strip().splitlines()
        cause = lines[0].rstrip(".") if lines else type(error).__name__
        return StoreError(
            f"The sweeps' file {self.path} cannot be used: {cause}.",
            hint="Check its permissions and the free space; a damaged file can be moved away, "
            "and the sweeps in it with it.",
        )


def _attributes(
    connection: sqlite3.Connection | None, name: str
) -> tuple[int | None, Mapping[str, Any]]:
    """Return the number of a study and its attributes; None for one without facts."""
    rows = [] if connection is None else connection.execute(_ATTRIBUTES, (name,)).fetchall()
    attributes = {key: json.loads(text) for _, key, text in rows}
    return (rows[0][0] if FACTS in attributes else None), attributes


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"There is no sweep {name!r}.", hint="`movierec sweeps list` shows them.")


def _forget(storage: RDBStorage, name: str) -> None:
    if name in {study.study_name for study in storage.get_all_studies()}:
        optuna.delete_study(study_name=name, storage=storage)


def _storage(path: Path) -> RDBStorage:
    url = URL.create("sqlite", database=str(path)).render_as_string()
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}})
    # a trial writes a row per epoch: waiting for the disk each time costs more than the epoch
    event.listen(storage.engine, "connect", _set_up)
    storage.engine.dispose()
    return storage


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()
