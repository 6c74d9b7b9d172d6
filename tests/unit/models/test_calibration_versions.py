"""Calibration from training to a served version, on a small project."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from movierec.data.dataset import Dataset
from movierec.data.splits import Split, SplitSpec, make_split
from movierec.evaluation import evaluate
from movierec.evaluation.calibration import measure_calibration
from movierec.inference import load_version
from movierec.models.calibration import fit_calibration
from movierec.models.factors import FactorModel
from movierec.settings import Settings
from movierec.store import VersionRecord
from movierec.training.options import TrainingOptions
from movierec.workflows import validation as validation_part
from movierec.workflows.data import load_dataset
from movierec.workflows.requests import TrainRequest
from movierec.workflows.restore import restore_sage
from movierec.workflows.train import fit_model
from movierec.workflows.version import Fitted, Training
from tests.support.factories import make_dataset
from tests.support.project import SMALL, movierec, project_in, train_version

ORDINAL = {"loss_type": "ordinal", "head": "projection"}
# enough validation ratings that recalibrating a hardly trained model pays for certain
HALF = {"name": "random", "validation_fraction": 0.5}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return project_in(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def version(project: Settings) -> VersionRecord:
    return train_version(project, "report", hyperparameters=ORDINAL, split=HALF)


@pytest.fixture(scope="module")
def data() -> tuple[Dataset, Split]:
    dataset = make_dataset(80, 50, 0.4)
    return dataset, make_split(dataset, SplitSpec(**HALF))


def fitted_on(data: tuple[Dataset, Split], **request: object) -> Fitted:
    asked = TrainRequest.of(preset="report", hyperparameters={**SMALL, **ORDINAL}, **request)
    return fit_model(Training(asked, *data, TrainingOptions(device="cpu", seed=0)))


def test_the_metadata_says_what_the_calibration_was(version):
    facts = version.metadata.calibration.as_dict()
    assert facts["method"] in ("temperature", "cut points")
    split = version.metadata.evaluation.protocol.as_dict()
    assert facts["validation_ratings"] == split["n_validation"]
    assert facts["temperature"] != 1.0
    assert facts["val_nll_after"] < facts["val_nll_before"]
    assert {"val_ece_before", "val_ece_after", "reason"} <= set(facts)


def test_the_evaluation_is_of_the_calibrated_probabilities_that_are_served(project, version):
    loaded = load_version(version.name, project)
    split = make_split(loaded.dataset, SplitSpec(**HALF))
    test = loaded.dataset.ratings.take(split.test)
    served = measure_calibration(loaded.recommender, loaded.dataset.scale, test)
    stored = version.metadata.evaluation.calibration.as_dict()
    assert served.numbers == stored
    arrays = loaded.recommender.arrays()
    assert len(arrays.pop("calibration")) == len(loaded.dataset.scale.levels)
    bare = measure_calibration(FactorModel.from_arrays(arrays), loaded.dataset.scale, test)
    assert bare.numbers["nll"] != stored["nll"]
    rows = version.metadata.reliability
    assert sum(row.count for row in rows) == len(test) * (len(loaded.dataset.scale.levels) - 1)


def test_a_version_kept_before_there_was_a_calibration_still_loads(project, version):
    arrays = dict(load_version(version.name, project).recommender.arrays())
    predicted = FactorModel.from_arrays(arrays).predict(np.arange(9), np.arange(9))
    del arrays["calibration"]
    old = FactorModel.from_arrays(arrays)
    assert old.predict(np.arange(9), np.arange(9)).tobytes() == predicted.tobytes()
    np.testing.assert_allclose(
        old.rating_distribution(np.arange(9), np.arange(9)) @ old.scale.levels, predicted, rtol=1e-5
    )


def test_the_network_comes_back_with_its_calibration(project, version, calm_torch):
    import torch

    restored = restore_sage(version.name, project, torch.device("cpu"))
    served = load_version(version.name, project).recommender
    assert isinstance(served, FactorModel)
    pairs = np.arange(20), np.arange(20)
    np.testing.assert_allclose(
        restored.rating_distribution(*pairs), served.rating_distribution(*pairs), atol=1e-5
    )
    dataset = load_dataset("tiny", project)
    test = make_split(dataset, SplitSpec(**HALF)).test
    told = restored.with_interactions(dataset.ratings.take(test[:3]))
    assert told.factors.calibration.tobytes() == served.calibration.tobytes()


def test_predictions_are_those_of_the_uncalibrated_model(data, monkeypatch, calm_torch):
    dataset, split = data
    test = dataset.ratings.take(split.test)
    with_it = fitted_on(data).recommender
    monkeypatch.setattr("movierec.models.calibration.FEWEST_RATINGS", 10**9)
    without = fitted_on(data)
    assert without.facts["calibration"]["method"] == "none"
    assert "it takes 1000000000" in without.facts["calibration"]["reason"]
    plain = without.recommender
    ours, theirs = (m.predict(test.user, test.movie) for m in (with_it, plain))
    assert ours.tobytes() == theirs.tobytes()
    found = [evaluate(model, dataset, split) for model in (with_it, plain)]
    assert found[0].metrics() == found[1].metrics()
    assert found[0].calibration["ece"] != found[1].calibration["ece"]


@pytest.mark.parametrize("how", [{}, {"members": 2}, {"refit": True}], ids=str)
def test_the_graph_it_is_fitted_on_has_no_validation_rating(data, monkeypatch, calm_torch, how):
    dataset, split = data
    train, validation = (dataset.ratings.take(part) for part in (split.train, split.validation))
    seen = []

    def listening(factors: FactorModel, ratings):
        seen.append((factors, ratings))
        return original(factors, ratings)

    original = validation_part.calibrate
    monkeypatch.setattr(validation_part, "calibrate", listening)
    made = fitted_on(data, **how)
    ((factors, ratings),) = seen
    assert set(zip(ratings.user, ratings.movie, strict=True)) == set(
        zip(validation.user, validation.movie, strict=True)
    )
    recommender = made.recommender
    raw = factors.raw(ratings.user, ratings.movie)
    assert np.abs(raw - recommender.factors.raw(ratings.user, ratings.movie)).max() > 1e-4
    if "refit" not in how:  # the same weights over the train graph, and over one with more
        over_train = type(recommender)(
            recommender.members, recommender.features, train, dataset.scale
        ).factors
        np.testing.assert_array_equal(raw, over_train.raw(ratings.user, ratings.movie))
    expected = fit_calibration(factors, validation).numbers(recommender.factors)
    assert recommender.factors.calibration.tobytes() == expected.tobytes()


def test_a_graphsage_without_an_ordinal_head_says_nothing_of_it(project):
    facts = train_version(project, "report").metadata.as_dict()
    assert "calibration" not in facts
    assert facts["evaluation"]["calibration"]["ece"] is None
    assert facts["reliability"] == []


def test_evaluate_shows_how_sure_it_is(project, version):
    said = movierec(project, "evaluate", version.name, width=140)
    stored = version.metadata.evaluation.calibration.as_dict()
    assert "How sure it is, and how rightly" in said.out
    assert f"{stored['ece']:.4f}" in said.out
    assert f"{stored['nll']:.4f}" in said.out
    facts = movierec(project, "evaluate", version.name, "--json").facts
    assert facts["calibration"] == stored
    assert facts["reliability"] == [row.as_dict() for row in version.metadata.reliability]
    plain = train_version(project, "ease")
    assert "How sure it is" not in movierec(project, "evaluate", plain.name).out


def test_a_damaged_calibration_is_one_clear_error(project, version):
    path = Path(project.models_path, version.name, "serving", "calibration.npy")
    assert path.exists()
    kept = path.read_bytes()
    try:
        path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        said = movierec(project, "evaluate", version.name)
    finally:
        path.write_bytes(kept)
    assert said.code != 0
    assert "calibration.npy" in said.err
    assert json.dumps(said.err).count("Traceback") == 0
