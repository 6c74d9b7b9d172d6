"""`movierec compare`: the same numbers as metadata.json, the JSON, the CSV and the table."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from html import unescape

import pytest

from movierec.comparison.compare import as_csv, as_dict
from movierec.comparison.metrics import METRICS, Metric, values_of
from movierec.comparison.sentences import delta_text, interval_text, value_text
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import open_store
from movierec.workflows.compare import compare_versions
from tests.support.project import movierec, one_line, process_environment

A, B, EASE, OTHER_SPLIT = "v1.0.0", "v1.1.0", "v1.3.0", "v1.5.0"


def test_every_way_out_gives_the_numbers_of_metadata(trained: Settings, tmp_path):
    table, report = tmp_path / "out" / "table.csv", tmp_path / "out" / "report.html"
    said = movierec(trained, "compare", A, B, EASE, "--csv", table, "--html", report, "--json")
    assert (said.code, said.err) == (0, "")
    found = compare_versions(trained, [A, B, EASE])
    assert said.facts == json.loads(json.dumps(as_dict(found)))
    assert table.read_text() == as_csv(found)
    with open_store(trained) as store:
        kept = {name: store.versions.get(name).metadata for name in (A, B, EASE)}
    for row in csv.DictReader(table.read_text().splitlines()):
        value = values_of(kept[row["version"]].evaluation)[row["metric"]]
        assert row["value"] == ("" if value != value else repr(value))
        assert said.facts["values"][row["version"]][row["metric"]] == (
            None if value != value else value
        )
    html = report.read_text()
    assert found.pairs[B].sentence in unescape(html)
    assert value_text("rmse", found.values[A]["rmse"]) in html
    assert sorted(path.name for path in report.parent.iterdir()) == ["report.html", "table.csv"]


def _head(metric: Metric) -> str:
    return f"{metric.label} {'↓' if metric.lower_is_better else '↑'}"


def test_the_table_has_values_changes_and_intervals(trained):
    said = movierec(trained, "compare", A, B, width=160)
    found = compare_versions(trained, [A, B])
    pair = found.pairs[B]
    assert (said.code, said.err) == (0, "")
    assert f"{pair.sentence}." in " ".join(said.out.split())
    rows = [line.strip() for line in said.out.splitlines()]
    lines = {m.key: next(row for row in rows if row.startswith(_head(m))) for m in METRICS}
    for metric in METRICS:
        assert value_text(metric.key, found.values[A][metric.key]) in lines[metric.key]
        assert delta_text(metric.key, pair.deltas[metric.key]) in lines[metric.key]
    for tested in pair.differences:
        assert interval_text(tested.metric, tested.low, tested.high) in lines[tested.metric]
        assert lines[tested.metric].endswith(tested.verdict)
    assert "changes in groups" in said.out


def test_the_baseline_is_the_current_version_unless_named(trained):
    with open_store(trained) as store:
        Registry(trained, store).promotion.promote(B)
    assert movierec(trained, "compare", A, B, "--json").facts["baseline"] == B
    assert movierec(trained, "compare", "current", A, "--json").facts["versions"] == [B, A]
    named = movierec(trained, "compare", A, B, "--baseline", A, "--json").facts
    assert named["baseline"] == A
    assert [*named["pairs"]] == [B]


def test_what_was_not_measured_alike_says_why_and_what_helps(trained):
    said = movierec(trained, "compare", A, OTHER_SPLIT, width=200)
    assert said.code == 0
    assert f"{OTHER_SPLIT} can't be compared with {A}: the split's seed." in said.out
    assert f"`movierec versions measure {A} {OTHER_SPLIT}`" in said.out
    facts = movierec(trained, "compare", A, OTHER_SPLIT, "--json").facts["pairs"][OTHER_SPLIT]
    assert not facts["is_comparable"]
    assert (facts["differences"], facts["deltas"]) == ([], {})
    assert [(o["key"], o["baseline"], o["version"]) for o in facts["obstacles"]] == [
        ("seed", "42", "7")
    ]


def test_files_that_are_gone_are_named(trained):
    shutil.rmtree(trained.models_path / B)
    said = movierec(trained, "compare", A, B, width=200)
    assert said.code == 0
    assert "the folder" in said.out
    assert "Restore" in said.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([A], 7, "needs two versions"),
        ([A, A], 7, f"Version {A} is named twice"),
        (["current", A], 7, f"(as {A} and current)"),
        ([A, "v9.0.0"], 4, "v9.0.0"),
        ([A, "../../etc"], 4, "etc"),
        ([A, B, "--baseline", EASE], 7, f"baseline {EASE} is not among"),
        ([A, B, "--baseline", "v9.0.0"], 4, "v9.0.0"),
    ],
)
def test_what_cannot_be_asked_is_one_line(trained, arguments, code, words):
    said = movierec(trained, "compare", *arguments)
    assert said.code == code
    assert words in one_line(said)


def test_a_file_that_cannot_be_written_leaves_nothing(trained, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("kept")
    said = movierec(trained, "compare", A, B, "--csv", blocked / "table.csv")
    assert said.code == 2
    assert "cannot be written" in one_line(said)
    assert blocked.read_text() == "kept"


def test_it_waits_for_no_model_library(trained):
    """Nor for Streamlit; the report brings Plotly along."""
    program = (
        "import sys\nfrom movierec.cli.main import app, run\n"
        f"code = run(app, ['compare', '{A}', '{B}', '--html', 'r.html', '--json'])\n"
        "found = {'torch', 'surprise', 'sklearn', 'streamlit'} & {*sys.modules}\n"
        "sys.exit(f'{code} {found}' if code or found else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env={**process_environment(trained)}, cwd=trained.home,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
