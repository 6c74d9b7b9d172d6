"""scripts/: training with every option of the first report, and checking a version."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from movierec.errors import ArtifactError
from movierec.export.version import export_version
from movierec.registry import Registry
from movierec.registry.files import problems_of
from movierec.settings import Settings
from movierec.store import open_store
from tests.support.project import (
    Said,
    movierec,
    one_line,
    process_environment,
    runs_of,
    train_version,
)

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def script(name: str) -> Any:
    """Return the Typer program of a script."""
    spec = spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


def call(settings: Settings, name: str, *arguments: object) -> Said:
    return movierec(settings, *arguments, program=script(name))


@pytest.fixture(scope="module", autouse=True)
def versions(project: Settings) -> None:
    train_version(project, "report")
    train_version(project, "svd")


def test_every_option_of_the_first_report(project, tmp_path):
    output = tmp_path / "output"
    database = project.data_path / "recommender.db"
    said = call(
        project, "train_model", "--db-path", database,
        "--hidden-dim", 8, "--num-layers", 2, "--aggregator", "mean", "--dropout", 0.2,
        "--loss-type", "mae", "--lr", 0.01, "--batch-size", 128, "--epochs", 2,
        "--early-stopping-patience", 3, "--output-dir", output, "--device", "cpu",
        "--split", "temporal", "--seed", 4, "--preset", "report",
    )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    (place,) = output.glob("v*")
    assert f"Saved in {place}." in said.out
    assert f"{place.name} (report, " in said.out
    assert "Test part of temporal 80/20" in said.out
    for file in ("graphsage_model.pth", "preprocessor.pkl", "metadata.json"):
        assert (output / "current" / file).is_file()
    facts = json.loads((place / "metadata.json").read_text())
    wanted = {
        "hidden_dim": 8, "num_layers": 2, "aggregator": "mean", "dropout": 0.2, "loss_type": "mae",
        "learning_rate": 0.01, "batch_size": 128, "epochs": 2, "early_stopping_patience": 3,
    }  # fmt: skip
    assert facts["hyperparameters"] | wanted == facts["hyperparameters"]
    assert (facts["seed"], facts["database_path"]) == (4, "data/recommender.db")
    checked = call(project, "test_model", place.name, "--db-path", database, "--models-dir", output)
    assert checked.code == 0, checked.err


def test_a_copy_leaves_the_projects_own_versions_as_they_are(project, tmp_path):
    with open_store(project) as store:
        before = store.versions.current().name
    said = call(project, "train_model", "--preset", "mean", "--output-dir", tmp_path / "out")
    assert said.code == 0
    with open_store(project) as store:
        registry = Registry(project, store)
        assert registry.reconcile() == []
        assert registry.get("current").name == before
        assert not any(record.is_missing for record in registry.list())
    name = runs_of(project)[0].version
    assert problems_of(tmp_path / "out" / name) == []
    kept = call(project, "train_model", "--preset", "mean", "--output-dir", project.models_path)
    assert f"Saved in {project.models_path}/v" in kept.out
    (tmp_path / "file").write_text("")
    refused = call(project, "train_model", "--preset", "mean", "--output-dir", tmp_path / "file")
    assert "'--output-dir'" in one_line(refused)
    with pytest.raises(ArtifactError, match=r"cannot be copied .* It is kept in"):
        export_version("current", tmp_path / "file" / "below", project)


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        ("--dropout 2", 2, "dropout = 2.0"),
        ("--preset nope", 2, "no model 'nope'"),
        ("--device tpu", 2, "no device called 'tpu'"),
        ("--split u1", 3, "u1 is a fold"),
        ("--db-path /nowhere/x.db", 2, "/nowhere/x.db"),
        ("--layers 3", 2, "No such option: --layers"),
    ],
)
def test_what_cannot_be_trained_is_one_line(project, arguments, code, cause):
    before = len(runs_of(project))
    said = call(project, "train_model", *arguments.split())
    assert cause in one_line(said)
    assert said.code == code
    assert len(runs_of(project)) == before


def test_a_good_version_in_a_process_of_its_own(project):
    done = subprocess.run(
        [sys.executable, SCRIPTS / "test_model.py", "--user", "u3"],
        capture_output=True, text=True, check=False, env=process_environment(project),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "files of v1.0.0 are whole." in done.stdout
    assert re.search(r"Parameters: [\d,]+\. Device: cpu\.", done.stdout)
    assert re.search(r"predictions differ from the served by \d\.\de[-+]0\d stars", done.stdout)
    assert "For user u3:\n  1. Movie " in done.stdout


def test_a_baseline_has_no_network(project):
    said = call(project, "test_model", "v1.1.0")
    assert (said.code, said.err) == (0, "")
    assert "A svd version has no network to load." in said.out
    assert "For user u0:" in said.out


def test_a_damaged_version_is_refused(project, tmp_path):
    broken = project.model_copy(update={"home": tmp_path / "copy"})
    shutil.copytree(project.home, broken.home, symlinks=True)
    weights = broken.models_path / "v1.0.0" / "graphsage_model.pth"
    weights.write_bytes(weights.read_bytes()[:-100])
    said = call(broken, "test_model")
    assert "Version v1.0.0 is not whole: graphsage_model.pth has" in one_line(said)
    assert "Restore its folder from a backup, or train again." in said.err
    assert said.code == 8
    shutil.rmtree(broken.models_path / "v1.0.0")
    assert "Its folder is missing." in one_line(call(broken, "test_model"))


def test_without_a_version_it_says_what_to_do(empty_project):
    said = call(empty_project, "test_model")
    assert "There is no current version. Train one" in one_line(said)
    assert said.code == 4
