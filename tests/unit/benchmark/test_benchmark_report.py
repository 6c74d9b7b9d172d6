"""Reports of benchmarks: kept rows, means over seeds, tables and pictures, from invented rows."""

from __future__ import annotations

import json
import sys
from xml.etree import ElementTree

import pytest

from movierec.benchmark.page import comparisons, fold_table, new_user_table, split_table, write_page
from movierec.benchmark.report import Report, ReportFile, joined, read_report, run_facts
from movierec.benchmark.row import label_of
from movierec.benchmark.run import benchmark
from movierec.benchmark.summary import MeanAndDeviation, sections, spread_of, summaries
from movierec.errors import FormatError, SettingsError
from movierec.store import open_store
from movierec.workflows.requests import TrainRequest, full_hyperparameters
from tests.support.project import project_in


def row(
    preset: str,
    rmse: float | None,
    ndcg: float,
    *,
    seed: int = 0,
    seconds: float = 2.0,
    split: dict | None = None,
    fingerprint: str = "a" * 64,
    **changes,
) -> dict:
    request = TrainRequest.of(
        preset=preset, seed=seed, dataset="tiny", split=split or {"name": "u1"}, **changes
    )
    return {
        "model": label_of(request),
        "split": request.split.name,
        "seed": seed,
        "rmse": rmse,
        "mae": None if rmse is None else rmse - 0.2,
        **{name: {"ndcg_at_10": ndcg} for name in ("full", "full_4", "rated")},
        "fit_seconds": seconds - 1,
        "predict_seconds": 0.5,
        "peak_memory_mb": 100.0,
        "parameters": 1234,
        "split_label": request.split.label,
        "whole_seconds": seconds,
        "dataset": "tiny",
        "fingerprint": fingerprint,
        "request": request.model_dump(mode="json"),
        "hyperparameters": full_hyperparameters(request),
        "run": 0,
    }


def run_of(command: str = "movierec benchmark", **changes) -> dict:
    machine = {"cpu": "Some CPU", "cores": 2, "threads": 2, "memory_gib": 8.0, "system": "Linux"}
    git = {"commit": "0123456789abcdef", "dirty": False}
    run = {"date": "2026-01-02T03:04:05+00:00", "command": command, "machine": machine}
    return {**run, "libraries": {"python": "3.11"}, "git": git, **changes}


ON_U1 = [
    row("ease", None, 0.50),
    row("svdpp", 0.91, 0.10, seed=0),
    row("svdpp", 0.93, 0.10, seed=1),
    row("default", 0.88, 0.52, seed=0),
    row("default", 0.89, 0.56, seed=1),
    row("default", 0.90, 0.60, seed=2),
]


def test_spreads_are_means_and_sample_deviations():
    assert spread_of([0.88, 0.89, 0.90]).text(3) == "0.890 ± 0.010"
    assert spread_of([1.0, None, 3.0]) == MeanAndDeviation(2.0, pytest.approx(2**0.5))
    assert spread_of([0.5, 0.5]) == MeanAndDeviation(0.5)
    assert spread_of([0.5, 0.50001]).text(3) == "0.500"
    assert spread_of([None]).text(3) == "–"
    assert spread_of([1234.0]).text(0) == "1,234"


def test_a_table_of_a_split():
    head, _, first, *others = split_table(summaries(ON_U1))
    assert head.startswith(
        "| model | RMSE | RMSE, time not told | MAE | NDCG@10 `full` | × EASE | NDCG@10 `rated` |"
    )
    assert first == (
        "| GraphSAGE `default` | **0.8900 ± 0.0100** | **0.8900 ± 0.0100** | **0.6900 ± 0.0100** | "
        "**0.5600 ± 0.0400** | 1.120 | **0.5600 ± 0.0400** | 2.0 | 1.0 | 1,234 | 3 |"
    )
    assert others == [
        "| EASE | – | – | – | 0.5000 | 1.000 | 0.5000 | 2.0 | 1.0 | 1,234 | 1 |",
        "| SVD++ | 0.9200 ± 0.0141 | 0.9200 ± 0.0141 | 0.7200 ± 0.0141 | 0.1000 | 0.200 | 0.1000 "
        "| 2.0 | 1.0 | 1,234 | 2 |",
    ]


def test_comparisons_say_which_way():
    rows = [*ON_U1, row("popular", None, 0.7), row("knn", 0.87, 0.1), row("mean", 1.1, 0.0)]
    assert comparisons(summaries(rows)) == [
        "- GraphSAGE `default`: NDCG@10 `full` is 1.120 × EASE and 0.800 × Most popular; "
        "RMSE is 0.0300 lower than SVD++ and 0.0200 higher than kNN-Baseline."
    ]
    assert comparisons(summaries(ON_U1[:3])) == []
    timed = row("default", 0.85, 0.5) | {"without_time": {"rmse": 0.88, "mae": 0.7}}
    assert comparisons(summaries([timed, row("svd", 0.9, 0.1)])) == [
        "- GraphSAGE `default`: RMSE is 0.0500 lower than SVD; without the time of a rating it is "
        "0.0200 lower than SVD."
    ]
    alone = [row("default", 0.9, 0.5), row("svd", 0.9, 0.1)]
    assert comparisons(summaries(alone)) == ["- GraphSAGE `default`: RMSE is that of SVD."]


def test_variants_and_changed_presets_are_not_averaged_together():
    rows = [row("default", 0.88, 0.5), row("default", 0.87, 0.5, members=5, refit=True)]
    rows.append(rows[0] | {"seed": 1, "rmse": 0.98, "hyperparameters": {"epochs": 1}})
    found = summaries(rows)
    assert [item.name for item in found] == [
        "GraphSAGE `default`",
        "GraphSAGE `default`, 5 members, refit",
        "GraphSAGE `default`",
    ]
    assert [item.mean("rmse") for item in found] == [0.88, 0.87, 0.98]


def test_what_does_not_compare_stands_apart():
    cold = [{"name": "cold-users", "given": given} for given in (1, 3)]
    rows = [
        *(row("mean", 1.0, 0.1, split=split) for split in cold),
        row("mean", 1.0, 0.1),
        row("mean", 1.0, 0.1, fingerprint="b" * 64),
        row("mean", 1.0, 0.1, split={"name": "u1", "validation_fraction": 0.2}),
        row("mean", 1.0, 0.1, split={"name": "random", "seed": 7}),
    ]
    found = sections(rows)
    labels = ["cold-users, seed 42", "u1", "u1", "u1, 20% validation", "random 80/20, seed 7"]
    assert [section.label for section in found] == labels
    assert [len(section.rows) for section in found] == [2, 1, 1, 1, 1]
    assert found[-1].slug == "random-80-20-seed-7"


def test_the_mean_over_folds_weighs_each_fold_once():
    folds = [row("svd", 0.9 + k / 100, 0.1 * k, split={"name": f"u{k}"}) for k in range(1, 6)]
    folds.append(row("svd", 0.95, 0.1, seed=1, split={"name": "u1"}))  # u1: mean 0.93
    partial = row("knn", 0.8, 0.1, split={"name": "u1"})
    *_, only = fold_table([*folds, partial])
    assert only == (
        "| SVD | 0.9300 ± 0.0283 | 0.9200 | 0.9300 | 0.9400 | 0.9500 | **0.9340** | **0.3000** |"
    )
    assert fold_table(folds[:4]) == []


def test_new_users_have_a_column_per_number_of_given_ratings():
    def cold(preset: str, rmse: float, ndcg: float, given: int) -> dict:
        return row(preset, rmse, ndcg, split={"name": "cold-users", "given": given})

    rows = [cold("knn", 1.02, 0.2, 10), cold("knn", 1.04, 0.1, 1), cold("svd", 1.03, 0.3, 1)]
    head, _, knn, svd = new_user_table(rows)
    assert head == (
        "| model | RMSE after 1 | RMSE after 10 "
        "| NDCG@10 `full` after 1 | NDCG@10 `full` after 10 |"
    )
    assert knn == "| kNN-Baseline | 1.0400 | **1.0200** | 0.1000 | **0.2000** |"
    assert svd == "| SVD | **1.0300** | – | **0.3000** | – |"


def test_reports_are_joined_and_the_last_row_of_a_training_wins():
    early, late = run_of("first"), run_of("second")
    old = Report([early], [row("svd", 0.9, 0.1), row("knn", 0.95, 0.1)])
    new = Report([run_of("unused"), late], [row("svd", 0.8, 0.1) | {"run": 1}])
    both = joined([old, new])
    assert [(r["model"], r["rmse"], r["run"]) for r in both.rows] == [
        ("svd", 0.8, 1),
        ("knn", 0.95, 0),
    ]
    assert both.runs == [early, late]
    assert joined([both, old]).runs == [early]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2, "runs": [], "rows": []}'])
def test_a_file_that_is_no_report_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"^report\.json"):
        ReportFile(path, run_of())
    assert path.read_text() == text


def test_rows_are_kept_after_each_fit_and_measured_once(tmp_path):
    settings, path = project_in(tmp_path), tmp_path / "results" / "a.json"
    request = TrainRequest.of(preset="mean", dataset="tiny")
    with open_store(settings) as store:
        fingerprint = store.datasets.get("tiny").fingerprint
    kept = row("mean", 1.25, 0.0, split={"name": "random"}, fingerprint=fingerprint)
    ReportFile(path, run_of()).add([kept])

    again = ReportFile(path, run_of(git={"commit": "f" * 16, "dirty": False}))
    assert benchmark([request], settings, report=again) == [kept]  # no process measures 1.25
    assert again.doubts() == [
        "Some rows kept from before were measured with another state of the code."
    ]
    find = ReportFile(path, run_of()).finder(settings)
    assert find(request) == kept
    for other in ({"seed": 1}, {"split": {"seed": 1}}, {"preset": "popular"}):
        fields = {"preset": "mean", "dataset": "tiny", **other}
        assert find(TrainRequest.of(**fields)) is None
    assert read_report(path) == Report([run_of()], [kept])


@pytest.mark.parametrize("changed", [{"fingerprint": "b" * 64}, {"hyperparameters": {"x": 1}}])
def test_rows_of_other_data_or_another_preset_are_measured_again(tmp_path, changed):
    settings = project_in(tmp_path)
    with open_store(settings) as store:
        fingerprint = store.datasets.get("tiny").fingerprint
    file = ReportFile(tmp_path / "a.json", run_of())
    file.add([row("biases", 1.0, 0.1, fingerprint=fingerprint) | changed])
    request = TrainRequest.of(preset="biases", dataset="tiny", split={"name": "u1"})
    assert file.finder(settings)(request) is None


def test_circumstances_tell_the_kind_of_machine_and_not_which(settings):
    run = run_facts("movierec benchmark", settings.model_copy(update={"threads": 3}))
    assert set(run) == {"date", "command", "machine", "libraries", "git"}
    assert set(run["machine"]) == {"cpu", "cores", "threads", "memory_gib", "system"}
    assert run["machine"]["threads"] == 3
    assert run["machine"]["memory_gib"] > 0.1
    assert str(settings.home) not in json.dumps(run)


def test_a_page_with_its_pictures(tmp_path):
    pytest.importorskip("matplotlib")
    cold = [{"name": "cold-users", "given": given} for given in (1, 3)]
    rows = [*ON_U1, *(row("knn", 1.0, 0.1, split=split) for split in cold)]
    report = Report([run_of("movierec benchmark --seeds 3")], rows)
    page, pictures = tmp_path / "README.md", tmp_path / "pictures"
    assert write_page(report, page, "Results", pictures=pictures) == []
    text = page.read_text()
    assert "(pictures/u1.svg)" in text
    assert "(pictures/cold-users-seed-42.svg)" in text
    assert "```sh\nmovierec benchmark --seeds 3\n```" in text
    assert "8 rows from 2026-01-02, commit `0123456789`, on Some CPU, cores: 2" in text
    drawn = {path.name: path.read_bytes() for path in pictures.iterdir()}
    for content in drawn.values():
        assert ElementTree.fromstring(content).tag.endswith("svg")
    write_page(report, page, "Results", pictures=pictures)
    assert {path.name: path.read_bytes() for path in pictures.iterdir()} == drawn


def test_without_matplotlib_the_page_is_written_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = tmp_path / "a.md"
    (problem,) = write_page(Report([run_of()], ON_U1), page, "A", pictures=tmp_path, prefix="a")
    assert "needs matplotlib" in problem
    assert "| EASE |" in page.read_text()
    assert ".svg" not in page.read_text()


def test_a_page_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be written"):
        write_page(Report(), tmp_path / "file" / "a.md", "A", pictures=tmp_path)
