"""Training end to end on a small data set: what is kept, and that it answers as measured."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from movierec.data.splits import SplitSpec, make_split
from movierec.errors import HyperparameterError, NotFoundError, SettingsError
from movierec.evaluation import mae, rmse
from movierec.inference import LoadedVersion, load_version
from movierec.metadata import VersionMetadata
from movierec.plain import plain_dict
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import VersionRecord, open_store
from movierec.workflows.baselines import measured_baselines
from movierec.workflows.data import load_dataset
from movierec.workflows.measure import evaluate_version
from movierec.workflows.requests import MODELS, TrainRequest
from movierec.workflows.restore import largest_difference, restore_sage
from movierec.workflows.train import prepare
from tests.support.project import SMALL, project_in, runs_of, train_version

COLD = {"name": "cold-users", "given": 4}
KEPT = [(preset, split) for preset in ("report", "ease", "knn") for split in ("random", "cold")]

FIRST_REPORT = {
    "model_version", "training_date", "num_users_trained", "num_movies", "num_ratings",
    "hyperparameters", "metrics", "final_train_loss", "best_val_loss", "epochs_trained",
    "training_history", "device", "database_path",
}  # fmt: skip
BEYOND = {
    "metrics_protocol", "evaluation", "floors", "slices", "data_fingerprint", "split",
    "split_test_sha256", "seed", "git", "libraries", "durations", "peak_memory_mb", "files",
    "best_epoch", "threads", "user_ids_sha256", "movie_ids_sha256", "run_id", "parameters",
}  # fmt: skip
METRICS = {
    "val_rmse", "val_mae", "val_precision_10", "val_recall_10", "val_ndcg_10",
    "final_train_loss", "best_val_loss",
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return project_in(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def kept(project: Settings) -> dict[tuple[str, str], VersionRecord]:
    splits = {"random": {"name": "random"}, "cold": COLD}
    return {(p, s): train_version(project, p, split=splits[s], seed=3) for p, s in KEPT}


@pytest.fixture(params=KEPT, ids="-".join)
def version(request, kept) -> VersionRecord:
    return kept[request.param]


@pytest.fixture
def sage(kept) -> VersionRecord:
    return kept["report", "random"]


def metadata_file(settings: Settings, record: VersionRecord) -> dict:
    return json.loads((settings.models_path / record.name / "metadata.json").read_text())


def test_metadata_has_the_fields_of_the_first_report_and_those_beyond(project, version):
    facts = metadata_file(project, version)
    assert facts == version.metadata.as_dict()
    assert set(facts) >= FIRST_REPORT | BEYOND
    assert set(facts["metrics"]) == METRICS


def test_every_fact_has_a_field_of_its_type(version):
    facts = VersionMetadata.model_validate(version.metadata.as_dict())
    assert facts.model_extra == {}
    assert facts.evaluation.model_extra == {}
    assert facts.evaluation.calibration.model_extra == {}
    assert {*facts.evaluation.protocol.model_extra} == {"seed", "split_spec"}
    rows = [*facts.slices, *facts.reliability, *facts.training_history, *facts.fits]
    parts = [facts.durations, facts.git, facts.calibration, facts.residuals, facts.split, *rows]
    assert [part.model_extra for part in parts if part.model_extra] == []


def test_metadata_describes_this_training(project, sage):
    facts, dataset = sage.metadata.as_dict(), load_dataset("tiny", project)
    split = make_split(dataset, SplitSpec())
    assert facts["model_version"] == sage.name == "v1.0.0"
    assert facts["num_movies"] == 40
    assert facts["num_ratings"] == dataset.n_ratings
    assert facts["num_users_trained"] == len(set(dataset.ratings.user[split.train].tolist()))
    assert facts["hyperparameters"] | SMALL == facts["hyperparameters"]
    assert facts["hyperparameters"]["aggregator"] == "max"
    assert facts["database_path"] == "data/recommender.db"
    assert (facts["device"], facts["seed"]) == ("cpu", 3)
    assert facts["epochs_trained"] == 3 == len(facts["training_history"])
    assert facts["split"] == split.spec.model_dump()
    assert facts["split_test_sha256"] == split.sha256
    assert str(project.home) not in json.dumps(facts)


def test_the_metrics_are_those_of_the_best_epoch(sage):
    facts = sage.metadata.as_dict()
    best = facts["training_history"][facts["best_epoch"] - 1]
    assert facts["metrics"]["val_rmse"] == pytest.approx(best["val_rmse"], abs=1e-6)
    assert facts["metrics"]["val_ndcg_10"] == pytest.approx(best["val_ndcg_10"], abs=1e-6)
    assert facts["metrics"]["best_val_loss"] == best["val_loss"] == facts["best_val_loss"]
    assert facts["metrics"]["final_train_loss"] == facts["training_history"][-1]["train_loss"]
    for name in METRICS:
        assert math.isfinite(facts["metrics"][name]), name


def test_a_baseline_says_that_it_has_no_validation_and_what_its_settings_are(kept):
    facts = kept["ease", "random"].metadata.as_dict()
    assert facts["metrics"] == dict.fromkeys(METRICS)
    assert facts["training_history"] == []
    assert facts["epochs_trained"] == 0
    assert facts["hyperparameters"] == {"regularization": 500.0}
    assert kept["ease", "random"].parameters == 40 * 40


def test_the_history_is_the_runs_epochs(project, sage):
    with open_store(project) as store:
        run, epochs = store.runs.get(sage.run_id), store.runs.epochs(sage.run_id)
    rows = [asdict(epoch) for epoch in epochs]
    assert all(row.pop("memory_mb") > 0 for row in rows)  # the run's, not the version's
    assert [epoch.as_dict() for epoch in sage.metadata.training_history] == rows
    assert (run.state, run.version, run.progress) == ("succeeded", sage.name, 1.0)
    assert not Path(run.log_path).with_name("checkpoint.pt").exists()


def test_every_version_is_whole_and_the_first_is_current(project, kept):
    with open_store(project) as store:
        registry = Registry(project, store)
        assert all(registry.verify(record.name) == [] for record in kept.values())
        assert registry.get("current").name == kept["report", "random"].name
        assert [v.name for v in registry.list()] == [f"v1.{i}.0" for i in reversed(range(6))]


def test_the_files_of_a_graphsage(sage):
    files = {name for name in sage.metadata.files if not name.startswith("serving/")}
    assert files == {
        "graphsage_model.pth", "preprocessor.pkl", "per_user.parquet", "per_rating.parquet",
    }  # fmt: skip


def test_evaluating_again_gives_the_stored_numbers(project, version):
    stored = version.metadata.evaluation.as_dict()
    again = plain_dict(evaluate_version(version.name, project).as_dict())
    assert again == stored


def served(project: Settings, version: VersionRecord) -> tuple[LoadedVersion, pd.DataFrame]:
    path = project.models_path / version.name / "per_rating.parquet"
    return load_version(version.name, project), pd.read_parquet(path)


def test_what_is_served_is_what_was_measured(project, version):
    loaded, rows = served(project, version)
    user, movie = rows["user_index"].to_numpy(), rows["movie_index"].to_numpy()
    predicted = loaded.recommender.predict(user, movie)
    np.testing.assert_array_equal(predicted, rows["prediction"].to_numpy())
    stored = version.metadata.evaluation.as_dict()
    if stored["rmse"] is not None:
        assert rmse(predicted, rows["rating"]) == pytest.approx(stored["rmse"], abs=1e-6)
        assert mae(predicted, rows["rating"]) == pytest.approx(stored["mae"], abs=1e-6)


def test_recommended_lists_are_those_that_were_measured(project, version):
    loaded, rows = served(project, version)
    hits = rows[rows["recommended"]]
    assert len(hits)
    for user, group in hits.groupby("user_index"):
        lines = loaded.recommend(str(loaded.dataset.users.ids[user]), 10)
        listed = {loaded.dataset.movies.index(line.movie_id) for line in lines}
        tied = len({line.score for line in lines}) < len(lines)
        assert tied or set(group["movie_index"]) <= listed


@pytest.mark.parametrize("preset", ["report", "ease", "knn"])
def test_new_users_are_served_from_what_they_told(project, kept, preset):
    loaded = load_version(kept[preset, "cold"].name, project)
    split = make_split(loaded.dataset, SplitSpec(**COLD))
    newcomers = np.unique(loaded.dataset.ratings.user[split.support])
    assert len(newcomers) == 6
    scores = loaded.recommender.score(newcomers)
    assert not np.allclose(scores, scores[0])


@pytest.mark.parametrize("split", ["random", "cold"])
def test_the_network_comes_back_from_its_files(project, kept, split, calm_torch):
    import torch

    record = kept["report", split]
    restored = restore_sage(record.name, project, torch.device("cpu"))
    assert largest_difference(restored, record.name, project) < 1e-5


def test_floors_stand_beside_every_version(version):
    assert set(version.metadata.floors) == {"random", "constant", "popular", "biases"}


def test_floors_are_measured_once_and_again_when_their_file_is_broken(project, kept):
    dataset = load_dataset("tiny", project)
    split = make_split(dataset, SplitSpec())
    first = measured_baselines(dataset, split, project)
    files = list((project.data_path / "cache" / "floors").iterdir())
    assert len(files) == 2  # one per split
    for path in files:
        path.write_text('{"written": "by hand"}')
    assert measured_baselines(dataset, split, project) == {"written": "by hand"}
    for path in files:
        path.write_text("{")
    assert measured_baselines(dataset, split, project) == first


def test_floors_are_given_even_where_they_cannot_be_kept(project, tmp_path):
    dataset = load_dataset("tiny", project)
    (tmp_path / "data").write_text("not a folder")
    nowhere = project.model_copy(update={"home": tmp_path})
    found = measured_baselines(dataset, make_split(dataset, SplitSpec()), nowhere)
    assert set(found) == {"random", "constant", "popular", "biases"}


def test_the_same_request_gives_the_same_numbers(project, sage):
    again = train_version(project, "report", seed=3)
    other = train_version(project, "report", seed=4)
    assert again.metadata.evaluation == sage.metadata.evaluation
    assert other.metadata.evaluation != sage.metadata.evaluation
    for record in (again, other):
        assert not record.is_current


def test_a_version_can_be_made_current_by_its_training(project, kept):
    record = train_version(project, "mean", make_current=True)
    assert record.is_current
    with open_store(project) as store:
        Registry(project, store).promotion.promote(kept["report", "random"].name)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"dataset": "nope"}, NotFoundError),
        ({"preset": "report", "device": "tpu"}, SettingsError),
        ({"hyperparameters": {"hidden_dim": "wide"}}, HyperparameterError),
        ({"split": {"name": "u1", "colour": 3}}, HyperparameterError),
        ({"preset": "mean", "surprise": 1}, HyperparameterError),
    ],
)
def test_requests_that_cannot_be_are_refused_before_they_start(project, kept, fields, kind):
    before = len(runs_of(project))
    with pytest.raises(kind):
        train_version(project, fields.pop("preset", "svd"), **fields)
    assert len(runs_of(project)) == before


def test_a_prepared_request_names_its_data_set(project):
    assert prepare(TrainRequest.of(preset="mean"), project).request.dataset == "tiny"


def test_a_request_survives_its_row():
    for preset in MODELS:
        request = TrainRequest.of(preset=preset, split={"name": "u3"}, seed=5)
        assert TrainRequest.of(**json.loads(request.model_dump_json())) == request


def test_epochs_that_were_not_measured_stay_so(project):
    record = train_version(
        project, "report", hyperparameters={"loss_type": "bpr", "monitor": "val_ndcg_10"}
    )
    assert record.metadata.metrics["val_rmse"] is None
    assert record.metadata.evaluation.rmse is None
    with open_store(project) as store:
        epochs = store.runs.epochs(record.run_id)
    assert all(math.isnan(asdict(epoch)["val_rmse"]) for epoch in epochs)
