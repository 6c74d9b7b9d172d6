"""`movierec sweep` and `movierec sweeps` as they are typed."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys

import pytest

from tests.support.project import movierec, one_line, process_environment

PATIENCE = 180.0  # seconds; only a hanging process takes so long

BIASES = ("sweep", "--preset", "biases", "--trials")


def test_a_sweep_from_start_to_the_version_it_recommends(project, tmp_path):
    said = movierec(project, *BIASES, 10, "--split-seed", 3, "--json")
    assert said.code == 0
    assert said.facts["name"] == "biases-1"
    best = said.facts["trials"][0]
    shown = movierec(project, "sweeps", "show", "biases-1", "--json").facts
    assert shown == said.facts

    html, markdown = tmp_path / "new" / "sweep.html", tmp_path / "sweep.md"
    files = ("--html", html, "--markdown", markdown)
    text = movierec(project, "sweeps", "show", "biases-1", *files).out
    assert f"{best['value']:.4f}" in text
    assert "What mattered for val_rmse" in text
    assert html.stat().st_size > 1_000_000
    assert markdown.read_text().count("\n| ") == 12  # headings, rule, ten trials

    program, *words = shlex.split(said.facts["command"])
    assert program == "movierec"
    version = movierec(project, *words)
    assert version.code == 0
    trained = movierec(project, "versions", "show", "v1.0.0", "--json").facts["version"]
    assert trained["metadata"]["hyperparameters"] == best["hyperparameters"]
    assert trained["split_label"] == said.facts["split"]


def test_a_name_alone_goes_on_as_it_was(project):
    options = ("--name", "mine", "--set", "epochs=4", "--search", "user_regularization")
    assert movierec(project, *BIASES, 2, *options).code == 0
    again = movierec(project, "sweep", "--name", "mine", "--trials", 1, "--json").facts
    assert (again["preset"], again["fixed"], len(again["trials"])) == ("biases", {"epochs": 4}, 3)
    refused = movierec(project, *BIASES, 1, "--name", "mine")
    assert refused.code == 5
    assert "mine was started with another search space and other hyperparameters" in one_line(
        refused
    )


def test_sweeps_are_listed_and_deleted(project):
    movierec(project, *BIASES, 1, "--name", "gone")
    assert "gone" in movierec(project, "sweeps", "list").out
    assert movierec(project, "sweeps", "delete", "gone").code == 1  # nobody said yes
    assert movierec(project, "sweeps", "delete", "gone", "--yes", "--json").facts == {
        "deleted": "gone",
        "trials": 1,
    }
    assert "gone" not in movierec(project, "sweeps", "list").out
    assert movierec(project, "sweeps", "show", "gone").code == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--search", "dropout=0..1"], "dropout = 1.0 cannot be searched"),
        (["--search", "dropout", "--dropout", "0.1"], "dropout is both searched and fixed"),
        (["--loss-type", "bpr", "--search", "ranking_weight"], "set ranking_weight to 0"),
        (["--preset", "biases", "--set", "colour=1"], "colour"),
        (["--preset", "ease", "--metric", "val_rmse"], "metric = val_rmse"),
        (["--name", "a/b"], "name = 'a/b'"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_trial(project, words, said):
    before = movierec(project, "sweeps", "list", "--json").facts
    refused = movierec(project, "sweep", *words)
    assert refused.code == 2
    assert said in one_line(refused)
    assert movierec(project, "sweeps", "list", "--json").facts == before


def test_an_empty_list_says_how_to_start(empty_project):
    said = movierec(empty_project, "sweeps", "list")
    assert "Start one: movierec sweep" in said.out
    assert movierec(empty_project, "sweeps", "list", "--json").facts == []


def test_ctrl_c_says_how_to_go_on(project):
    # so much work that it is never over before the signal comes
    words = ["sweep", "--preset", "svd", "--name", "long", "--search", "regularization"]
    words += ["--set", "factors=1000", "--set", "epochs=1000", "--trials", "10000"]
    with subprocess.Popen(
        [sys.executable, "-m", "movierec", *words],
        env={**process_environment(project)}, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not _is_at_work(project, "long"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()  # one that does not hear would be waited for for ever
    assert process.returncode == 130
    assert "Do the missing trials with `movierec sweep --resume" in err
    assert "Traceback" not in err
    trials = movierec(project, "sweeps", "show", "long", "--json").facts["trials"]
    assert [trial["state"] for trial in trials].count("stopped") == 1


def _is_at_work(project, name: str) -> bool:
    shown = movierec(project, "sweeps", "show", name, "--json")
    return shown.code == 0 and bool(shown.facts["trials"])


STEPS = [
    (["--help"], "optuna torch plotly"),
    (["sweep", "--help"], "optuna torch plotly sklearn"),
    (["sweeps", "--help"], "optuna torch plotly sklearn"),
    (["sweeps", "list"], "torch plotly sklearn surprise"),
]
PROGRAM = """
import json, sys
from movierec.cli.main import app, run

for command, absent in json.loads(sys.argv[1]):
    run(app, command)
    found = [name for name in absent.split() if name in sys.modules]
    sys.stderr.write(json.dumps(found) + "\\n")
"""


def test_commands_load_no_more_than_they_need(project):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(STEPS)],
        capture_output=True, text=True, check=True, env={**process_environment(project)},
    )  # fmt: skip
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert found == [[] for _ in STEPS]
