"""Versions in a real MLflow tracking store, read back with MLflow's own client."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from movierec.errors import ArtifactError, NotFoundError, StoreError
from movierec.export.mlflow import Exported, export_to_mlflow
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import VersionRecord, open_store
from tests.support.project import movierec, one_line, train_version

pytestmark = pytest.mark.skipif(find_spec("mlflow") is None, reason="`make mlflow` installs it")


@pytest.fixture(scope="module")
def trained(project: Settings) -> VersionRecord:
    train_version(project, "popular")
    train_version(project)
    with open_store(project) as store:
        registry = Registry(project, store)
        registry.tag("v1.1.0", ["good"])
        return registry.annotate("v1.1.0", "The second.")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def client(uri: str) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
        from mlflow import MlflowClient

        yield MlflowClient(uri)


def exported(settings: Settings, names: list[str], uri: str) -> list[Exported]:
    with open_store(settings) as store:
        return export_to_mlflow(Registry(settings, store), store, names, uri, "tests")


def only_run(client: Any, export: Exported) -> Any:
    (run,) = [
        run
        for run in client.search_runs([export.experiment_id])
        if run.data.tags["movierec.version"] == export.version
    ]
    assert run.info.run_id == export.run_id
    return run


def test_everything_arrives(project, trained, uri, client):
    (export,) = exported(project, ["v1.1.0"], uri)
    assert export.is_new
    run = only_run(client, export)
    facts = trained.metadata.as_dict()
    assert run.info.status == "FINISHED"
    assert run.data.params["hidden_dim"] == "8"
    assert set(facts["hyperparameters"]) < set(run.data.params)
    assert run.data.metrics["test/rmse"] == facts["evaluation"]["rmse"]
    assert run.data.metrics["test/full/ndcg_at_10"] == facts["evaluation"]["full"]["ndcg_at_10"]
    assert run.data.metrics["floors/biases/rmse"] == facts["floors"]["biases"]["rmse"]
    assert run.data.tags["movierec.fingerprint"] == trained.fingerprint
    assert run.data.tags["movierec.split"] == trained.split_label
    assert run.data.tags["movierec.tags"] == "good"
    assert run.data.tags["mlflow.note.content"] == "The second."


def test_each_epoch_is_a_step(project, trained, uri, client):
    (export,) = exported(project, ["v1.1.0"], uri)
    history = trained.metadata.training_history
    for name in ("train_loss", "val_rmse"):
        points = client.get_metric_history(export.run_id, name)
        found = [(point.step, point.value) for point in sorted(points, key=lambda p: p.step)]
        assert found == [(row.epoch, getattr(row, name)) for row in history]


def test_its_files_and_its_card_arrive(project, trained, uri, client, tmp_path):
    (export,) = exported(project, ["v1.1.0"], uri)
    copy = Path(client.download_artifacts(export.run_id, "version", str(tmp_path)))
    with open_store(project) as store:
        folder = Registry(project, store).path("v1.1.0")
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert files == {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()}
    assert all((copy / name).read_bytes() == (folder / name).read_bytes() for name in files)
    card = Path(client.download_artifacts(export.run_id, "model_card.md", str(tmp_path)))
    assert card.read_text().startswith("# v1.1.0: report on tiny")
    assert copy.is_relative_to(tmp_path)
    assert "mlartifacts" in client.get_run(export.run_id).info.artifact_uri


def test_exported_twice_it_is_one_run_with_its_words_of_today(project, trained, uri, client):
    (first,) = exported(project, ["v1.1.0"], uri)
    before = client.get_run(first.run_id)
    with open_store(project) as store:
        Registry(project, store).annotate("v1.1.0", "Other notes.")
    (second,) = exported(project, ["v1.1.0"], uri)
    assert (second.run_id, second.is_new) == (first.run_id, False)
    run = only_run(client, second)
    assert run.data.tags["mlflow.note.content"] == "Other notes."
    assert (run.data.metrics, run.data.params) == (before.data.metrics, before.data.params)
    assert len(client.get_metric_history(first.run_id, "val_rmse")) == 3


def test_one_that_was_cut_off_is_completed(project, trained, uri, client, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("mlflow.MlflowClient.log_artifacts", fail)
        with pytest.raises(StoreError, match="No space left on device"):
            exported(project, ["v1.0.0"], uri)
    (export,) = exported(project, ["v1.0.0"], uri)
    run = only_run(client, export)
    assert (export.is_new, run.info.status) == (True, "FINISHED")
    assert client.list_artifacts(export.run_id, "version")


def test_nothing_is_said_but_the_answer(project, trained, uri):
    words = ("versions", "export", "v1.0.0", "v1.1.0", "--mlflow", uri, "--experiment", "tests")
    said = movierec(project, *words, "--json")
    assert [run["version"] for run in json.loads(said.out)["runs"]] == ["v1.0.0", "v1.1.0"]
    assert said.err == ""
    assert "v1.0.0 was already run" in movierec(project, *words, width=200).out


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://me:secret@127.0.0.1:1/x", "postgresql://…@127.0.0.1:1/x cannot be used"),
        ("nonsense://x", "nonsense://x cannot be used"),
        ("sqlite:////proc/nowhere/x.db", "cannot be used"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1 cannot be used: API request to"),
        ("file:///tmp/mlruns", "cannot be used: The filesystem tracking backend"),
    ],
)
def test_a_store_that_cannot_be_used(project, trained, address, told, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said = movierec(project, "versions", "export", "v1.0.0", "--mlflow", address)
    assert said.code == 5
    assert told in one_line(said)
    assert "secret" not in said.err


def test_versions_that_cannot_be_exported(project, trained, uri, client):
    with pytest.raises(NotFoundError):
        exported(project, ["v1.0.0", "v9.0.0"], uri)
    with open_store(project) as store:
        path = Registry(project, store).path("v1.0.0") / "serving/count.npy"
    path = next(path.parent.glob("*.npy"))
    before = path.read_bytes()
    path.write_bytes(before + b"x")
    try:
        with pytest.raises(ArtifactError, match=r"v1\.0\.0 cannot be exported"):
            exported(project, ["v1.0.0"], uri)
    finally:
        path.write_bytes(before)


def test_a_deleted_experiment_is_told(project, trained, uri, client):
    client.delete_experiment(client.create_experiment("gone"))
    words = ("versions", "export", "v1.0.0", "--mlflow", uri, "--experiment", "gone")
    assert "The experiment 'gone' is deleted" in one_line(movierec(project, *words))
