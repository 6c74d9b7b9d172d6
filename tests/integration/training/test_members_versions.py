"""Members and refits from the command line to a version that answers."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from movierec.data.splits import SplitSpec, make_split
from movierec.errors import ArtifactError, HyperparameterError
from movierec.evaluation import rmse
from movierec.inference import load_version
from movierec.jobs.execute import execute
from movierec.jobs.foreground import queue_train, train_run
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import RunRecord, open_store
from movierec.training.fit import member_seeds
from movierec.workflows.data import load_dataset
from movierec.workflows.measure import evaluate_version
from movierec.workflows.requests import TrainRequest
from movierec.workflows.restore import largest_difference, restore_sage
from tests.integration.test_scripts import call
from tests.support.project import SMALL, get_run, movierec, one_line, project_in, train_version
from tests.support.sage_cases import Watch

pytestmark = pytest.mark.usefixtures("calm_torch")

COLD = {"name": "cold-users", "given": 4}
KINDS = {
    "members": {"members": 3},
    "refit": {"refit": True},
    "both": {"members": 2, "refit": True},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return project_in(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def kept(project: Settings):
    """A version of each kind, by split."""
    return {
        (kind, split): train_version(project, "default", split=spec, seed=3, **how)
        for kind, how in KINDS.items()
        for split, spec in (("random", {"name": "random"}), ("cold", COLD))
    }


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def test_the_network_comes_back_from_one_file_and_agrees_with_what_is_served(project, kept, kind):
    for split in ("random", "cold"):
        record = kept[kind, split]
        restored = restore_sage(record.name, project, torch.device("cpu"))
        assert len(restored.members) == KINDS[kind].get("members", 1)
        assert largest_difference(restored, record.name, project) < 1e-5


def test_what_is_served_is_what_was_measured(project, kept, kind):
    record = kept[kind, "random"]
    loaded = load_version(record.name, project)
    rows = pd.read_parquet(project.models_path / record.name / "per_rating.parquet")
    user, movie = rows["user_index"].to_numpy(), rows["movie_index"].to_numpy()
    predicted = loaded.recommender.predict(user, movie)
    np.testing.assert_array_equal(predicted, rows["prediction"].to_numpy())
    assert rmse(predicted, rows["rating"]) == pytest.approx(record.metadata.evaluation.rmse)
    again = evaluate_version(record.name, project).as_dict()
    assert again["rmse"] == record.metadata.evaluation.rmse


def test_new_users_are_answered_from_what_they_told(project, kept, kind):
    loaded = load_version(kept[kind, "cold"].name, project)
    split = make_split(loaded.dataset, SplitSpec(**COLD))
    newcomers = np.unique(loaded.dataset.ratings.user[split.support])
    scores = loaded.recommender.score(newcomers)
    assert not np.allclose(scores, scores[0])


def test_metadata_says_what_was_done(project, kept, kind):
    facts, how = kept[kind, "random"].metadata.as_dict(), KINDS[kind]
    members, refit = how.get("members", 1), how.get("refit", False)
    assert (facts["members"], facts["refit"]) == (members, refit)
    assert facts["member_seeds"] == member_seeds(3, members)
    assert [row["ratings"] for row in facts["fits"]] == ratings_of_fits(project, members, refit)
    assert facts["epochs_trained"] == len(facts["training_history"]) == SMALL["epochs"]
    assert facts["best_epoch"] == facts["fits"][0]["best_epoch"]
    registered = Path(project.models_path / facts["model_version"])
    weights = torch.load(registered / "graphsage_model.pth", weights_only=True)
    assert facts["num_parameters"] == sum(value.numel() for value in weights.values())


def ratings_of_fits(project: Settings, members: int, refit: bool) -> list[int]:
    split = make_split(load_dataset("tiny", project), SplitSpec())
    train, both = len(split.train), len(split.train) + len(split.validation)
    return [train, *[both] * members] if refit else [train] * members


def test_the_validation_metrics_are_of_what_had_not_seen_the_validation_part(kept, kind):
    """With a refit those of the fit before it, which is its best epoch; else of the average."""
    facts = kept[kind, "random"].metadata.as_dict()
    best = facts["training_history"][facts["best_epoch"] - 1]
    of_first = facts["metrics"]["val_rmse"] == pytest.approx(best["val_rmse"], abs=1e-6)
    assert of_first is facts["refit"]
    said = "the fit before the refit" if facts["refit"] else "the version"
    assert facts["metrics_measured_on"] == said
    assert facts["metrics"]["best_val_loss"] == best["val_loss"]


def test_the_runs_epochs_are_those_of_the_first_fit(project, kept, kind):
    record = kept[kind, "random"]
    with open_store(project) as store:
        epochs, run = store.runs.epochs(record.run_id), store.runs.get(record.run_id)
    history = record.metadata.training_history
    assert [(e.epoch, e.val_rmse) for e in epochs] == [(h.epoch, h.val_rmse) for h in history]
    assert list(Path(run.log_path).parent.glob("*.pt")) == []


def test_every_version_is_whole(project, kept):
    with open_store(project) as store:
        registry = Registry(project, store)
        assert all(registry.verify(record.name) == [] for record in kept.values())


def claim(project: Settings, name: str, members: object) -> None:
    """Change the number of members in a version's row, in which nothing is hashed."""
    with open_store(project) as store, store.engine.begin() as connection:
        sql = "UPDATE versions SET metadata = json_set(metadata, '$.members', ?) WHERE name = ?"
        assert connection.exec_driver_sql(sql, (members, name)).rowcount == 1


@pytest.mark.parametrize("claimed", [1, 2, 4, 0, 10**9, "many"])
def test_another_number_of_members_does_not_fit_the_weights(project, kept, claimed):
    name = kept["members", "random"].name
    claim(project, name, claimed)
    with pytest.raises(ArtifactError, match="do not fit together"):
        restore_sage(name, project, torch.device("cpu"))
    claim(project, name, 3)
    assert len(restore_sage(name, project, torch.device("cpu")).members) == 3


def queued(settings: Settings, **request: object) -> RunRecord:
    small = {"hyperparameters": SMALL, "preset": "default", "split": {"name": "random"}}
    return queue_train(settings, TrainRequest.of(**{**small, **request})).record


def test_progress_only_grows_through_all_fits(project, kind):
    told: list[tuple[str, float]] = []
    run = queued(project, **KINDS[kind])
    done = execute(project, run.id, on_progress=lambda *words: told.append(words))
    shares = [share for _, share in told]
    assert done.state == "succeeded"
    assert shares == sorted(shares)
    said = {
        "members": {"member 1 of 3, epoch 1 of 3", "member 3 of 3, epoch 3 of 3"},
        "refit": {"epoch 3 of 3", "refit, epoch 1"},
        "both": {"epoch 3 of 3", "refit, member 1 of 2, epoch 1", "refit, member 2 of 2, epoch 1"},
    }
    stages = {stage for stage, _ in told}
    # a refit has as many epochs as were best
    assert said[kind] <= stages | {stage.rpartition(" of ")[0] for stage in stages}


class CtrlC(Watch):
    """Presses Ctrl-C where `Watch` would raise."""

    def _raise_at(self, *place: object) -> None:
        if (self.plans[-1].stage.number, *place) == self.place:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("place", [(2, "step", 1, 1), (2, "epoch", 1), (3, "step", 1, 2)], ids=str)
def test_ctrl_c_in_a_later_fit_and_resuming_give_the_same_version(project, place):
    straight = train_version(project, "default", members=2, refit=True)
    run = queued(project, members=2, refit=True)
    with pytest.raises(KeyboardInterrupt):
        execute(project, run.id, hooks=[CtrlC(*place)])
    stopped = get_run(project, run.id)
    assert (stopped.state, stopped.error) == ("interrupted", "Stopped before it ended.")
    record = train_run(project, run.id)
    assert record.metadata.evaluation == straight.metadata.evaluation
    assert record.metadata.metrics == straight.metadata.metrics
    assert list(Path(run.log_path).parent.glob("*.pt")) == []
    with open_store(project) as store:
        assert [epoch.epoch for epoch in store.runs.epochs(run.id)] == [1, 2, 3]


class Cancels(Watch):
    """Asks the run to stop, as the dashboard does, and gives the run time to hear it."""

    def __init__(self, settings: Settings, run_id: int, fit: int) -> None:
        super().__init__()
        self.settings, self.run_id, self.fit = settings, run_id, fit

    def on_step(self, epoch: int, step: int) -> None:
        super().on_step(epoch, step)
        if self.plans[-1].stage.number == self.fit:
            with open_store(self.settings) as store:
                store.runs.request_cancel(self.run_id)
            for _ in range(200):  # a run listens once a second
                time.sleep(0.05)


@pytest.mark.parametrize("fit", [2, 3])
def test_a_run_can_be_cancelled_in_a_later_fit(project, fit):
    run = queued(project, members=2, refit=True)
    hook = Cancels(project, run.id, fit)
    assert execute(project, run.id, hooks=[hook]).state == "cancelled"
    assert hook.plans[-1].stage.number == fit
    assert hook.calls[-1] == ("step", 1, 1)


def test_the_command_line_trains_shows_and_checks(project):
    options = ["--hidden-dim", 8, "--num-layers", 1, "--epochs", 2, "--members", 2, "--refit"]
    said = movierec(project, "train", *options, "--json")
    assert said.code == 0, said.err
    facts = said.facts["metadata"]
    assert (facts["members"], facts["refit"], len(facts["fits"])) == (2, True, 3)
    checked = call(project, "test_model", facts["model_version"])
    assert checked.code == 0, checked.err
    assert "are whole" in checked.out
    assert "differ from the served by" in checked.out


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ("--members 0", "members = 0: input should be greater than or equal to 1"),
        ("--members 33", "members = 33: input should be less than or equal to 32"),
        ("--preset svd --members 2", "Only a GraphSAGE can be averaged or refitted"),
        ("--preset ease --refit", "not the baseline ease. Leave members and refit out"),
        ("--resume 1 --refit", "Use `movierec train --resume 1` alone"),
        ("--resume 1 --members 2", "Use `movierec train --resume 1` alone"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(project, arguments, cause):
    said = movierec(project, "train", *arguments.split())
    assert said.code == 2
    assert cause in one_line(said)


@pytest.mark.parametrize(
    ("how", "label"),
    [
        ({}, "default"),
        ({"refit": True}, "default, refit"),
        ({"members": 5}, "default, 5 members"),
        ({"members": 5, "refit": True}, "default, 5 members, refit"),
        ({"preset": "ease"}, "ease"),
    ],
)
def test_a_request_says_what_a_table_calls_it(how, label):
    assert TrainRequest.of(**how).label == label


def test_the_library_takes_both(project):
    from movierec import train

    record = train("tiny", members=2, refit=True, settings=project, **SMALL)
    assert (record.metadata.members, record.metadata.refit) == (2, True)
    with pytest.raises(HyperparameterError, match="Only a GraphSAGE"):
        train("tiny", preset="mean", refit=True, settings=project)
