"""A sweep on real parts: trained, measured on validation, stored, gone on with."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
import pytest
from filelock import FileLock
from markupsafe import escape

from movierec.data.splits import SplitSpec, make_split
from movierec.errors import NonFiniteError, NotFoundError, SplitError, StoreError
from movierec.models.factory import make_baseline
from movierec.store import open_store
from movierec.sweeps.export import html_page, markdown_table
from movierec.sweeps.identity import stored_request
from movierec.sweeps.objective import without_test
from movierec.sweeps.report import (
    IMPORTANCE,
    ImportanceKeeper,
    sweep_record,
    sweep_records,
)
from movierec.sweeps.request import SweepRequest
from movierec.sweeps.run import sweep
from movierec.sweeps.storage import SweepStore
from movierec.workflows.data import import_data
from movierec.workflows.requests import TrainRequest, full_hyperparameters
from movierec.workflows.train import fit_model, prepare
from movierec.workflows.validation import validation_metrics
from tests.support.factories import make_dataset
from tests.support.project import project_in, write_csvs

pytestmark = pytest.mark.usefixtures("calm_torch")

TINY = {"hidden_dim": 4, "num_layers": 1, "epochs": 3, "target_fraction": 0.5}
SAGE = {"training": {"hyperparameters": TINY}, "search": ["learning_rate=0.005..0.05:log"]}
BIASES = {"training": {"preset": "biases"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return project_in(tmp_path_factory.mktemp("project"))


def sage(**fields) -> SweepRequest:
    return SweepRequest.of(**{**SAGE, "trials": 2, **fields})


def biases(**fields) -> SweepRequest:
    return SweepRequest.of(**{**BIASES, "trials": 3, **fields})


def points(record) -> dict[int, dict]:
    return {trial.number: dict(trial.params) for trial in record.trials}


class Interrupting:
    """Raises at one epoch of one of the trainings it sees."""

    def __init__(self, error: BaseException, training: int, epoch: int) -> None:
        self.error, self.place, self.seen = error, (training, epoch), 0

    def on_start(self, plan) -> None:
        self.seen += 1

    def on_step(self, epoch: int, step: int) -> None: ...

    def on_epoch(self, result) -> None:
        if (self.seen, result.epoch) == self.place:
            raise self.error


def test_a_trial_is_worth_what_its_training_says_of_validation(project):
    record = sweep(sage(name="worth"), project)
    best = record.best
    assert record.counts == {"done": 2}
    training = TrainRequest(hyperparameters={**TINY, **best.params})
    fitted = fit_model(prepare(training, project))
    assert best.value == fitted.metrics["val_rmse"]
    assert best.metrics["val_ndcg_10"] == fitted.metrics["val_ndcg_10"]
    assert (best.best_epoch, best.epochs) == (fitted.best_epoch, len(fitted.history))
    # the sweep keeps what was asked for, the fit what the split made of it
    assert dict(best.hyperparameters) == fitted.hyperparameters | {"hiding": "auto"}


def test_a_baseline_is_fitted_on_the_train_part_alone(project):
    record = sweep(biases(name="alone", trials=1), project)
    with open_store(project) as store:
        dataset = store.datasets.load(None)
    split = make_split(dataset, SplitSpec())
    train, validation = (dataset.ratings.take(part) for part in (split.train, split.validation))
    parts = {"dataset": dataset, "train": train, "validation": validation}
    (trial,) = record.trials
    alone = make_baseline("biases", trial.params).fit(dataset, train, seed=0)
    both = make_baseline("biases", trial.params).fit(
        dataset, dataset.ratings.take(split.learnable), seed=0
    )
    assert trial.value == validation_metrics(alone, **parts)["rmse"]
    assert trial.value > validation_metrics(both, **parts)["rmse"]


def test_trials_have_no_test_part():
    dataset = make_dataset()
    split = make_split(dataset, SplitSpec())
    less, parts = without_test(dataset, split)
    assert less.n_ratings == len(split.train) + len(split.validation) < dataset.n_ratings
    assert len(parts.test) == len(parts.support) == 0
    for name in ("train", "validation"):
        now, then = (
            less.ratings.take(getattr(parts, name)),
            dataset.ratings.take(getattr(split, name)),
        )
        for column in ("user", "movie", "rating", "timestamp"):
            assert np.array_equal(getattr(now, column), getattr(then, column))
    known = {*zip(less.ratings.user, less.ratings.movie, strict=True)}
    test = dataset.ratings.take(split.test)
    assert known.isdisjoint(zip(test.user, test.movie, strict=True))


@pytest.mark.parametrize("request_", [sage(name="x", trials=3), biases(name="x", trials=5)])
def test_other_ratings_in_the_test_part_change_nothing(project, tmp_path, request_):
    """The same project but for its test part, where every opinion is turned round."""
    other = project_in(tmp_path, with_data=False)
    dataset = make_dataset(60, 40, 0.4)
    rating = dataset.ratings.rating.copy()
    test = make_split(dataset, SplitSpec()).test
    rating[test] = 6 - rating[test]
    turned = replace(dataset, ratings=replace(dataset.ratings, rating=rating))
    ratings = write_csvs(turned, tmp_path / "source")
    import_data(
        ratings, other, name="tiny",
        users=ratings.with_name("users.csv"), movies=ratings.with_name("movies.csv"),
    )  # fmt: skip
    assert pd.read_csv(ratings)["rating"].tolist() != dataset.ratings.rating.tolist()
    found = [sweep(request_, settings).trials for settings in (project, other)]
    seen = [[(t.number, t.params, t.value, t.metrics) for t in trials] for trials in found]
    assert seen[0] == seen[1]
    SweepStore(project).delete("x")


def test_the_first_trial_is_the_preset_and_the_best_is_first(project):
    record = sweep(biases(name="first", trials=6), project)
    first = next(trial for trial in record.trials if trial.number == 0)
    assert first.params == {"user_regularization": 15.0, "movie_regularization": 10.0}
    values = [trial.value for trial in record.trials]
    assert values == sorted(values)
    assert record.best.value == min(values)
    high = sweep(biases(name="high", trials=6, metric="val_ndcg_10"), project)
    assert high.direction == "maximize"
    assert high.best.value == max(trial.value for trial in high.trials)


def test_a_name_goes_on_with_new_points(project):
    first = points(sweep(biases(name="on"), project))
    both = sweep(stored_request(project, "on").model_copy(update={"trials": 4}), project)
    assert len(both.trials) == 7
    assert {number: points(both)[number] for number in first} == first
    assert len({tuple(point.values()) for point in points(both).values()}) == 7


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"search": ["user_regularization"]}, "another search space"),
        ({"metric": "val_ndcg_10"}, "another metric"),
        ({"training": {"preset": "biases", "seed": 1}}, "another seed"),
        ({"training": {"preset": "biases", "split": {"seed": 1}}}, "another split"),
        (
            {"training": {"preset": "biases", "hyperparameters": {"epochs": 3}}},
            "other hyperparameters",
        ),
        (
            {"search": ["user_regularization", "movie_regularization", "epochs=5..9"]},
            "another search space",
        ),
        (
            {"search": ["user_regularization=1..40:log", "movie_regularization"]},
            "another search space",
        ),
        ({"training": {"preset": "svd"}}, "another preset and another search space"),
    ],
)
def test_a_name_does_not_go_on_with_something_else(project, fields, said):
    if "kept" not in SweepStore(project).names():
        sweep(biases(name="kept", trials=1), project)
    with pytest.raises(StoreError, match=f"kept was started with {said}"):
        sweep(SweepRequest.of(**{**BIASES, **fields, "name": "kept"}), project)
    assert len(sweep_record(project, "kept").trials) == 1


def test_a_name_does_not_go_on_with_other_data(tmp_path):
    settings = project_in(tmp_path)
    sweep(biases(name="data", trials=1), settings)
    ratings = write_csvs(make_dataset(60, 40, 0.4, seed=5), tmp_path / "more")
    import_data(ratings, settings, name="more")
    with pytest.raises(StoreError, match="with other data;"):
        sweep(biases(name="data", trials=1), settings)
    go_on = stored_request(settings, "data").model_copy(update={"trials": 1})
    assert sweep(go_on, settings).counts == {"done": 2}


def test_nothing_is_stored_of_a_sweep_that_cannot_start(tmp_path):
    settings = project_in(tmp_path)
    with pytest.raises(SplitError):
        sweep(biases(training={"preset": "biases", "split": {"name": "u1"}}), settings)
    with pytest.raises(NotFoundError):
        sweep(biases(training={"preset": "biases", "dataset": "none"}), settings)
    assert sweep_records(settings) == []
    assert not SweepStore(settings).path.exists()


def test_a_stopped_trial_is_tried_again(project):
    stopping = Interrupting(KeyboardInterrupt(), training=2, epoch=2)
    with pytest.raises(KeyboardInterrupt):
        sweep(sage(name="stopped", trials=5), project, hooks=[stopping])
    left = sweep_record(project, "stopped")
    assert left.counts == {"done": 1, "stopped": 1}
    again = sweep(sage(name="stopped", trials=1), project)
    assert again.counts == {"done": 2, "stopped": 1}
    assert points(again)[2] == points(left)[1]


def test_a_trial_that_stops_twice_is_not_tried_a_third_time(project):
    for _ in range(2):
        hooks = [Interrupting(KeyboardInterrupt(), training=1, epoch=1)]
        with pytest.raises(KeyboardInterrupt):
            sweep(sage(name="twice", trials=1), project, hooks=hooks)
    found = points(sweep(sage(name="twice", trials=1), project))
    assert found[0] == found[1]
    assert found[2] != found[0]


def test_a_trial_that_cannot_be_trained_is_kept_with_its_reason(project):
    fixed = {**TINY, "ranking_weight": 1.0}
    request = SweepRequest.of(
        training={"hyperparameters": fixed}, search=["loss_type=mse,bpr"], trials=6, name="bad"
    )
    broken = Interrupting(NonFiniteError("The loss became NaN."), training=1, epoch=2)
    record = sweep(request, project, hooks=[broken])
    reasons = {t.number: (t.params["loss_type"], t.reason) for t in record.trials if t.reason}
    assert {"mse", "bpr"} == {loss for loss, _ in reasons.values()}
    for loss, reason in reasons.values():
        expected = "The loss became NaN." if loss == "mse" else "set ranking_weight to 0"
        assert expected in reason
    assert record.counts["failed"] == len(reasons) < 6
    assert record.best.params == {"loss_type": "mse"}


def test_a_trial_that_lags_behind_is_pruned(project):
    """Up to the tenth, points are random; with this seed the last two steps learn nothing."""
    training = {"hyperparameters": TINY, "seed": 5}
    search = ["learning_rate=0.0000001..0.05:log"]
    request = SweepRequest.of(training=training, search=search, trials=8, name="pruned")
    pruned = sweep(request, project)
    assert pruned.counts == {"done": 6, "pruned": 2}
    cut = pruned.trials[-2:]
    assert all(trial.epochs == 1 and trial.value > pruned.best.value for trial in cut)
    whole = sweep(request.model_copy(update={"prune": False, "name": "whole"}), project)
    assert whole.counts == {"done": 8}
    assert points(whole) == points(pruned)


def test_what_mattered_is_told_from_ten_trials_on(project):
    few = sweep(biases(name="few", trials=9), project)
    assert few.importance is None
    assert "told from 10 finished trials on" in markdown_table(few)
    request = SweepRequest.of(
        training={"preset": "svd", "hyperparameters": {"factors": 2}},
        # the penalty is none at all in both, the passes are few or many
        search=["epochs=1..40:log", "regularization=0.0200..0.0201"], trials=12, name="many",
    )  # fmt: skip
    shares = sweep(request, project).importance
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["epochs"] > 0.6
    assert list(shares) == ["epochs", "regularization"]
    same = sweep(biases(name="same", search=["epochs=998..1000"], trials=10), project)
    assert same.importance is None


def test_what_mattered_is_stored_by_whoever_works_on_the_sweep(project):
    record = sweep(biases(name="stored", trials=11), project)
    assert record.importance_of == 11
    with SweepStore(project).study("stored") as study:
        kept = study.user_attrs[IMPORTANCE]
        assert kept == {"trials": 11, "shares": dict(record.importance)}
        study.set_user_attr(IMPORTANCE, {"trials": 10, "shares": {"old": 1.0}})
    looked = sweep_record(project, "stored")
    assert (looked.importance, looked.importance_of) == ({"old": 1.0}, 10)  # a look is quick
    assert sweep_record(project, "stored", importance=True) == record


def test_the_importance_is_told_again_only_after_a_rest(project):
    sweep(biases(name="rest", trials=9), project)
    told = []
    with SweepStore(project).study("rest") as study:
        keeper = ImportanceKeeper()
        study.set_user_attr = lambda _, facts: told.append(facts["trials"])
        for _ in range(3):
            study.enqueue_trial({"user_regularization": 9.0, "movie_regularization": 9.0})
            study.optimize(lambda _: float(len(study.trials)), 1, callbacks=[keeper])
    assert told == [10]


def test_rows_are_read_as_optuna_reads_them(project):
    """Everything a trial can be: done, pruned, failed with a reason, left by a dead process."""
    search = ["learning_rate=0.005..0.05:log", "num_layers=1..2", "feature_bands", "aggregator"]
    fixed = {name: value for name, value in TINY.items() if name != "num_layers"}
    request = SweepRequest.of(training={"hyperparameters": fixed}, search=search, name="rows")
    hooks = [Interrupting(NonFiniteError("The loss became NaN."), training=2, epoch=2)]
    sweep(request.model_copy(update={"trials": 3}), project, hooks=hooks)
    with SweepStore(project).study("rows") as study:
        study.tell(study.ask().number, state=optuna.trial.TrialState.PRUNED)
        study.tell(study.ask().number, state=optuna.trial.TrialState.FAIL)
        study.ask()
        study.enqueue_trial({})
        kept = [t for t in study.trials if t.state is not optuna.trial.TrialState.WAITING]
    found = sorted(sweep_record(project, "rows").trials, key=lambda trial: trial.number)
    states = ["done", "failed", "done", "pruned", "stopped", "stopped"]
    assert [trial.state for trial in found] == states
    for ours, theirs in zip(found, kept, strict=True):
        assert (ours.number, ours.value, ours.params) == (
            theirs.number, theirs.value, theirs.params,
        )  # fmt: skip
        assert {*map(type, ours.params.values())} == {*map(type, theirs.params.values())}
        assert ours.epochs == len(theirs.intermediate_values)
        for name in ("metrics", "hyperparameters", "reason"):
            assert getattr(ours, name) == theirs.user_attrs.get(name, type(getattr(ours, name))())
        seconds = None if theirs.duration is None else theirs.duration.total_seconds()
        assert ours.seconds == seconds
    with SweepStore(project).working_on("rows"):
        assert sweep_record(project, "rows").counts["running"] == 1


def test_who_only_looks_does_not_keep_a_sweep_from_starting(project):
    sweep(biases(name="looked", trials=1), project)
    store = SweepStore(project)
    look = FileLock(store.path.with_name("looked.lock"), thread_local=False)
    look.acquire()
    threading.Timer(0.2, look.release).start()
    assert store.is_worked_on("looked")
    with store.working_on("looked"):
        assert store.is_worked_on("looked")
    assert not store.is_worked_on("looked")


def test_the_best_is_trained_exactly(project):
    record = sweep(biases(name="exact", trials=4), project)
    training = TrainRequest.of(**record.training)
    assert full_hyperparameters(training) == record.best.hyperparameters
    assert (training.dataset, training.split) == ("tiny", SplitSpec())


def test_the_page_needs_nothing_else(project):
    record = sweep(biases(name="page", trials=10), project)
    page = html_page(project, record)
    assert page.count("<figure>") == 3
    assert "<script src=" not in page
    assert "<link" not in page
    assert escape(record.command) in page
    table = markdown_table(record)
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) == 12
    assert len({row.count("|") for row in rows}) == 1
    assert rows[2].split(" | ")[0] == f"| {record.best.number}"
    assert f"```sh\n{record.command}\n```" in table


def test_a_sweep_without_a_finished_trial_has_no_command(project):
    with pytest.raises(KeyboardInterrupt):
        sweep(sage(name="none"), project, hooks=[Interrupting(KeyboardInterrupt(), 1, 1)])
    record = sweep_record(project, "none")
    assert (record.best, record.command) == (None, None)
    assert "plotly" not in html_page(project, record)
    assert "1 stopped" in markdown_table(record)


def test_one_process_works_on_a_sweep(project):
    sweep(biases(name="busy", trials=1), project)
    with SweepStore(project).working_on("busy"):
        with pytest.raises(StoreError, match="Another process works on the sweep busy"):
            sweep(biases(name="busy", trials=1), project)
        with pytest.raises(StoreError, match="Another process"):
            SweepStore(project).delete("busy")
    SweepStore(project).delete("busy")
    with pytest.raises(NotFoundError, match="no sweep 'busy'"):
        sweep_record(project, "busy")


def test_a_damaged_file_is_told(tmp_path):
    settings = project_in(tmp_path, with_data=False)
    path = SweepStore(settings).path
    path.parent.mkdir(parents=True)
    path.write_bytes(os.urandom(4096))
    with pytest.raises(StoreError, match=r"sweeps.db cannot be used: .*not a database"):
        sweep_records(settings)
