"""What commands import: a list must not wait for torch, nor help for pandas."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.project import process_environment, train_version

# in this order, since modules stay loaded: command, what must not be there after it
STEPS = [
    (
        ["--help"],
        "torch surprise streamlit pandas scipy pyarrow sqlalchemy numpy requests",
    ),
    (["--version"], "torch surprise streamlit pandas scipy pyarrow sqlalchemy numpy"),
    (["versions", "list"], "torch surprise streamlit pandas scipy pyarrow requests alembic"),
    (["runs", "list"], "torch surprise streamlit pandas scipy pyarrow requests alembic"),
    (["setup"], "torch surprise streamlit scipy requests alembic"),
    (["data", "list"], "torch surprise streamlit scipy alembic"),
    (["feedback", "list"], "torch surprise streamlit scipy alembic"),
    (["profiles", "list"], "torch surprise streamlit scipy alembic"),
    (["recommend", "--user", "u1"], "torch surprise streamlit scipy.stats alembic"),
    (["evaluate"], "torch surprise streamlit scipy.stats"),
    (["train", "--preset", "ease"], "torch surprise streamlit scipy.stats"),
]
PROGRAM = """
import json, sys
from movierec.cli.main import app, run

for command, absent in json.loads(sys.argv[1]):
    code = run(app, command)
    found = [name for name in absent.split() if name in sys.modules]
    sys.stderr.write(json.dumps([command, code, found]) + "\\n")
"""


@pytest.fixture(scope="module")
def told(project) -> list[list]:
    train_version(project, "popular")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(STEPS)],
        capture_output=True, text=True, check=True, env={**process_environment(project)},
    )  # fmt: skip
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize("step", range(len(STEPS)), ids=lambda i: " ".join(STEPS[i][0]))
def test_a_command_loads_no_more_than_it_needs(told, step):
    command, code, found = told[step]
    assert command == STEPS[step][0]
    assert code == 0
    assert found == []
