"""What a training may cost: told from past runs of this machine, or from a laptop's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import update

from movierec.jobs.estimate import Estimate, estimate
from movierec.settings import Settings
from movierec.store import DatasetRecord, EpochRecord, RunRecord, RunState, Store, open_store
from movierec.store.tables import RunRow
from movierec.workflows.requests import TrainRequest
from tests.support import states
from tests.support.factories import make_dataset

REST = 20.0  # seconds of a past run beside its epochs


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def data(store: Store) -> DatasetRecord:
    return states.add_dataset(store)


def past(
    store: Store, data: DatasetRecord, preset: str = "report", *, epochs: int = 10,
    epoch_seconds: float = 2.0, memory: float = 900.0, state: RunState = "succeeded",
    seconds: float | None = None, **request: Any,
) -> RunRecord:  # fmt: skip
    """A training that ended, and took `seconds`: those of one fit's epochs and the rest."""
    asked = TrainRequest(preset=preset, dataset=data.name, **request).model_dump(mode="json")
    run = store.runs.add("train", preset=preset, dataset_name=data.name, request=asked)
    store.runs.start(run.id)
    for number in range(1, epochs + 1):
        measured = EpochRecord(number, 1.0, 1.0, 1.0, 0.1, epoch_seconds, True, memory)
        store.runs.add_epoch(run.id, measured)
    store.runs.finish(run.id, state)
    ended = store.runs.get(run.id).finished_at
    assert ended is not None
    took = REST + epochs * epoch_seconds if seconds is None else seconds
    tamper(store, run, started_at=ended - timedelta(seconds=took))
    return run


def tamper(store: Store, run: RunRecord, **values: Any) -> None:
    with store.engine.begin() as connection:
        connection.execute(update(RunRow).where(RunRow.id == run.id).values(**values))


def told(store: Store, data: DatasetRecord, preset: str = "report", **request: Any) -> Estimate:
    return estimate(store, TrainRequest.of(preset=preset, dataset=data.name, **request), data)


def as_ml_100k(data: DatasetRecord) -> DatasetRecord:
    return replace(data, n_users=943, n_movies=1682, n_ratings=100_000)


@pytest.mark.parametrize(
    ("preset", "epochs", "epoch_seconds"), [("default", 64, 0.38), ("report", 50, 4.0)]
)
def test_without_past_runs_it_is_a_laptops(
    store: Store, data: DatasetRecord, preset: str, epochs: int, epoch_seconds: float
) -> None:
    found = told(store, as_ml_100k(data), preset)
    assert (found.runs, found.epochs, found.fits) == (0, epochs, 1)
    assert found.epoch_seconds == pytest.approx(epoch_seconds)
    assert found.seconds == pytest.approx(6 + epochs * epoch_seconds)
    assert 650 < found.memory_mb < 1500


def test_the_same_again_costs_the_same(store: Store, data: DatasetRecord) -> None:
    past(store, data, epochs=50, epoch_seconds=2.0, memory=900.0)
    found = told(store, data)
    assert found == Estimate(pytest.approx(REST + 100), pytest.approx(900), 1, 2.0, 50, 1)


def test_a_run_that_stopped_early_tells_of_one_that_does_not(
    store: Store, data: DatasetRecord
) -> None:
    past(store, data, epochs=5, epoch_seconds=2.0)
    assert told(store, data).seconds == pytest.approx(REST + 50 * 2.0)


@pytest.mark.parametrize(
    ("request_", "seconds"),
    [
        ({"hyperparameters": {"epochs": 200}}, REST + 400),
        ({"hyperparameters": {"hidden_dim": 128}}, REST + 200),
        ({"hyperparameters": {"num_layers": 6}}, REST + 200),
        ({"hyperparameters": {"aggregator": "mean"}}, REST + 100 / 6),
        ({"members": 3}, REST + 300),
        ({"refit": True}, REST + 200),
        ({"members": 3, "refit": True}, REST + 600),
    ],
    ids=["epochs", "width", "layers", "aggregator", "members", "refit", "members-refit"],
)
def test_seconds_follow_what_is_asked(
    store: Store, data: DatasetRecord, request_: dict[str, Any], seconds: float
) -> None:
    past(store, data, epochs=50, epoch_seconds=2.0)
    assert told(store, data, **request_).seconds == pytest.approx(seconds)


def test_seconds_follow_the_size_of_the_data(store: Store, data: DatasetRecord) -> None:
    past(store, data, epoch_seconds=2.0, hyperparameters={"batch_size": 10_000_000})
    twice = replace(data, n_ratings=2 * data.n_ratings)
    found = told(store, twice, hyperparameters={"batch_size": 10_000_000})
    assert found.epoch_seconds == pytest.approx(4.0)


def test_a_ranking_head_pays_for_the_catalogue(store: Store, data: DatasetRecord) -> None:
    past(store, data, "default", epoch_seconds=2.0)
    more = replace(data, n_movies=10 * data.n_movies)
    found = told(store, more, "default")
    assert 2.0 < found.epoch_seconds < 20
    assert found.memory_mb > 900
    sampled = told(store, more, "default", hyperparameters={"sampled_movies": data.n_movies})
    assert sampled.epoch_seconds == pytest.approx(2.0)


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("refit", [False, True])
def test_what_a_past_run_did_around_its_epochs_is_not_counted_as_them(
    store: Store, data: DatasetRecord, members: int, refit: bool
) -> None:
    """Only the first fit's epochs have rows, yet every fit took its time."""
    fits = members * (2 if refit else 1)
    past(store, data, seconds=REST + fits * 20, members=members, refit=refit)
    assert told(store, data).seconds == pytest.approx(REST + 50 * 2.0)


def test_the_last_five_runs_count_and_of_them_the_middle(store: Store, data: DatasetRecord) -> None:
    for epoch_seconds in (500.0, 500.0, 3.0, 9.0, 1.0, 2.0, 4.0):
        past(store, data, epoch_seconds=epoch_seconds)
    found = told(store, data)
    assert found.runs == 5
    assert found.epoch_seconds == pytest.approx(3.0)


def test_a_past_run_of_another_shape_is_scaled(store: Store, data: DatasetRecord) -> None:
    past(store, data, epoch_seconds=8.0, hyperparameters={"hidden_dim": 256})
    assert told(store, data).epoch_seconds == pytest.approx(2.0)


def test_a_past_run_on_other_data_is_scaled(store: Store, data: DatasetRecord) -> None:
    larger = states.add_dataset(store, states.named(make_dataset(120, 80, seed=3), "larger"))
    whole = {"batch_size": 10_000_000}
    past(store, larger, epoch_seconds=2.0, hyperparameters=whole)
    found = told(store, data, hyperparameters=whole)
    assert found.epoch_seconds == pytest.approx(2.0 * data.n_ratings / larger.n_ratings)
    assert found.memory_mb < 900


@pytest.mark.parametrize("state", ["failed", "cancelled", "interrupted"])
def test_a_run_that_did_not_succeed_does_not_count(
    store: Store, data: DatasetRecord, state: RunState
) -> None:
    past(store, data, state=state)
    assert told(store, data).runs == 0


def test_what_is_of_another_host_preset_or_kind_does_not_count(
    store: Store, data: DatasetRecord
) -> None:
    nothing = told(store, data)
    tamper(store, past(store, data), host="elsewhere")
    tamper(store, past(store, data), kind="sweep")
    past(store, data, "default")
    past(store, data, "svd")
    gone = states.add_dataset(store, states.named(make_dataset(seed=4), "gone"))
    past(store, gone)
    store.datasets.delete("gone")
    assert told(store, data) == nothing


def test_a_run_that_goes_on_does_not_count(store: Store, data: DatasetRecord) -> None:
    states.add_running(store, data.name)
    assert told(store, data, "default").runs == 0


@pytest.mark.parametrize(
    "unreadable",
    [
        {"hyperparameters": {"was_removed": 1}},
        {"hyperparameters": {"hidden_dim": 1_000_000}},
        {"hyperparameters": {}, "of_a_newer_movierec": True},
        {"hyperparameters": {}, "members": 99},
        {"hyperparameters": {}, "split": {"name": "no-such"}},
    ],
)
def test_a_past_request_that_no_longer_makes_sense_is_skipped(
    store: Store, data: DatasetRecord, unreadable: dict[str, Any]
) -> None:
    tamper(store, past(store, data), request={"preset": "report", **unreadable})
    assert told(store, data).runs == 0
    past(store, data, epoch_seconds=7.0)
    assert (told(store, data).runs, told(store, data).epoch_seconds) == (1, 7.0)


def test_epochs_that_were_not_measured_do_not_count(store: Store, data: DatasetRecord) -> None:
    past(store, data, epoch_seconds=math.nan, seconds=100.0)
    past(store, data, epochs=0, seconds=100.0)
    assert told(store, data).runs == 0


def test_memory_that_was_not_measured_is_a_laptops(store: Store, data: DatasetRecord) -> None:
    laptop = told(store, data).memory_mb
    past(store, data, memory=math.nan)
    assert told(store, data).memory_mb == pytest.approx(laptop)


def test_a_baseline_is_known_once_it_has_run(store: Store, data: DatasetRecord) -> None:
    unknown = told(store, data, "svd")
    assert unknown.runs == 0
    assert math.isnan(unknown.seconds)
    assert math.isnan(unknown.memory_mb)
    for seconds in (10.0, 30.0, 20.0):
        past(store, data, "svd", epochs=0, seconds=seconds)
    found = told(store, data, "svd")
    assert (found.seconds, found.runs, found.epochs) == (pytest.approx(20), 3, 0)
    twice = replace(data, n_ratings=2 * data.n_ratings)
    assert told(store, twice, "svd").seconds == pytest.approx(40)
    assert math.isnan(told(store, data, "knn").seconds)


@pytest.mark.parametrize("known", [True, False], ids=["past", "no-past"])
@pytest.mark.parametrize("preset", ["default", "report"])
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    epochs=st.integers(1, 5000), hidden_dim=st.integers(2, 512), ratings=st.integers(50, 10**7),
    times=st.sampled_from([(2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 2, 2)]),
)  # fmt: skip
def test_more_never_costs_less(
    store: Store, data: DatasetRecord, preset: str, known: bool, epochs: int, hidden_dim: int,
    ratings: int, times: tuple[int, int, int],
) -> None:  # fmt: skip
    """More epochs, a wider model or more ratings: longer, and no less memory."""
    if known and not store.runs.count():
        past(store, data, preset)

    def of(epochs: int, hidden_dim: int, ratings: int) -> Estimate:
        asked = {"epochs": epochs, "hidden_dim": hidden_dim}
        size = replace(data, n_ratings=ratings)
        return told(store, size, preset, hyperparameters=asked)

    less = of(epochs, hidden_dim, ratings)
    more = of(epochs * times[0], hidden_dim * times[1], ratings * times[2])
    assert less.seconds < more.seconds < math.inf
    assert 650 <= less.memory_mb <= more.memory_mb
