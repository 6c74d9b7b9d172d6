"""Opening the database: made, kept up to date, refused with a reason."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, text

from movierec.errors import StoreError
from movierec.settings import Settings
from movierec.store import engine, open_store
from movierec.store.store import HEAD
from movierec.store.tables import Base


def database(settings: Settings) -> Path:
    assert settings.database_path is not None
    settings.database_path.parent.mkdir(parents=True, exist_ok=True)
    return settings.database_path


def test_folders_and_tables_are_made_and_kept(settings):
    with open_store(settings) as store:
        run = store.runs.add("train", request={})
    with open_store(settings) as store:
        assert store.runs.get(run.id).created_at == run.created_at
    assert settings.models_path.is_dir()
    assert settings.runs_path.is_dir()


def test_migrations_give_the_tables_of_the_code(settings):
    with open_store(settings) as store, store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_ratings_have_no_hidden_key(settings):
    with open_store(settings) as store, store.engine.connect() as connection:
        query = "SELECT sql FROM sqlite_master WHERE name = 'ratings'"
        assert "WITHOUT ROWID" in str(connection.scalar(text(query)))


def test_the_newest_revision_is_the_one_the_code_knows():
    config = Config()
    config.set_main_option("script_location", "movierec.store:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_connections_are_set_up_for_several_processes(settings):
    with open_store(settings) as store, store.engine.connect() as connection:
        values = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in (
                "journal_mode", "foreign_keys", "synchronous", "busy_timeout", "journal_size_limit",
            )
        }  # fmt: skip
    assert values == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 1,
        "busy_timeout": 15_000,
        "journal_size_limit": 64 << 20,
    }


def test_a_newer_database_is_left_alone(settings):
    with open_store(settings) as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(StoreError, match=r"newer movierec.*Update movierec"):
        open_store(settings)


def test_another_programs_tables_are_left_alone(settings):
    with sqlite3.connect(database(settings)) as other:
        other.execute("CREATE TABLE users (name TEXT)")
    with pytest.raises(StoreError, match=r"already exists.*another program's tables"):
        open_store(settings)
    with sqlite3.connect(database(settings)) as other:
        names = [row[0] for row in other.execute("SELECT name FROM sqlite_master")]
    assert names == ["users"]  # the migration left no trace


@pytest.mark.parametrize("content", [b"not a database" * 200, b"PK\x03\x04" + bytes(4096)])
def test_a_file_that_is_no_database(settings, content):
    database(settings).write_bytes(content)
    with pytest.raises(StoreError, match=r"not a database.*move it away"):
        open_store(settings)
    assert database(settings).read_bytes() == content


def test_a_damaged_database(settings):
    with open_store(settings) as store:
        store.runs.add("train", request={"x": "y" * 50_000})
    whole = database(settings).read_bytes()
    database(settings).write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError) as caught, open_store(settings) as store:
        store.runs.list()
    assert "malformed" in caught.value.message
    assert "restore a backup" in caught.value.hint


def test_a_folder_in_the_databases_place(settings):
    database(settings).mkdir()
    with pytest.raises(StoreError, match="unable to open"):
        open_store(settings)


def test_a_file_in_the_folders_place(settings):
    settings.data_path.write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        open_store(settings)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(settings):
    settings.data_path.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="permissions"):
        open_store(settings)


def test_a_locked_database(settings, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    with open_store(settings) as store:
        other = sqlite3.connect(database(settings), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"database is locked.*try again"):
            store.runs.add("train", request={})
        assert store.runs.list() == []  # reading goes on
        other.close()


def test_a_database_opens_while_another_process_writes(settings):
    with open_store(settings):
        pass
    other = sqlite3.connect(database(settings), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with open_store(settings) as store:
        assert store.runs.list() == []
    other.close()


def test_a_full_disk_changes_nothing(settings):
    with open_store(settings) as store:
        event.listen(
            store.engine, "connect", lambda c, _: c.execute("PRAGMA max_page_count=40").close()
        )
        store.close()  # new connections have room for 40 pages
        kept = store.runs.add("train", request={})
        with pytest.raises(StoreError, match=r"full.*free some space"):
            store.runs.add("train", request={"x": "y" * 500_000})
        assert [run.id for run in store.runs.list()] == [kept.id]


@pytest.mark.parametrize("url", ["nonsense", "nosuch://host/db"])
def test_a_malformed_url(tmp_path, url):
    with pytest.raises(StoreError, match="not a database URL"):
        open_store(Settings(home=tmp_path, database_url=url))


def test_a_missing_driver(tmp_path):
    url = "mysql+pymysql://user:secret@localhost/x"
    with pytest.raises(StoreError, match="pymysql is not installed") as caught:
        open_store(Settings(home=tmp_path, database_url=url))
    assert "secret" not in str(caught.value)


def test_the_missing_driver_of_postgresql_is_installed_by_make(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url = "postgresql+psycopg://user:secret@localhost/x"
    with pytest.raises(StoreError, match=r"psycopg is not installed.*`make postgres`") as caught:
        open_store(Settings(home=tmp_path, database_url=url))
    assert "secret" not in str(caught.value)
