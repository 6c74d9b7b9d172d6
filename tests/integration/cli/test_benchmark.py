"""`movierec benchmark --report` from the command to the page, with real processes."""

from __future__ import annotations

import json
import subprocess
import sys

from movierec.benchmark.report import read_report
from tests.conftest import PROJECT
from tests.support.project import movierec


def test_a_report_grows_and_measures_nothing_twice(project, tmp_path):
    path, rows = tmp_path / "cold.json", tmp_path / "rows.json"
    arguments = ["benchmark", "--models", "mean", "--report", path, "--json", rows, "--splits"]
    splits = "cold-users:given=1,cold-users:given=3"
    said = movierec(project, *arguments, splits, width=140)
    assert said.code == 0, said.err
    assert "Test part of cold-users (3 given), seed 42, 1 seed" in said.out
    first = read_report(path)
    assert [row["split_label"] for row in first.rows] == [
        "cold-users (1 given), seed 42",
        "cold-users (3 given), seed 42",
    ]
    assert [len(row) for row in json.loads(rows.read_text())] == [12, 12]

    said = movierec(project, *arguments, f"{splits},temporal", width=140)
    assert "3 rows are in" in said.err
    grown = read_report(path)
    assert grown.rows[:2] == first.rows  # seconds included: these are the rows of before
    assert [row["run"] for row in grown.rows] == [0, 0, 1]
    assert grown.runs[1]["command"].endswith("--report cold.json")
    assert str(tmp_path) not in path.read_text() + path.with_suffix(".md").read_text()

    page = tmp_path / "page" / "README.md"
    command = [sys.executable, "benchmarks/report.py", path, "--page", page]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "RMSE after 1 | RMSE after 3" in page.read_text()
    assert len(list((page.parent / "pictures").iterdir())) == 1
    command = [sys.executable, "benchmarks/report.py", rows]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.stderr == (
        "Error: rows.json is no report of a benchmark. Name another file, or move this one away.\n"
    )
    assert done.returncode == 3
