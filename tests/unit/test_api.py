"""movierec as a library, as the README shows it."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

import movierec
from movierec import load_dataset, load_version, train
from movierec.data.dataset import Dataset
from movierec.data.splits import SplitSpec
from movierec.errors import HyperparameterError, NotFoundError, SourceError
from movierec.settings import Settings
from movierec.training.callbacks import EpochResult, Plan
from tests.support.factories import make_dataset
from tests.support.project import SMALL, environment, project_in, runs_of


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return project_in(tmp_path_factory.mktemp("project"))


class Listener:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_start(self, plan: Plan) -> None:
        self.heard.append(plan.epochs)

    def on_step(self, epoch: int, step: int) -> None: ...

    def on_epoch(self, result: EpochResult) -> None:
        self.heard.append(result.epoch)


def test_what_there_is():
    assert set(movierec.__all__) == {"load_dataset", "load_version", "train"}
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        movierec.fly  # noqa: B018


def test_from_data_to_recommendations(project):
    with environment(project):
        dataset = load_dataset("tiny")
        assert isinstance(dataset, Dataset)
        listener = Listener()
        version = train(dataset, preset="report", seed=1, hooks=[listener], **SMALL)
        lines = load_version("current").recommend("u1", k=3)
    assert listener.heard == [3, 1, 2, 3]
    assert version.is_current
    assert version.metadata.epochs_trained == 3
    assert [line.rank for line in lines] == [1, 2, 3]
    assert runs_of(project)[0].version == version.name


def test_settings_and_split_as_arguments(project):
    spec = SplitSpec(name="cold-users", given=2)
    record = train("tiny", preset="svd", split=spec, factors=3, epochs=2, settings=project)
    assert record.split_label == "cold-users (2 given), seed 42"
    assert record.metadata.hyperparameters["factors"] == 3
    assert load_version(record.name, settings=project).name == record.name
    assert load_dataset(settings=project).name == "tiny"
    by_name = train(preset="mean", split="temporal", settings=project)
    assert by_name.split_label == "temporal 80/20"


def test_a_data_set_is_known_by_its_content(project):
    renamed = dataclasses.replace(load_dataset("tiny", settings=project), name="mine")
    assert train(renamed, preset="mean", settings=project).dataset_name == "tiny"
    with pytest.raises(NotFoundError, match="'planted' is not in the database"):
        train(make_dataset(), preset="mean", settings=project)


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda s: train(preset="nope", settings=s), HyperparameterError, "no model 'nope'"),
        (lambda s: train(dropout=2.0, settings=s), HyperparameterError, "dropout = 2.0"),
        (lambda s: train(dropuot=0.2, settings=s), HyperparameterError, "dropuot"),
        (lambda s: train(split="u9", settings=s), HyperparameterError, "u9"),
        (lambda s: train("nope", settings=s), NotFoundError, "no data set 'nope'"),
        (lambda s: load_dataset("nope", settings=s), NotFoundError, "There is 'tiny'"),
        (lambda s: load_version("v9.0.0", settings=s), NotFoundError, "no version 'v9.0.0'"),
    ],
)
def test_mistakes_are_errors_with_a_way_out(project, call, kind, said):
    before = len(runs_of(project))
    with pytest.raises(kind, match=said):
        call(project)
    assert len(runs_of(project)) == before


def test_movielens_100k_is_fetched_when_it_is_not_there(tmp_path):
    settings = project_in(tmp_path, with_data=False)
    settings.data_path.mkdir()
    folder = settings.data_path / "ml-100k"  # where the fetch looks first
    folder.mkdir()
    (folder / "u.data").write_text("1\t1\t5\t880000000\n")
    with pytest.raises(SourceError, match=r"SHA-256|differs|not MovieLens|checksum"):
        load_dataset("ml-100k", settings=settings)
    shutil.rmtree(folder)
