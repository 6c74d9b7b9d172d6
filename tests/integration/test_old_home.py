"""A home that an older movierec left on the disk is opened, read, and worked on as before.

How it was made, and by which commit, is said in `tests/old_home.py`. Nothing here knows a module
of the package: everything goes through the command line, the pages and the library's own functions.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.old_home import EPOCHS, INTERRUPTED, KILLED_AFTER, QUEUED, unpacked
from tests.support.old_home_answers import ANSWERS, QUESTIONS, answer, differences
from tests.support.page_addresses import PAGES, opened
from tests.support.program import environment_of, inside, run

# relative: what BLAS and torch round differently on different processors is below this
TOLERANCE = 1e-6
FOUND = "tiny-v1.3.0.movierec.zip"


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old home, for tests that only look."""
    return unpacked(tmp_path_factory.mktemp("old"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the old home of this test's own."""
    return unpacked(tmp_path)


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ANSWERS.read_text())
    return found


def test_every_question_has_a_stored_answer(stored):
    assert stored.keys() == QUESTIONS.keys()


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_as_the_old_code_gave_it(untouched, stored, name):
    found = answer(untouched, QUESTIONS[name])
    assert [*differences(stored[name], found, TOLERANCE)] == []


def test_doctor_finds_nothing_wrong(untouched):
    findings = run(untouched, "doctor", "--json").facts
    assert [finding for finding in findings if finding["health"] == "wrong"] == []


def test_the_library_recommends_what_the_command_line_does(untouched, stored):
    from movierec import load_version

    with inside(untouched):
        lines = load_version("v1.1.0").recommend("u5", k=5)
    told = stored["recommend v1.1.0"]["recommendations"]
    assert [line.movie_id for line in lines] == [line["movie_id"] for line in told]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens(untouched, page):
    opened(untouched, page, {})


def test_a_version_comes_back_from_the_trash(home):
    assert run(home, "versions", "restore", "v1.8.0", "--json").facts == {"restored": "v1.8.0"}
    shown = run(home, "versions", "show", "v1.8.0", "--json").facts
    assert shown["problems"] == []
    assert run(home, "recommend", "--user=u5", "--version=v1.8.0", "--json").code == 0


def test_an_exported_version_is_imported_here_and_into_an_empty_home(home, tmp_path):
    other = tmp_path / "empty"
    other.mkdir()
    exported = home / "exported" / FOUND
    here = run(home, "versions", "import", exported, "--json").facts
    there = run(other, "versions", "import", exported, "--json").facts
    assert (here["is_data_here"], there["is_data_here"]) == (True, False)
    assert there["version"]["name"] == "v1.3.0"
    lists = [
        answer(home, ("recommend", "--user=u5", f"--version={name}"))["recommendations"]
        for name in ("v1.3.0", here["version"]["name"])
    ]
    assert [line["movie_id"] for line in lists[0]] == [line["movie_id"] for line in lists[1]]


def test_the_killed_training_goes_on_to_its_end(home):
    before = run(home, "runs", "show", INTERRUPTED, "--json").facts["epochs"]
    assert KILLED_AFTER <= len(before) < EPOCHS
    version = run(home, "train", f"--resume={INTERRUPTED}", "--json").facts
    assert version["run_id"] == INTERRUPTED
    after = run(home, "runs", "show", INTERRUPTED, "--json").facts
    assert (after["run"]["state"], after["run"]["version"]) == ("succeeded", version["name"])
    assert after["epochs"][: len(before)] == before
    assert [epoch["epoch"] for epoch in after["epochs"]] == [*range(1, EPOCHS + 1)]


def test_a_worker_does_the_run_that_was_queued(home):
    command = [sys.executable, "-m", "movierec", "worker", "--once"]
    subprocess.run(command, env=environment_of(home), cwd=home, check=True, timeout=300)
    done = run(home, "runs", "show", QUEUED, "--json").facts["run"]
    assert (done["state"], done["preset"]) == ("succeeded", "mean")
    assert run(home, "versions", "show", done["version"], "--json").facts["problems"] == []


def test_a_sweep_goes_on_under_its_name(home):
    record = run(home, "sweep", "--name=small", "--trials=1", "--json").facts
    assert len(record["trials"]) == 3


def test_current_moves_on_from_where_its_history_ends(home):
    assert run(home, "versions", "promote", "v1.5.0", "--override=a test").code == 0
    back = run(home, "versions", "rollback", "--json").facts
    assert back == {"current": "v1.0.0"}
    moves = run(home, "versions", "history", "--json").facts
    assert len(moves) == 5
