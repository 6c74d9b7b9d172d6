"""What only PostgreSQL does: migrations there, its errors in words, locks of rows and tables."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from urllib.parse import quote

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from movierec.errors import StoreError
from movierec.settings import Settings
from movierec.store import EpochRecord, engine, open_store
from movierec.store.engine import Database, shown_url, store_error
from movierec.store.store import HEAD
from movierec.store.tables import Base
from tests.support.postgres import PASSWORD, USER

PATIENCE = 60.0  # seconds; only a hanging statement takes so long
OLD_RUN = (
    "INSERT INTO runs (kind, state, preset, dataset_name, request, created_at, host, progress,"
    " stage, error, traceback, cancel_requested) VALUES ('train', 'succeeded', 'report', 'ml',"
    " '{}', now(), '', 1, '', '', '', false)"
)


@pytest.fixture
def settings(settings, postgres_url) -> Settings:
    return settings.model_copy(update={"database_url": postgres_url})


@pytest.fixture
def store(settings):
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def other(postgres, settings):
    """Another program with a transaction of its own in the same database."""
    name = settings.database_url.rpartition("/")[2]
    with postgres.connected(name) as connection:
        connection.autocommit = False
        yield connection
        connection.rollback()


def at(url: str, name: str) -> str:
    return url.rpartition("/")[0] + "/" + name


def refusal(settings, url: str) -> StoreError:
    """Return the error of opening a database; no part of it may hold the password."""
    with pytest.raises(StoreError) as caught:
        open_store(settings.model_copy(update={"database_url": url}))
    everything = "".join(traceback.format_exception(caught.value))
    assert not any(secret in everything for secret in (PASSWORD, quote(PASSWORD, safe="")))
    return caught.value


def until_it_waits(postgres) -> None:
    """Wait until some connection waits for a lock."""
    deadline = time.monotonic() + PATIENCE
    while not postgres.run("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.05)


def to(settings, revision: str) -> None:
    """Bring the tables to a revision, up or down."""
    database = Database(settings.database)
    with database.connection() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "movierec.store:migrations")
        now = MigrationContext.configure(connection).get_current_revision() or ""
        down = revision == "base" or now > revision
        (command.downgrade if down else command.upgrade)(config, revision)
    database.close()


def tables(settings) -> set[str]:
    database = Database(settings.database)
    names = inspect(database.engine).get_table_names()
    database.close()
    return set(names) - {"alembic_version"}


def test_migrations_give_the_tables_of_the_code(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_lead_down_to_nothing_and_up_again(settings):
    to(settings, "head")
    assert tables(settings) == set(Base.metadata.tables)
    to(settings, "base")
    assert tables(settings) == set()
    with open_store(settings) as store:
        assert store.runs.add("train", request={}).place == 1.0


def test_a_database_of_the_first_revision_keeps_its_runs(settings):
    to(settings, "0001")
    database = Database(settings.database)
    with database.connection() as connection:
        connection.execute(text(OLD_RUN))
        connection.execute(text(OLD_RUN))
    database.close()
    with open_store(settings) as store:
        assert [(run.id, run.place, run.facts) for run in store.runs.list()] == [
            (2, 2.0, {}), (1, 1.0, {}),
        ]  # fmt: skip
        assert store.runs.add("train", request={}).id == 3
    to(settings, "0001")
    to(settings, HEAD)
    with open_store(settings) as store:
        assert [run.id for run in store.runs.list()] == [3, 2, 1]


def test_a_newer_database_is_left_alone(settings, store):
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    error = refusal(settings, settings.database_url)
    assert "newer movierec" in error.message


def test_another_programs_tables_are_left_alone(settings, postgres):
    name = settings.database_url.rpartition("/")[2]
    postgres.run("CREATE TABLE users (name TEXT)", name)
    error = refusal(settings, settings.database_url)
    assert "another program's tables" in error.hint
    assert tables(settings) == {"users"}  # the migration left no trace


def test_a_wrong_password_is_not_repeated(settings, postgres, caplog):
    caplog.set_level(logging.DEBUG)
    url = postgres.url("postgres", "falsch-und-geheim")
    error = refusal(settings, url)
    assert f'password authentication failed for user "{USER}"' in error.message
    assert "Correct user and password" in error.hint
    assert "geheim" not in str(error) + caplog.text
    asked = f"{url.replace('movierec:falsch-und-geheim@', '')}?user={USER}&password=falsch-geheim"
    error = refusal(settings, asked)
    assert "password authentication failed" in error.message
    assert "geheim" not in str(error) + caplog.text


def test_a_database_that_does_not_exist(settings):
    error = refusal(settings, at(settings.database_url, "nowhere"))
    assert 'database "nowhere" does not exist' in error.message
    assert "createdb" in error.hint


def test_nobody_listens_there(settings, postgres):
    error = refusal(settings, settings.database_url.replace(str(postgres.port), "1"))
    assert "Connection refused" in error.message
    assert "Check that the server runs" in error.hint


def test_a_host_that_does_not_exist(settings):
    error = refusal(settings, settings.database_url.replace("127.0.0.1", "nowhere.invalid"))
    assert "Check that the server runs" in error.hint


def test_a_user_who_may_not_make_tables(settings, postgres):
    postgres.run("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    try:
        where = settings.database_url.rpartition("@")[2]
        error = refusal(settings, f"postgresql+psycopg://guest:guest@{where}")
    finally:
        postgres.run("DROP ROLE guest")
    assert "permission denied for schema public" in error.message
    assert "own the database" in error.hint


@pytest.mark.parametrize(
    ("cause", "hint"),
    [
        ('could not extend file "base/1/2": No space left on device', "disk is full"),
        ("FATAL:  sorry, too many clients already", "no connection left"),
        ("connection failed: FATAL:  the database system is starting up", "when it is back"),
        ('relation "runs" does not exist', "Tables are gone"),
        ("deadlock detected", "try again"),
        ("cannot set transaction read-write mode during recovery", "may be written"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', r"pg_hba\.conf has to name it"),
        ("something new", "movierec doctor"),
    ],
)
def test_what_else_a_server_may_say(cause, hint):
    with pytest.raises(StoreError, match=hint):
        raise store_error(Exception(cause), "postgresql+psycopg://user@host/full-locked-busy")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://u:secret@h:1/d", "postgresql+psycopg://u:***@h:1/d"),
        ("postgresql://h/d?user=u&password=secret", "postgresql://h/d?user=u"),
        ("postgresql://h/d?sslpassword=secret", "postgresql://h/d"),
        ("sqlite:////folder/file.db", "sqlite:////folder/file.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    assert shown_url(url) == shown


def test_an_unreadable_url_is_not_repeated(tmp_path):
    url = "postgresql+psycopg://user:half@secret:word@host/name"  # an @ that is not quoted
    with pytest.raises(StoreError, match="not a database URL") as caught:
        open_store(Settings(home=tmp_path, database_url=url))
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_restarted_server_is_used_again(postgres, store):
    run = store.runs.add("train", request={})
    postgres.stop()
    try:
        with pytest.raises(StoreError, match=r"Check that the server runs|when it is back"):
            store.runs.list()
    finally:
        postgres.start()
    assert store.runs.list() == [run]
    store.runs.start(run.id)


def test_a_connection_that_was_cut_is_replaced(postgres, store):
    run = store.runs.add("train", request={})
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
    assert postgres.run(f"{cut}'movierec'")
    assert store.runs.get(run.id) == run


def test_a_reader_sees_one_state_and_changes_nothing(settings, store):
    database = Database(settings.database)
    with database.reading() as session:
        before = session.scalar(text("SELECT count(*) FROM runs"))
        store.runs.add("train", request={})
        assert session.scalar(text("SELECT count(*) FROM runs")) == before
        with pytest.raises(StoreError, match="read-only"), database.translated():
            session.execute(text("DELETE FROM runs"))
    database.close()
    assert len(store.runs.list()) == 1


def test_a_row_that_is_held_is_passed_over(store, other):
    first, second = (store.runs.add("train", request={}).id for _ in range(2))
    other.execute(f"SELECT 1 FROM runs WHERE id = {first} FOR UPDATE")
    assert store.queue.claim(1).id == second
    assert store.queue.claim(1) is None
    other.rollback()
    assert store.queue.claim(1).id == first


def test_a_row_that_is_held_for_long_is_said(settings, monkeypatch, other):
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    with open_store(settings) as store:
        run = store.runs.add("train", request={})
        other.execute("UPDATE runs SET stage = 'mine'")
        with pytest.raises(StoreError, match=r"lock timeout.*end that program or try again"):
            store.runs.finish(run.id, "failed")
        assert store.runs.get(run.id).state == "queued"  # reading goes on


def test_a_run_that_starts_meanwhile_is_not_cancelled_behind_its_back(postgres, store, other):
    run = store.runs.add("train", request={})
    other.execute("UPDATE runs SET state = 'running'")
    asking = threading.Thread(target=store.runs.request_cancel, args=(run.id,))
    asking.start()
    until_it_waits(postgres)
    other.commit()
    asking.join(PATIENCE)
    found = store.runs.get(run.id)
    assert (found.state, found.cancel_requested) == ("running", True)


def test_texts_that_postgresql_cannot_keep(store):
    run = store.runs.add("train", request={"note": "a\0b"})
    assert run.request == {"note": "a\0b"}
    store.runs.finish(run.id, "failed", error="bad\0byte", traceback="\0")
    assert store.runs.get(run.id).error == "bad\N{REPLACEMENT CHARACTER}byte"
    with pytest.raises(StoreError, match=r"NUL.*remove it"):
        store.runs.add("train", preset="a\0b", request={})


def test_numbers_that_postgresql_cannot_keep(store):
    with pytest.raises(StoreError, match=r"out of range.*use a smaller one"):
        store.runs.add("train", request={}, priority=2**40)


def test_numbers_that_were_not_measured(store):
    nan = float("nan")
    run = store.runs.add("train", request={"lr": nan})
    store.runs.add_epoch(run.id, EpochRecord(1, nan, nan, nan, nan, nan, True))
    assert store.runs.get(run.id).request == {"lr": None}
    assert store.runs.best_epochs([run.id])[run.id].epoch == 1
