"""An old home: what movierec left on a disk before its modules were rearranged.

`tests/data/old_home.tar.xz` was made by commit 0fddae4 with

    python -m tests.support.old_home 0fddae4

which writes a made-up data set, lets that commit's own code do everything in `STEPS`, kills one of
its trainings with SIGKILL, packs the folder, and keeps what the old code answers about it in
`tests/data/old_home.json` and `tests/data/public_surface.json`. The folder was made under a path
that says nothing of any machine, on a host called "old-host". Make it again only to have more in
it, and with the same commit: a newer one would make a newer home, and nothing would be held.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.program import none_detached, run

__all__ = ["ARCHIVE", "EPOCHS", "INTERRUPTED", "KILLED_AFTER", "QUEUED", "unpacked"]

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT / "tests" / "data"
ARCHIVE = DATA / "old_home.tar.xz"
PLACE = Path("/tmp/movierec-old-home")  # says nothing of who made it
HOST = "old-host"

USERS, MOVIES, DENSITY = 60, 80, 0.3
GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "War")
SMALL = ("--hidden-dim=8", "--ranking-dim=8", "--epochs=6")
EPOCHS, KILLED_AFTER = 40, 3
SWEEP = ("sweep", "--preset=ease", "--search=regularization=10..1000:log", "--trials=2")

STEPS: tuple[tuple[str, ...], ...] = (
    ("data", "import", "source/ratings.csv", "--name=tiny", "--users=source/users.csv",
     "--movies=source/movies.csv"),
    ("train", *SMALL),
    ("train", *SMALL, "--members=2", "--refit"),
    ("train", "--preset=ease"),
    ("train", "--preset=biases"),
    ("train", "--preset=popular"),
    ("train", "--preset=svd", "--set=factors=4", "--set=epochs=5"),
    ("train", *SMALL, "--split=temporal", "--test-fraction=0.4"),
    ("train", *SMALL, "--aggregator=max", "--split=cold-users", "--given=3"),
    ("train", *SMALL, "--seed=1"),
    ("versions", "promote", "v1.1.0", "--override=to have gone back from it"),
    ("versions", "rollback"),
    ("versions", "tag", "v1.1.0", "--add=two members", "--add=good"),
    ("versions", "note", "v1.1.0", "Two seeds, trained again on train and validation."),
    ("versions", "export", "v1.3.0", "--to=exported"),
    ("versions", "measure", "v1.0.0", "v1.6.0"),
    ("versions", "delete", "v1.8.0", "--yes"),
    (*SWEEP, "--name=small"),
    ("feedback", "add", "u1", "m3", "--liked", "--rank=1"),
    ("feedback", "add", "u1", "m9", "--disliked", "--rank=4"),
    ("feedback", "add", "u2", "m3", "--liked"),
    ("feedback", "add", "u7", "m20", "--liked", "--version=v1.2.0"),
    ("feedback", "add", "u8", "m21", "--disliked", "--version=v1.2.0"),
    ("profiles", "save", "Ada", "source/newcomer.csv"),
)  # fmt: skip
INTERRUPTED, QUEUED = 12, 13


def unpacked(folder: Path) -> Path:
    """Unpack the old home below an empty folder; return where it lies."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "home"


def write_source(folder: Path) -> None:
    """Write ratings that follow a planted taste, users, movies, and one newcomer's ratings."""
    rng = np.random.default_rng(20261201)
    taste, trait = rng.normal(size=(USERS, 2)), rng.normal(size=(MOVIES, 2))
    user, movie = np.nonzero(rng.random((USERS, MOVIES)) < DENSITY)
    order = rng.permutation(len(user))
    user, movie = user[order], movie[order]
    raw = 3.4 + (taste[user] * trait[movie]).sum(1) + rng.normal(scale=0.4, size=len(user))
    stars = np.clip(np.round(raw), 1, 5).astype(int)
    times = 880_000_000 + np.sort(rng.integers(0, 30_000_000, len(user)))
    ratings = [
        (f"u{u}", f"m{m}", s, t) for u, m, s, t in zip(user, movie, stars, times, strict=True)
    ]
    _write(folder / "ratings.csv", ("user", "movie", "rating", "timestamp"), ratings)
    people = [(f"u{i}", int(rng.integers(12, 70)), rng.choice(["F", "M"]),
               rng.choice(["artist", "engineer", "student"])) for i in range(USERS)]  # fmt: skip
    _write(folder / "users.csv", ("user_id", "age", "gender", "occupation"), people)
    films = [(f"m{i}", f"Movie {i}", int(rng.integers(1930, 1999)),
              "|".join(sorted(rng.choice(GENRES, rng.integers(1, 3), replace=False))))
             for i in range(MOVIES)]  # fmt: skip
    _write(folder / "movies.csv", ("movie_id", "title", "year", "genres"), films)
    _write(folder / "newcomer.csv", ("movieId", "rating"), [("m1", 5), ("m2", 1), ("m5", 4)])


def _write(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


def build(home: Path) -> None:
    """Make the home with whichever movierec is imported here."""
    write_source(home / "source")
    (home / "exported").mkdir()
    for step in STEPS:
        print(*step, flush=True)  # noqa: T201 - a script
        said = run(home, *step)
        assert said.code == 0, said.err
    _interrupt(home)
    _queue(home)


def _interrupt(home: Path) -> None:
    """Let a worker begin a long training, and kill it for good after some epochs."""
    run(home, "train", "--queue", *SMALL, f"--epochs={EPOCHS}", "--early-stopping-patience=9999")
    database = home / "data" / "recommender.db"
    _until(lambda: _asked(database, "select count(*) from run_epochs where run_id = ?")
           >= KILLED_AFTER)  # fmt: skip
    worker = _rows(database, "select pid from workers")[0][0]
    os.kill(_asked(database, "select pid from runs where id = ?"), signal.SIGKILL)
    _until(lambda: _asked(database, "select state from runs where id = ?") == "interrupted")
    # not its row: a worker that has just ended looks once more for what waits
    _until(lambda: not Path(f"/proc/{worker}").exists())


def _queue(home: Path) -> None:
    """Queue a training that no worker takes."""
    with none_detached():
        said = run(home, "train", "--queue", "--preset=mean")
    assert said.code == 0, said.err


def _until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.005)


def _rows(database: Path, question: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database, timeout=60)) as found:
        return found.execute(question, values).fetchall()


def _asked(database: Path, question: str) -> Any:
    return _rows(database, question, INTERRUPTED)[0][0]


def make(commit: str) -> None:
    """Let a commit's code make the home, pack it, and keep what that code answers about it."""
    with tempfile.TemporaryDirectory() as name:
        old = Path(name)
        packed = subprocess.run(
            ["git", "-C", PROJECT, "archive", commit], check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "x", "-C", old], input=packed, check=True)
        (old / "patched").mkdir()
        patch = f"import socket\nsocket.gethostname = lambda: {HOST!r}\n"
        (old / "patched" / "sitecustomize.py").write_text(patch)
        shutil.rmtree(PLACE, ignore_errors=True)
        home = PLACE / "home"
        home.mkdir(parents=True)
        _let(old, f"from tests.support.old_home import build; build(Path({str(home)!r}))")
        _pack(home)
        _let(
            old,
            f"from tests.support.old_home import keep_answers; keep_answers(Path({str(PLACE)!r}))",
        )
        shutil.rmtree(PLACE)


def _let(old: Path, code: str) -> None:
    """Run code with the old package and today's tests."""
    paths = map(str, (old / "patched", old / "src", PROJECT))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", f"from pathlib import Path; {code}"]
    subprocess.run(command, env=environment, cwd=PLACE, check=True)


def _pack(home: Path) -> None:
    DATA.mkdir(exist_ok=True)
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        archive.add(home, "home", filter=_nobodys)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def keep_answers(folder: Path) -> None:
    """Ask whichever movierec is imported here all there is to ask, and keep it."""
    from tests.support.old_home_answers import ANSWERS, QUESTIONS, answer
    from tests.support.public_surface import FAILED, SURFACE, surface

    home = unpacked(folder / "asked")
    answers = {name: answer(home, asked) for name, asked in QUESTIONS.items()}
    ANSWERS.write_text(_by_line(answers))
    found = surface(unpacked(folder / "changed"))
    assert not [name for name, each in found.items() if str(each).startswith(FAILED)]
    SURFACE.write_text(_by_line(found))


def _by_line(facts: dict[str, Any]) -> str:
    """Return JSON with a line for each name, to be read in a diff."""
    lines = (f"{json.dumps(name)}: {json.dumps(each)}" for name, each in facts.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    make(sys.argv[1])
