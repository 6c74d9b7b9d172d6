"""What of movierec other programs, files and bookmarks rely on, collected as plain names.

`tests/data/public_surface.json` has it as commit 0fddae4 had it; `tests.support.old_home` says how
it was made. What may be there on top is new; nothing of it may be missing.
"""

from __future__ import annotations

import inspect
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from tests.support.old_home_answers import QUESTIONS, answer
from tests.support.page_addresses import addresses
from tests.support.program import inside, none_detached, run
from tests.support.served import Ask, described, served

__all__ = ["FAILED", "SURFACE", "added", "missing", "surface"]

SURFACE = Path(__file__).parents[1] / "data" / "public_surface.json"
SMALL = ("--hidden-dim=8", "--ranking-dim=8", "--epochs=2")

# in this order, each with --json; the first three print what versions trained now are
CHANGES: dict[str, tuple[str, ...]] = {
    "train": ("train", *SMALL, "--members=2", "--refit"),
    "train --preset": ("train", "--preset=ease"),
    "versions list": ("versions", "list"),
    "sweep": ("sweep", "--preset=ease", "--search=regularization=10,20", "--trials=1"),
    "sweeps delete": ("sweeps", "delete", "small", "--yes"),
    "versions promote": ("versions", "promote", "v1.1.0", "--override=a test"),
    "versions rollback": ("versions", "rollback"),
    "versions tag": ("versions", "tag", "v1.0.0", "--add=first"),
    "versions note": ("versions", "note", "v1.0.0", "The first."),
    "versions export": ("versions", "export", "v1.2.0"),
    "versions import": ("versions", "import", "exported/tiny-v1.3.0.movierec.zip"),
    "versions measure": ("versions", "measure", "v1.0.0", "v1.6.0"),
    "versions delete": ("versions", "delete", "v1.4.0", "--yes"),
    "versions restore": ("versions", "restore", "v1.8.0"),
    "versions empty-trash": ("versions", "empty-trash", "--yes"),
    "runs move": ("runs", "move", "13", "first"),
    "runs priority": ("runs", "priority", "13", "2"),
    "runs clone": ("runs", "clone", "4", "--seed=3"),
    "runs resume": ("runs", "resume", "12"),
    "runs cancel": ("runs", "cancel", "13"),
    "runs watch": ("runs", "watch", "3"),
    "runs prune": ("runs", "prune"),
    "feedback add": ("feedback", "add", "u3", "m4", "--liked"),
    "feedback join": ("feedback", "join", "tiny", "--name=joined"),
    "feedback remove": ("feedback", "remove", "u3", "m4", "--data=tiny"),
    "profiles save": ("profiles", "save", "Grace", "source/newcomer.csv"),
    "profiles delete": ("profiles", "delete", "Grace", "--data=tiny", "--yes"),
    "recommend --all": ("recommend", "--all", "--out=lists.jsonl"),
    "data import": ("data", "import", "source/ratings.csv", "--name=again"),
    "data delete": ("data", "delete", "again", "--yes"),
    "doctor": ("doctor",),
}
# what says something of the machine or the checkout
FREE = re.compile(r"\.(libraries|git)$")
OPEN = (".db-shm", ".db-wal")  # while the database is
FAILED = "failed: "
LIBRARY = ("recommend", "recommend_for_new_user", "recommend_all", "similar", "explain")


def surface(home: Path) -> dict[str, Any]:
    """Return the whole surface; the home, an unpacked old one, is changed by it."""
    found: dict[str, Any] = {"commands": commands(), "settings": settings()}
    with none_detached():
        found["addresses"] = addresses(home)
        answers = {name: _answer(home, asked) for name, asked in {**QUESTIONS, **CHANGES}.items()}
    found["json"] = {name: shape(facts) for name, facts in answers.items()}
    found["versions"] = {
        version["name"]: {
            "files": files(home / "models" / version["name"]),
            "metadata": shape(_metadata(home, version["name"])),
        }
        for version in (answers["train"], answers["train --preset"])
    }
    with inside(home):
        found["library"] = library()
    with served(home) as ask:
        found["api"] = described(ask) | {"answers": shape(asked_api(ask))}
    found["tables"] = tables(_database(home))
    (empty := home.parent / "empty").mkdir()
    assert run(empty, "data", "list").code == 0
    found["new tables"] = tables(_database(empty))
    found["files"] = {"home": files(home)}
    return {f"{part}: {name}": each for part, told in found.items() for name, each in told.items()}


def _answer(home: Path, asked: tuple[str, ...]) -> Any:
    """Return an answer, or why there is none: one that fails must not hide the others."""
    try:
        return answer(home, asked)
    except AssertionError as error:
        return f"{FAILED}{error}"


def commands() -> dict[str, Any]:
    """Return every command of the program with its arguments and options."""
    from typer.main import get_command

    from movierec.cli import app

    return dict(_walk(get_command(app), "movierec", None))


def _walk(command: Any, path: str, above: Any) -> Iterator[tuple[str, Any]]:
    context = command.context_class(command, info_name=path, parent=above)
    named = {"/".join([*p.opts, *p.secondary_opts]): p for p in command.params}
    yield path, {name: _parameter(each) for name, each in named.items()}
    for name in getattr(command, "commands", ()):
        _, inner, _ = command.resolve_command(context, [name])
        yield from _walk(inner, f"{path} {name}", context)


def _parameter(parameter: Any) -> dict[str, Any]:
    return {
        "takes": _kind(parameter.type_descriptor.annotation),
        "default": str(getattr(parameter.default, "value", parameter.default)),
        "required": parameter.required,
        "many": parameter.multiple or parameter.nargs != 1,
    }


def _kind(annotation: Any) -> list[str]:
    """Return what an option takes, its choices or a type, whatever its class is called."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    inner = [kind for each in get_args(annotation) for kind in _kind(each)]
    return inner or [getattr(annotation, "__name__", str(annotation))]


def settings() -> dict[str, str]:
    """Return the environment variables that are read, with what holds where they are not set."""
    from movierec.settings import Settings

    prefix = Settings.model_config["env_prefix"]
    fields = Settings.model_fields.items()
    return {f"{prefix}{name}".upper(): str(field.get_default()) for name, field in fields}


def library() -> dict[str, Any]:
    """Return what the documented functions and methods take, and what their answers have."""
    import movierec
    from movierec.inference import Filters

    version = movierec.load_version("v1.1.0")
    line = version.recommend("u5", k=3, filters=Filters(genres=("Drama",)), diversity=0.3)[0]
    answers = {
        "recommend": line,
        "similar": version.similar(line.movie_id, k=1)[0],
        "explain": version.explain("u5", line.movie_id),
    }
    called = {name: getattr(movierec, name) for name in ("load_dataset", "load_version", "train")}
    called |= {f"version.{name}": getattr(version, name) for name in LIBRARY} | {"Filters": Filters}
    return {
        **{name: _signature(each) for name, each in called.items()},
        **{f"an answer of {name}": _attributes(each) for name, each in answers.items()},
    }


def _signature(called: Any) -> dict[str, str]:
    taken = inspect.signature(called).parameters
    return {name: str(each.kind.description) for name, each in taken.items()}


def _attributes(thing: Any) -> list[str]:
    return [name for name in dir(thing) if not name.startswith("_")]


def asked_api(ask: Ask) -> dict[str, Any]:
    """Return what the API answers to one question of each kind."""
    asked: tuple[tuple[str, Any], ...] = (
        ("recommend?user=u5&k=3&distribution=true", None), ("similar?movie=m3", None),
        ("explain?user=u5&movie=m3", None), ("version", None), ("health", None),
        ("newcomer", {"ratings": {"m1": 5, "m2": 1}, "explain": 1, "k": 2}),
        ("score", {"user": "u5", "movies": ["m1", "m2"]}),
        ("feedback", {"user": "u5", "movie": "m1", "liked": True, "rank": 1}),
    )  # fmt: skip
    return {path: ask(path, content) for path, content in asked}


def shape(facts: Any) -> Any:
    """Return the keys and kinds of a JSON value: a list becomes what its items have together."""
    if isinstance(facts, str) and facts.startswith(FAILED):
        return facts
    if isinstance(facts, Mapping):
        return {key: shape(value) for key, value in facts.items()}
    if isinstance(facts, list):
        together: Any = "null"
        for item in facts:
            together = _union(together, shape(item))
        return {"[]": together}
    if facts is None:
        return "null"
    return {bool: "truth", int: "number", float: "number", str: "text"}[type(facts)]


def _union(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        names = {**one, **other}
        return {name: _union(one.get(name, "null"), other.get(name, "null")) for name in names}
    return other if one == "null" else one


def files(folder: Path) -> list[str]:
    """Return the paths of all files below a folder; names that are hashes or hosts shortened."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    names = (path.relative_to(folder).as_posix() for path in found if path.suffix not in OPEN)
    plain = (re.sub(r"[0-9a-f]{16,64}", "<hash>", name) for name in names)
    return sorted({re.sub(r"worker-.*\.", "worker-<host>.", name) for name in plain})


def _metadata(home: Path, version: str) -> Any:
    return json.loads((home / "models" / version / "metadata.json").read_text())


def _database(home: Path) -> Path:
    return home / "data" / "recommender.db"


def tables(database: Path) -> dict[str, Any]:
    """Return the columns of every table with their types."""
    with closing(sqlite3.connect(database)) as found:
        names = [row[0] for row in found.execute("select name from sqlite_master"
                                                 " where type = 'table'")]  # fmt: skip
        return {
            name: {row[1]: row[2] for row in found.execute(f"pragma table_info({name})")}
            for name in names
        }


def missing(stored: Any, found: Any, where: str = "") -> Iterator[str]:
    """Yield what was there and is no more, or is of another kind; a null is of every kind."""
    if FREE.search(where):
        return
    if isinstance(stored, dict) and isinstance(found, dict):
        for key, value in stored.items():
            if key in found:
                yield from missing(value, found[key], f"{where}.{key}")
            else:
                yield f"{where}.{key} is missing"
    elif isinstance(stored, list) and isinstance(found, list):
        yield from (f"{where} lacks {item}" for item in stored if item not in found)
    elif stored != found and "null" not in (stored, found):
        yield f"{where} was {stored} and is {found}"


def added(stored: Any, found: Any) -> list[str]:
    """Return what is there and was not."""
    gone = (line for line in missing(found, stored) if " is missing" in line or " lacks " in line)
    return [line.replace(" is missing", "").replace(" lacks ", " has ") for line in gone]
