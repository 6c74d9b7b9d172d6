"""Eight processes change the versions while a ninth looks: one is current, and all have files."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, text

from movierec.errors import MovierecError
from movierec.registry import Registry, VersionDraft
from movierec.registry.files import problems_of
from movierec.registry.folder import read_alias
from movierec.settings import Settings
from movierec.store import Store, open_store
from tests.support.crash import together

WRITERS, ROUNDS = 8, 18
KINDS = ("promote", "rollback", "delete", "restore", "delete now", "save")
PATIENCE = 120.0  # seconds; only when a writer hangs
LISTED = "SELECT name, is_current FROM versions WHERE deleted_at IS NULL AND trashed_at IS NULL"
DRAFT = VersionDraft("sage", "report", "d", "0" * 64, "u1", arrays={"factors": np.ones((20, 4))})


@pytest.fixture
def settings(settings: Settings, database_url: str) -> Settings:
    return settings.model_copy(update={"database_url": database_url})


def one_of_nine(settings: Settings) -> None:
    """The first process looks until all others are done; what each found it writes down."""
    number = place(settings.home)
    with open_store(settings) as store:
        if number == WRITERS:
            found = look(settings, store)
        else:
            try:
                found = change(Registry(settings, store), number)
            finally:
                (settings.home / f"done-{number}").touch()
    (settings.home / f"found-{number}.json").write_text(json.dumps(found))


def place(folder: Path) -> int:
    """Return a number that no other process gets."""
    for number in range(WRITERS, -1, -1):
        with suppress(FileExistsError):
            os.close(os.open(folder / f"place-{number}", os.O_CREAT | os.O_EXCL))
            return number
    raise AssertionError("there are more processes than places")


def change(registry: Registry, number: int) -> dict[str, int]:
    rng, done = np.random.default_rng(number), Counter[str]()
    for turn in range(ROUNDS):
        kind = KINDS[(turn + number) % len(KINDS)]
        with suppress(MovierecError):  # somebody was faster, or it is the current one
            act(registry, kind, rng)
            done[kind] += 1
    return done


def act(registry: Registry, kind: str, rng: np.random.Generator) -> object:
    if kind == "save":
        return registry.save(DRAFT)
    if kind == "rollback":
        return registry.promotion.rollback()
    records = registry.trash() if kind == "restore" else registry.summaries()
    # the oldest few, so that they get into each other's way
    name = str(rng.choice([record.name for record in records[-3:]] or ["v9.9.9"]))
    if kind == "promote":
        return registry.promotion.promote(name)
    if kind == "restore":
        return registry.restore(name)
    return registry.delete(name, now=kind == "delete now")


def look(settings: Settings, store: Store) -> dict[str, Any]:
    """Sample database, alias and folders until the writers are done; return what was wrong."""
    wrong, samples, until = set[str](), Counter[str](), time.monotonic() + PATIENCE
    with store.engine.connect() as connection:
        while len([*settings.home.glob("done-*")]) < WRITERS and time.monotonic() < until:
            wrong |= {*look_at_rows(settings.models_path, connection, samples)}
            wrong |= {*look_at_alias(settings.models_path, samples)}
    return {"wrong": sorted(wrong), "samples": samples}


def look_at_rows(root: Path, connection: Connection, samples: Counter[str]) -> list[str]:
    before = state(connection)
    rows = ask(connection, LISTED)
    without = [name for name, _ in rows if not (root / name / "metadata.json").is_file()]
    samples["rows"] += 1
    if before != state(connection):
        without = []  # somebody wrote meanwhile: the folders are of another moment
    else:
        samples["listed"] += 1
    currents = [name for name, is_current in rows if is_current]
    wrong = [f"{name} is listed without its files" for name in without]
    return wrong if len(currents) == 1 else [*wrong, f"current: {currents}"]


def state(connection: Connection) -> Any:
    """Return what changes with every commit of another process."""
    on_sqlite = connection.dialect.name == "sqlite"
    query = "PRAGMA data_version" if on_sqlite else "SELECT CAST(pg_current_snapshot() AS text)"
    return ask(connection, query)


def ask(connection: Connection, query: str) -> list[Any]:
    """Return the rows of a query in a transaction of its own."""
    rows = connection.execute(text(query)).all()
    connection.rollback()
    return [*rows]


def look_at_alias(root: Path, samples: Counter[str]) -> list[str]:
    before, name = mark(root / "current"), read_alias(root)
    problems = ["it leads nowhere"] if name is None else problems_of(root / name)
    samples["alias"] += 1
    if before != mark(root / "current"):
        return []  # it was moved meanwhile, and its old target may be gone
    return [f"current leads to {name}: {problem}" for problem in problems]


def mark(link: Path) -> tuple[int, int]:
    """Return what tells a link from the next one in its place."""
    facts = link.lstat()
    return facts.st_ino, facts.st_ctime_ns


def test_one_version_is_current_at_every_moment_and_none_is_without_its_files(settings):
    with open_store(settings) as store:
        for _ in range(6):
            Registry(settings, store).save(DRAFT)
    assert together(WRITERS + 1, one_of_nine, settings) == [0] * (WRITERS + 1)
    found = [json.loads((settings.home / f"found-{n}.json").read_text()) for n in range(9)]
    assert found[WRITERS]["wrong"] == []
    samples = found[WRITERS]["samples"]
    assert min(samples["listed"], samples["alias"]) >= 20, samples
    done = sum(map(Counter, found[:WRITERS]), Counter[str]())
    assert set(done) == set(KINDS), done
    assert_settled(settings, done)


def assert_settled(settings: Settings, done: Counter[str]) -> None:
    """Nothing is left to repair, and every move has a line that fits the one before."""
    with open_store(settings) as store:
        registry = Registry(settings, store)
        assert registry.reconcile() == []
        listed, kept, moves = registry.list(), registry.trash(), registry.promotion.history()
        assert len(listed) + len(kept) == 6 + done["save"] - done["delete now"]
        assert {record.name: registry.verify(record.name) for record in listed} == {
            record.name: [] for record in listed
        }
        assert [r.name for r in listed if r.is_current] == [read_alias(settings.models_path)]
        assert moves[0].version == registry.get().name
        assert [m.previous for m in moves] == [*[m.version for m in moves[1:]], None]
