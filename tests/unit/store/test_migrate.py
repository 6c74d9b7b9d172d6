"""Databases of earlier revisions, on both kinds: they keep everything when they are brought up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import JSON, column, insert, table

from movierec.store import open_store
from movierec.store.engine import Database
from movierec.store.records import Move
from movierec.store.store import HEAD
from movierec.store.tables import UtcDateTime

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VERSIONS = table(  # as the second revision has it
    "versions",
    *map(column, ("name", "model", "preset", "dataset_name", "fingerprint", "split_label")),
    *map(column, ("is_current", "is_missing", "size_bytes", "parameters")),
    column("created_at", UtcDateTime),
    column("deleted_at", UtcDateTime),
    column("metadata", JSON),
)


@pytest.fixture
def settings(settings, database_url):
    return settings.model_copy(update={"database_url": database_url})


def to(settings, revision: str) -> None:
    """Bring the tables to a revision, up or down."""
    settings.data_path.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    with database.connection() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "movierec.store:migrations")
        now = MigrationContext.configure(connection).get_current_revision() or ""
        (command.downgrade if now > revision else command.upgrade)(config, revision)
    database.close()


def old_version(settings, name: str, *, current: bool = False, deleted: bool = False) -> None:
    row = {
        "name": name, "model": "sage", "preset": "report", "dataset_name": "ml",
        "fingerprint": "f", "split_label": "u1", "created_at": WHEN, "is_current": current,
        "is_missing": False, "deleted_at": WHEN if deleted else None, "size_bytes": 7,
        "parameters": 8, "metadata": {"evaluation": {"rmse": 0.9}},
    }  # fmt: skip
    database = Database(settings.database)
    with database.connection() as connection:
        connection.execute(insert(VERSIONS), row)
    database.close()


def test_versions_of_the_second_revision_are_kept(settings):
    to(settings, "0002")
    old_version(settings, "v1.0.0", current=True)
    old_version(settings, "v1.1.0")
    old_version(settings, "v1.2.0", deleted=True)
    with open_store(settings) as store:
        records = store.versions.list()
        assert [record.name for record in records] == ["v1.1.0", "v1.0.0"]
        assert {record.metadata.evaluation.rmse for record in records} == {0.9}
        assert {(r.tags, r.notes, tuple(r.origin), r.trashed_at) for r in records} == {
            ((), "", (), None)
        }
        assert store.versions.current() == records[1]
        assert store.versions.trashed() == []
        assert set(store.versions.names_ever()) == {"v1.0.0", "v1.1.0", "v1.2.0"}
        assert store.promotions.list() == []
        store.versions.set_current("v1.1.0", Move("promoted", who="ada"))
        (move,) = store.promotions.list()
        assert (move.version, move.previous, move.who) == ("v1.1.0", "v1.0.0", "ada")


def test_down_and_up_again_keeps_the_versions(settings):
    to(settings, "0002")
    old_version(settings, "v1.0.0", current=True)
    old_version(settings, "v1.1.0")
    to(settings, HEAD)
    with open_store(settings) as store:
        store.versions.change_tags("v1.0.0", lambda _: ["good"])
        store.versions.trash("v1.1.0", until=WHEN)
    to(settings, "0002")
    to(settings, HEAD)
    with open_store(settings) as store:
        (record,) = store.versions.list()
        assert (record.name, record.is_current, record.tags) == ("v1.0.0", True, ())
        assert store.versions.trashed() == []
        assert "v1.1.0" in store.versions.names_ever()  # an older movierec does not list it
