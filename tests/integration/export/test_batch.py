"""Everybody's lists in a file: what is in it, and that no kill costs more than a block."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pyarrow import parquet

from movierec.errors import EvaluationError, NotFoundError, SettingsError
from movierec.export.lists import export_lists
from movierec.inference import Filters, LoadedVersion, load_version
from movierec.inference.batch import Options
from movierec.settings import Settings
from tests.support.batch_victims import Order, victims
from tests.support.forking import Victims
from tests.support.project import movierec, one_line

KILLED = -9
USERS, BLOCK = 60, 16  # four blocks: 16, 16, 16, 12
SUFFIXES = [".parquet", ".csv", ".jsonl"]
COLUMNS = ["user_id", "rank", "movie_id", "title", "score", "predicted_rating", "version", "reason"]


@pytest.fixture(scope="module")
def version(trained_project: Path) -> LoadedVersion:
    return load_version("current", Settings(home=trained_project, device="cpu"))


@pytest.fixture(scope="module")
def forked() -> Iterator[Victims]:
    with victims() as process:
        yield process


def rows_of(path: Path) -> list[dict[str, object]]:
    """Return a file's lines, whatever its kind, as one would read them."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return [*csv.DictReader(file)]
    return pd.read_parquet(path).to_dict("records")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_has_what_each_user_would_be_told(version, tmp_path, suffix):
    path = tmp_path / f"recs{suffix}"
    done = export_lists(version, path, Options(5), block=BLOCK)
    rows = rows_of(path)
    assert (done.users, done.lines, done.resumed, done.began_anew) == (USERS, len(rows), 0, "")
    assert list(rows[0]) == COLUMNS
    told = [
        (str(user), line)
        for user in version.dataset.users.ids
        for line in version.recommend(user, 5)
    ]
    assert len(rows) == len(told)
    for row, (user, line) in zip(rows, told, strict=True):
        words = (row["user_id"], int(row["rank"]), row["movie_id"], row["title"])
        assert words == (user, line.rank, line.movie_id, line.title)
        assert (row["version"], row["reason"]) == (version.name, line.reason)
        assert float(row["score"]) == pytest.approx(line.score, rel=1e-5)
        assert float(row["predicted_rating"]) == pytest.approx(line.predicted_rating, rel=1e-5)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_where_nothing_predicts_a_rating_there_is_none(trained_project, tmp_path, suffix):
    path = tmp_path / f"recs{suffix}"
    ease = load_version("v1.3.0", Settings(home=trained_project, device="cpu"))
    export_lists(ease, path, Options(2))
    empty = {".parquet": float("nan"), ".csv": "", ".jsonl": None}[suffix]
    found = {str(row["predicted_rating"]) for row in rows_of(path)}
    assert found == {str(empty)}
    if suffix == ".parquet":  # pandas reads both as NaN
        column = parquet.read_table(path).column("predicted_rating")
        assert column.null_count == len(column)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("renames", "resumed"), [(1, 0), (2, 0), (3, 16), (4, 32), (5, 48), (6, 60)]
)
def test_after_a_kill_the_same_call_goes_on_and_makes_the_same_file(
    version, trained_project, tmp_path, forked, suffix, renames, resumed
):
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"recs{suffix}"
    export_lists(version, whole, Options(5), block=BLOCK)
    path.write_text("yesterday's")
    order = Order(str(trained_project), str(path), renames, 5, BLOCK)
    assert forked.run(order) == KILLED
    assert path.read_text() == "yesterday's"
    done = export_lists(version, path, Options(5), block=BLOCK)
    assert done.resumed == resumed
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, whole.name]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (Options(4), "another k"),
        (Options(5, by="rating"), "another by"),
        (Options(5, filters=Filters(min_ratings=2)), "another filters"),
    ],
)
def test_another_batch_begins_anew_and_says_so(
    version, trained_project, tmp_path, forked, options, what
):
    path = tmp_path / "recs.csv"
    assert forked.run(Order(str(trained_project), str(path), 4, 5, BLOCK)) == KILLED
    done = export_lists(version, path, options, block=BLOCK)
    assert (done.resumed, done.began_anew) == (0, f"what was there had {what}")
    alone = tmp_path / "alone.csv"
    export_lists(version, alone, options, block=BLOCK)
    assert path.read_bytes() == alone.read_bytes()


def test_a_version_of_the_same_name_with_other_content_begins_anew(
    version, trained_project, tmp_path, forked
):
    path = tmp_path / "recs.csv"
    assert forked.run(Order(str(trained_project), str(path), 4, 5, BLOCK)) == KILLED
    other = replace(version, metadata=version.metadata.with_facts(seed=9))
    done = export_lists(other, path, Options(5), block=BLOCK)
    assert (done.resumed, done.began_anew) == (0, "what was there had another content")


def test_a_state_that_cannot_be_read_begins_anew(version, trained_project, tmp_path, forked):
    path = tmp_path / "recs.csv"
    assert forked.run(Order(str(trained_project), str(path), 4, 5, BLOCK)) == KILLED
    (tmp_path / ".recs.csv.part" / "state.json").write_text("{")
    done = export_lists(version, path, Options(5), block=BLOCK)
    assert (done.resumed, done.began_anew) == (0, "what was there could not be read")


def test_a_damaged_block_is_named_and_nothing_is_written(
    version, trained_project, tmp_path, forked
):
    path = tmp_path / "recs.csv"
    assert forked.run(Order(str(trained_project), str(path), 4, 5, BLOCK)) == KILLED
    block = tmp_path / ".recs.csv.part" / "0000001.parquet"
    block.write_bytes(block.read_bytes()[:-20])
    with pytest.raises(SettingsError, match=r"0000001.parquet is damaged"):
        export_lists(version, path, Options(5), block=BLOCK)
    assert not path.exists()
    block.unlink()
    assert export_lists(version, path, Options(5), block=BLOCK).resumed == USERS - BLOCK


def test_two_processes_do_not_write_one_file(version, tmp_path):
    path = tmp_path / "recs.csv"
    program = (
        "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire();"
        "print(flush=True); sys.stdin.read()"
    )
    lock = tmp_path / ".recs.csv.part" / "lock"
    lock.parent.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", program, str(lock)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        try:
            other.stdout.readline()
            with pytest.raises(SettingsError, match=r"Another movierec is writing .*recs\.csv"):
                export_lists(version, path, Options(5))
        finally:
            other.kill()
    assert export_lists(version, path, Options(5)).users == USERS


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (Options(0), EvaluationError),
        (Options(5, diversity=2.0), EvaluationError),
        (Options(5, filters=Filters(genres=("Polka",))), NotFoundError),
    ],
)
def test_options_that_cannot_be_used_leave_nothing_behind(version, tmp_path, options, error):
    with pytest.raises(error):
        export_lists(version, tmp_path / "recs.csv", options)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("recs.xlsx", "recs.xlsx does not say what file"),
        ("recs", "recs does not say what file"),
        ("folder.csv", "folder.csv is a folder"),
        ("file/recs.csv", "recs.csv cannot be written: Not a directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(version, tmp_path, name, message):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=message):
        export_lists(version, tmp_path / name, Options(5))


def test_progress_never_goes_back(version, tmp_path):
    said: list[float] = []
    path = tmp_path / "recs.csv"
    export_lists(version, path, Options(5), block=7, on_progress=lambda _, done: said.append(done))
    assert len(said) == 10
    assert said == sorted(said)
    assert said[-1] < 1


def test_the_command(trained, tmp_path):
    path = tmp_path / "lists" / "recs.jsonl"
    said = movierec(trained, "recommend", "--all", "-k", 3, "--out", path, "--json")
    assert said.code == 0, said.err
    assert said.facts["lines"] == 3 * USERS == len(rows_of(path))
    said = movierec(trained, "recommend", "--all", "-k", 3, "--out", path, width=200)
    assert said.out == f"180 lines for 60 users by v1.0.0 are in {path}.\n"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("", "Whose list?"),
        ("--user u1 --all --out x.csv", "Whose list?"),
        ("--all", "--all and --out go together."),
        ("--user u1 --out x.csv", "--all and --out go together."),
        ("--all --out x.csv --why", "--why goes with one person's list."),
    ],
)
def test_options_that_exclude_each_other(trained, words, cause):
    said = movierec(trained, "recommend", *words.split())
    assert said.code == 2
    assert cause in one_line(said)
