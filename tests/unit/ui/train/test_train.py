"""The Train page in every state a database may be in, run by Streamlit's own AppTest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from streamlit.testing.v1 import AppTest

from movierec.errors import StoreError
from movierec.settings import Settings
from movierec.store import DatasetRecord, RunRecord, RunState, Store
from movierec.workflows import form
from movierec.workflows.requests import MODELS, TrainRequest
from tests.conftest import PROJECT
from tests.support import states
from tests.support.factories import make_dataset
from tests.support.pages import (
    alts_of,
    charts_of,
    drawn,
    labels,
    opened_page,
    shown,
    without_worker,
)

TRAIN = "pages/Train.py"


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    without_worker(monkeypatch)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with states.opened(settings) as opened:
        yield opened


@pytest.fixture
def data(store: Store) -> DatasetRecord:
    return states.add_dataset(store)


def opened(**query: str | list[str]) -> AppTest:
    return opened_page(TRAIN, **query)


def queued(store: Store, data: DatasetRecord, preset: str = "default", **request: Any) -> RunRecord:
    """A training that waits, as the page or a terminal would have queued it."""
    asked = TrainRequest.of(preset=preset, dataset=data.name, **request).model_dump(mode="json")
    return store.runs.add("train", preset=preset, dataset_name=data.name, request=asked)


def ended(
    store: Store, data: DatasetRecord, state: RunState, n_epochs: int = 20, *,
    version: str | None = None, error: str = "", traceback: str = "", **request: Any,
) -> RunRecord:  # fmt: skip
    run = store.runs.start(queued(store, data, **request).id)
    for epoch in states.epochs()[:n_epochs]:
        store.runs.add_epoch(run.id, epoch)
    store.runs.beat(run.id, progress=n_epochs / 20, stage=f"epoch {n_epochs} of 20")
    store.runs.finish(run.id, state, version=version, error=error, traceback=traceback)
    return store.runs.get(run.id)


def test_an_empty_database_leads_to_data(settings: Settings) -> None:
    at = opened()
    assert labels(at) == ["Fetch MovieLens 100K"]
    assert "Nothing is here yet" in shown(at)


def test_data_alone_is_enough_to_train(data: DatasetRecord) -> None:
    at = opened()
    assert labels(at) == ["Train"]
    text = shown(at)
    assert "Train a version" in text
    assert "everything has a sensible start" in text
    assert "this model has not been trained on this machine" in text
    assert "No changes from the preset" in text
    assert at.code[0].value == "movierec train --preset default --dataset planted"


def test_one_version_is_no_hindrance(store: Store, data: DatasetRecord) -> None:
    version = states.add_version(store, data)
    ended(store, data, "succeeded", version=version.name)
    at = opened()
    assert "The last training, run 1, default on planted, succeeded and became v1.0.0" in shown(at)
    assert "From the last run of this model on this machine" in shown(at)
    assert labels(at) == ["Train"]


@pytest.mark.parametrize("view", ["New run", "Runs"])
def test_a_run_under_way_is_on_top_of_every_view(
    store: Store, data: DatasetRecord, view: str
) -> None:
    run = states.add_running(store, data.name)
    at = opened(view=view)
    text = shown(at)
    assert f"Run {run.id} is training" in text
    assert f"Training: run {run.id}, default on planted" in text
    assert "at epoch 8 of 8, best so far" in text
    assert "last: 8" in text
    assert at.get("progress")[0].proto.value == 40
    assert f"Cancel run {run.id}" in labels(at)
    assert ("Train" in labels(at)) == (view == "New run")


def test_a_live_curve_grows_and_says_where_it_stands(store: Store, data: DatasetRecord) -> None:
    run = states.add_running(store, data.name)
    store.runs.add_facts(run.id, {"epochs": 20, "device": "cpu", "n_parameters": 28_417})
    at = opened()
    assert ">8 of 20<" in shown(at)
    assert "at most 14.4 s" in shown(at)
    assert len(charts_of(at)[0]["data"][0]["x"]["bdata"]) > 0
    store.runs.add_epoch(run.id, states.epochs()[8])
    drawn(at.run())
    assert ">9 of 20<" in shown(at)
    assert "at epoch 9 of 9, best so far" in shown(at)


def test_several_runs_under_way_are_drawn_one_below_the_other(
    store: Store, data: DatasetRecord
) -> None:
    for _ in range(2):
        states.add_running(store, data.name)
    queued(store, data)
    at = opened()
    assert "2 runs are running · 1 queued" in shown(at)
    assert len(charts_of(at)) == 2


def test_a_waiting_run_is_told_and_can_be_cancelled(store: Store, data: DatasetRecord) -> None:
    run = queued(store, data)
    at = opened(view="Runs")
    assert "1 waiting for a worker" in shown(at)
    assert ">Waiting: 1<" in shown(at)
    at.button(key=f"cancel-{run.id}").click().run()
    drawn(at)
    assert store.runs.get(run.id).state == "cancelled"
    assert "waiting" not in shown(at).partition("History")[0].lower()


def order(at: AppTest) -> list[str]:
    """What waits, in the order of the page."""
    rows = [h.proto.body for h in at.get("html") if "mr-queue" in h.proto.body]
    return [row.partition("</b> ")[2].partition(":")[0] for row in rows]


def test_moving_what_waits_moves_its_row(store: Store, data: DatasetRecord) -> None:
    first, second, third = (queued(store, data) for _ in range(3))
    at = opened(view="Runs")
    assert order(at) == ["Run 1", "Run 2", "Run 3"]
    at.button(key=f"first-{third.id}").click().run()
    assert order(drawn(at)) == ["Run 3", "Run 1", "Run 2"]
    at.button(key=f"up-{second.id}").click().run()
    assert order(drawn(at)) == ["Run 3", "Run 2", "Run 1"]
    at.button(key=f"down-{third.id}").click().run()
    assert order(drawn(at)) == ["Run 2", "Run 3", "Run 1"]
    assert [run.id for run in store.queue.waiting()] == [second.id, third.id, first.id]
    off = {button.key for button in at.button if button.disabled}
    assert off == {f"first-{second.id}", f"up-{second.id}", f"down-{first.id}"}


def test_moving_a_run_that_was_taken_meanwhile_moves_nothing(
    store: Store, data: DatasetRecord
) -> None:
    queued(store, data)
    taken = queued(store, data)
    at = opened(view="Runs")
    store.runs.start(taken.id)
    at.button(key=f"first-{taken.id}").click().run()
    drawn(at)
    assert order(at) == ["Run 1"]
    assert f"Run {taken.id} is training · 1 queued" in shown(at)


def test_cancelling_what_goes_on_is_read_back(store: Store, data: DatasetRecord) -> None:
    run = states.add_running(store, data.name)
    at = opened()
    at.button(key=f"cancel-{run.id}").click().run()
    drawn(at)
    assert store.runs.cancel_requested(run.id)
    assert at.button(key=f"cancel-{run.id}").disabled
    assert f"Stopping run {run.id} …" in labels(at)


def test_a_failed_run_says_why_and_folds_its_traceback(store: Store, data: DatasetRecord) -> None:
    traceback = "Traceback …\nmovierec.errors.NonFiniteError: The loss became NaN."
    run = ended(store, data, "failed", 3, error="The loss became NaN.", traceback=traceback)
    at = opened(view="Runs", run=str(run.id))
    said = at.error[0].value
    assert "The numbers blew up" in said
    assert "Lower learning" in said
    assert "The loss became NaN" in said
    folded = next(e for e in at.expander if e.label == f"Traceback of run {run.id}")
    assert not folded.proto.expanded
    assert folded.code[0].value == traceback
    assert "NonFiniteError" not in shown(at)
    at.button(key=f"resume-{run.id}").click().run()
    drawn(at)
    assert store.runs.get(run.id).state == "queued"


def test_a_run_whose_process_died_shows_as_interrupted(data: DatasetRecord) -> None:
    code = (
        "from movierec.settings import load_settings\n"
        "from tests.support import states\n"
        f"states.add_running(states.opened(load_settings()), {data.name!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
    at = opened(view="Runs", run="1")
    assert "Its process was gone" in at.warning[0].value
    assert "Resume run 1 from its last checkpoint" in labels(at)
    assert "was interrupted" in shown(at)
    assert "Cancel run 1" not in labels(at)


def test_a_finished_run_stands_beside_the_current_version_and_the_baselines(
    store: Store, data: DatasetRecord
) -> None:
    states.add_version(store, data, "v1.0.0", rmse=0.95)
    version = states.add_version(store, data, "v1.1.0", rmse=0.91, current=False)
    run = ended(store, data, "succeeded", version=version.name)
    at = opened(view="Runs", run=str(run.id))
    text = shown(at)
    assert "v1.1.0 is trained: RMSE" in text
    for system in ("v1.1.0", "v1.0.0, current", "averages", "most popular"):
        assert f">{system}" in text
    assert "Make v1.1.0 current" in labels(at)
    assert "kept" in charts_of(at)[0]["layout"].get("title", {}).get("text", text)


def test_a_run_that_ends_while_one_looks_is_announced_once(
    store: Store, data: DatasetRecord
) -> None:
    run = states.add_running(store, data.name)
    at = opened()
    version = states.add_version(store, data)
    store.runs.finish(run.id, "succeeded", version=version.name)
    drawn(at.run())
    assert [toast.value for toast in at.toast] == [
        r"Run 1\, default on planted\, is done\:" + "\u2060" + r" v1\.0\.0"
    ]
    assert "v1.0.0 is trained" in shown(at)
    assert "v1.0.0 is the current version." in shown(at)
    drawn(at.run())
    assert not at.toast
    assert "v1.0.0 is trained" in shown(at)


def test_what_cannot_be_queued_says_why_as_text(
    store: Store, data: DatasetRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full, or the data set went away just now."""

    def refuse(_settings: Settings) -> None:
        raise StoreError(f"The worker cannot be started: {states.NASTY[1]}.", hint="Do **this**.")

    monkeypatch.setattr("movierec.jobs.submit.ensure_worker", refuse)
    at = opened()
    at.button(key="submit").click().run()
    (said,) = drawn(at).error
    assert "cannot be started" in said.value
    assert "**" not in said.value.replace(r"\*", "")


def test_what_just_ended_is_not_drawn_twice(store: Store, data: DatasetRecord) -> None:
    run = states.add_running(store, data.name)
    at = opened()
    version = states.add_version(store, data, current=False)
    store.runs.finish(run.id, "succeeded", version=version.name)
    drawn(at.run())
    at.session_state["view"], at.session_state["run"] = "Runs", run.id
    assert shown(drawn(at.run())).count("v1.0.0 is trained") == 1
    assert len(set(labels(at))) == len(labels(at))


# The form


def keys(at: AppTest) -> dict[str, Any]:
    widgets = [*at.selectbox, *at.multiselect, *at.number_input, *at.toggle, *at.checkbox]
    return {widget.key: widget for widget in widgets}


def beside(at: AppTest, key: str) -> str:
    """What stands below an input, in its own column."""
    own = [column for column in at.columns if key in keys(column)]
    bodies = [element.proto.body for element in own[-1].get("html")]
    return "\n".join(body for body in bodies if "mr-wrong" in body or "mr-changed" in body)


@pytest.mark.parametrize("preset", MODELS)
def test_every_hyperparameter_of_every_model_can_be_drawn(
    store: Store, data: DatasetRecord, preset: str
) -> None:
    at = opened(preset=preset)
    found = keys(at)
    for group in form.groups(preset):
        for field in group.fields:
            widget = found[f"{preset}-{field.name}"]
            value = "+".join(widget.value) if field.kind == "several" else widget.value
            assert (value, type(value)) == (field.default, type(field.default))
            assert field.name in widget.proto.help
            assert not beside(at, f"{preset}-{field.name}")
    assert at.code[0].value.startswith(f"movierec train --preset {preset} ")
    names = [widget.label for widget in found.values()] + labels(at)
    assert len(set(names)) == len(names)
    at.button(key="submit").click().run()
    drawn(at)
    run = store.runs.latest()
    assert run is not None
    assert (run.preset, run.request["hyperparameters"]) == (preset, {})


def test_a_value_in_the_address_is_in_the_form_and_in_the_request(
    store: Store, data: DatasetRecord
) -> None:
    at = opened(preset="report", **{"report-hidden_dim": "96"})
    assert at.number_input(key="report-hidden_dim").value == 96
    at.button(key="submit").click().run()
    drawn(at)
    run = store.runs.latest()
    assert run is not None
    assert (run.kind, run.state, run.preset) == ("train", "queued", "report")
    assert run.request["hyperparameters"] == {"hidden_dim": 96}
    assert run.dataset_name == data.name
    assert "1 waiting for a worker" in shown(at)


ADDRESS = {
    "preset": "default", "split": "leave-last-n", "split_last_n": "3", "seed": "5",
    "default-dropout": "0.35", "default-aggregator": ["mean", "std"], "members": "3",
    "default-loss_type": "huber", "default-feature_bands": "false", "refit": "true",
    "device": "cpu",
}  # fmt: skip


def test_the_whole_form_is_in_the_address(store: Store, data: DatasetRecord) -> None:
    at = opened(**ADDRESS)
    at.button(key="submit").click().run()
    drawn(at)
    run = store.runs.latest()
    assert run is not None
    asked = TrainRequest(**run.request)
    assert asked.hyperparameters == {
        "dropout": 0.35, "aggregator": "mean+std", "loss_type": "huber", "feature_bands": False,
    }  # fmt: skip
    assert (asked.split.name, asked.split.last_n) == ("leave-last-n", 3)
    assert (asked.seed, asked.members, asked.refit, asked.device) == (5, 3, True, "cpu")
    assert {key: at.query_params[key] for key in ADDRESS if key != "preset"} == {
        key: value for key, value in ADDRESS.items() if key != "preset"
    }


def test_workers_on_ray_are_chosen_and_taken_over(store: Store, data: DatasetRecord) -> None:
    at = opened(**{"preset": "default", "train-engine": "ray", "train-workers": "3"})
    at.text_input(key="train-address").set_value("ray://head:10001").run()
    assert at.button(key="submit").disabled
    assert "own host and port, as in 10.0.0.1:6379" in shown(at)
    at.text_input(key="train-address").set_value("head:6379").run()
    assert "--engine ray --workers 3 --address head:6379" in at.code[0].value
    at.button(key="submit").click().run()
    run = store.runs.latest()
    assert run is not None
    engine = {"name": "ray", "workers": 3, "address": "head:6379"}
    assert run.request["engine"] == engine
    store.runs.finish(run.id, "failed", error="no cluster")
    at = opened(view="Runs", run=str(run.id))
    at.button(key=f"clone-{run.id}").click().run()
    assert at.selectbox(key="train-engine").value == "ray"
    assert (at.number_input(key="train-workers").value, labels(at)) == (3, ["Train"])


def test_where_ray_is_missing_the_form_says_how_to_get_it(
    store: Store, data: DatasetRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    at = opened(**{"preset": "default", "train-engine": "ray"})
    assert at.selectbox(key="train-engine").disabled
    assert "make ray" in shown(at)
    at.button(key="submit").click().run()
    run = store.runs.latest()
    assert run is not None
    assert run.request["engine"]["name"] == "local"


NUMBERS = ("default-hidden_dim", "default-dropout", "seed", "split_seed", "members")
CHOICES = (
    "preset", "split", "train-data", "device", "default-loss_type", "default-feature_bands", "view",
)  # fmt: skip


@pytest.mark.parametrize(
    "bad", ["abc", "99999999999", "-1", "nan", "../../etc/passwd", "<script>alert(1)</script>"]
)
def test_bad_numbers_in_the_address_are_dropped(data: DatasetRecord, bad: str) -> None:
    start = keys(opened())
    at = opened(**dict.fromkeys(NUMBERS, bad))
    assert {key: keys(at)[key].value for key in NUMBERS} == {
        key: start[key].value for key in NUMBERS
    }
    assert not at.query_params
    assert "<script>" not in shown(at)
    assert "passwd" not in shown(at)
    assert not at.button(key="submit").disabled


@pytest.mark.parametrize("bad", ["1e400", "-1e400", "inf"])
def test_a_number_without_end_in_the_address_does_no_harm(data: DatasetRecord, bad: str) -> None:
    start = keys(opened())
    at = opened(**dict.fromkeys(NUMBERS, bad))
    assert {key: keys(at)[key].value for key in NUMBERS} == {
        key: start[key].value for key in NUMBERS
    }
    assert not at.button(key="submit").disabled


@pytest.mark.parametrize("bad", ["", "no-such", "../../etc/passwd", "<script>alert(1)</script>"])
def test_bad_choices_in_the_address_are_dropped(data: DatasetRecord, bad: str) -> None:
    at = opened(**dict.fromkeys(CHOICES, bad))
    assert not at.query_params
    assert "<script>" not in shown(at)
    assert "passwd" not in shown(at)
    assert labels(at) == ["Train"]
    assert not at.button(key="submit").disabled
    assert "No changes from the preset" in shown(at)


def test_what_contradicts_each_other_is_said_beside_both_and_cannot_be_trained(
    data: DatasetRecord,
) -> None:
    at = opened(**{"default-hiding": "later", "default-target_fraction": "0.0"})
    for key in ("default-hiding", "default-target_fraction"):
        assert "✕" in beside(at, key)
        assert "hiding later needs a target_fraction above 0" in beside(at, key)
    assert beside(at, "default-monitor") == ""
    assert at.button(key="submit").disabled
    assert labels(at) == ["Train (something is wrong)"]
    assert "Mend first: Target fraction, Hiding." in shown(at)
    assert not at.code
    at.selectbox(key="default-hiding").set_value("auto").run()
    drawn(at)
    assert not at.button(key="submit").disabled


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ({"default-dropout": "1.0"}, "default-dropout"),
        ({"preset": "svd", "svd-learning_rate": "0.0"}, "svd-learning_rate"),
        ({"split": "u1"}, "split"),
    ],
)
def test_what_the_bounds_of_an_input_let_through_is_said_beside_it(
    data: DatasetRecord, query: dict[str, str], key: str
) -> None:
    at = opened(**query)
    assert "✕" in beside(at, key)
    assert at.button(key="submit").disabled


@pytest.mark.parametrize("name", ["temporal", "leave-last-n", "cold-users"])
def test_a_split_that_needs_times_says_so(store: Store, name: str) -> None:
    states.add_dataset(store, make_dataset(timestamps=False))
    at = opened(split=name)
    assert "needs the time of each rating" in beside(at, "split")
    assert at.button(key="submit").disabled


def test_changed_fields_are_marked_and_no_others(data: DatasetRecord) -> None:
    at = opened(**{"default-hidden_dim": "96", "default-min_delta": "0.5"})
    assert "● </b>" in beside(at, "default-hidden_dim").replace("●</b>", "● </b>")
    assert "default: 80" in beside(at, "default-hidden_dim")
    assert "default: 0" in beside(at, "default-min_delta")
    marked = [key for key in keys(at) if beside(at, key)]
    assert sorted(marked) == ["default-hidden_dim", "default-min_delta"]
    assert ">● 96<" in shown(at)
    assert "--hidden-dim 96" in at.code[0].value


# A run's settings in the form

REQUESTS: list[dict[str, Any]] = [
    {},
    {"preset": "report"},
    {"preset": "mean"},
    {"preset": "svd", "hyperparameters": {"factors": 7, "learning_rate": 0.01}, "seed": 9},
    {"preset": "knn", "hyperparameters": {"based_on": "users"}, "split": {"name": "temporal"}},
    {"members": 3, "refit": True, "seed": 5, "hyperparameters": {"aggregator": "mean+std"}},
    {"hyperparameters": {"feature_bands": False, "dropout": 0, "epochs": 3, "hiding": "random"}},
    {"preset": "report", "hyperparameters": {"loss_type": "bpr", "monitor": "val_ndcg_10"}},
    {"split": {"name": "leave-last-n", "last_n": 2, "seed": 3, "validation_fraction": 0.25}},
    {"split": {"name": "cold-users", "given": 0}},
    {"split": {"name": "random", "test_fraction": 0.35, "seed": 1}},
    {"device": "cpu"},
]


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_changing_a_run_starts_from_exactly_its_settings(
    store: Store, data: DatasetRecord, request_: dict[str, Any]
) -> None:
    run = ended(store, data, "succeeded", **request_)
    preset = run.preset
    left_over = {"preset": preset, "split": "temporal", "seed": "77", "members": "4"}
    left_over |= {"refit": "true", "device": "mps", **LEFT_OVER.get(preset, {})}
    at = opened(**left_over)
    at.session_state["view"], at.session_state["run"] = "Runs", run.id
    drawn(at.run()).button(key=f"clone-{run.id}").click().run()
    drawn(at).button(key="submit").click().run()
    drawn(at)
    again = store.runs.latest()
    assert again is not None
    assert again.id != run.id
    assert settings_of(again) == settings_of(run)


LEFT_OVER: dict[str, dict[str, Any]] = {
    "default": {"default-dropout": "0.7", "default-aggregator": ["max", "sum"]},
    "report": {"report-epochs": "9"},
    "svd": {"svd-factors": "3", "svd-epochs": "3"},
}


def settings_of(run: RunRecord) -> dict[str, Any]:
    """What a run's model and its data are, whichever way that was said."""
    asked = TrainRequest(**run.request)
    device = asked.device or "auto"
    full = form.changes(asked.preset, asked.hyperparameters)
    return {**asked.model_dump(), "hyperparameters": full, "device": device, "make_current": None}


def test_a_run_whose_data_set_is_gone_can_still_be_changed(store: Store) -> None:
    gone = states.add_dataset(store, states.named(make_dataset(seed=4), "gone"))
    run = ended(store, gone, "succeeded", hyperparameters={"hidden_dim": 96})
    store.datasets.delete("gone")
    states.add_dataset(store)
    at = opened(view="Runs", run=str(run.id))
    at.button(key=f"clone-{run.id}").click().run()
    assert drawn(at).number_input(key="default-hidden_dim").value == 96
    assert at.selectbox(key="train-data").value == "planted"
    assert labels(at) == ["Train"]


@pytest.mark.parametrize(
    "unreadable",
    [
        {},
        {"preset": "default", "hyperparameters": {"was_removed": 1}},
        {"preset": "default", "hyperparameters": {"hidden_dim": 10**6}},
        {"preset": "default", "hyperparameters": {}, "of_a_newer_movierec": True},
    ],
    ids=str,
)
def test_a_run_of_another_movierec_is_shown_and_may_be_changed(
    store: Store, data: DatasetRecord, unreadable: dict[str, Any]
) -> None:
    run = store.runs.add("train", preset="default", dataset_name=data.name, request=unreadable)
    store.runs.start(run.id)
    store.runs.finish(run.id, "failed", error="no", traceback="no")
    at = opened(view="Runs", run=str(run.id))
    assert f"Run {run.id}: default on planted" in shown(at)
    at.button(key=f"clone-{run.id}").click().run()
    assert labels(drawn(at)) == ["Train"]


def test_a_run_of_a_model_that_is_not_known_is_shown(store: Store, data: DatasetRecord) -> None:
    run = store.runs.add("train", preset="of-a-newer", dataset_name=data.name, request={})
    store.runs.start(run.id)
    store.runs.finish(run.id, "succeeded")
    at = opened(view="Runs", run=str(run.id))
    assert f"Run {run.id}: of-a-newer on planted" in shown(at)
    assert not labels(at)


# The history


@pytest.fixture
def many(store: Store, data: DatasetRecord) -> Store:
    """120 runs: each third failed, each tenth of another preset."""
    for number in range(1, 121):
        run = queued(store, data, "report" if number % 10 == 0 else "default")
        store.runs.start(run.id)
        store.runs.finish(run.id, "failed" if number % 3 == 0 else "succeeded")
    return store


def table(at: AppTest) -> list[int]:
    return list(at.dataframe[0].value["Run"])


def test_many_runs_are_paged(many: Store) -> None:
    at = opened(view="Runs")
    assert table(at) == [*range(120, 70, -1)]
    at.pagination(key="page").set_value(3).run()
    assert table(drawn(at)) == [*range(20, 0, -1)]
    assert table(opened(view="Runs", page="2")) == [*range(70, 20, -1)]
    for bad in ("99", "0", "-1", "x"):
        assert len(table(opened(view="Runs", page=bad))) == 50


def test_filters_narrow_the_history(many: Store) -> None:
    at = opened(view="Runs")
    at.multiselect(key="state").set_value(["failed"]).run()
    assert table(drawn(at)) == [*range(120, 0, -3)]
    at.multiselect(key="model").set_value(["report"]).run()
    assert table(drawn(at)) == [120, 90, 60, 30]
    at.multiselect(key="state").set_value(["running"]).run()
    assert not drawn(at).dataframe
    assert "No run fits" in shown(at)
    linked = opened(view="Runs", state=["failed"], model=["report"])
    assert table(linked) == [120, 90, 60, 30]


def test_a_filter_on_a_later_page_shows_what_it_finds(many: Store) -> None:
    at = opened(view="Runs", page="3")
    at.multiselect(key="state").set_value(["failed"]).run()
    assert table(drawn(at)) == [*range(120, 0, -3)]


@pytest.mark.parametrize("bad", ["no-such", "../../x", "<script>"])
def test_bad_filters_in_the_address_are_dropped(many: Store, bad: str) -> None:
    at = opened(view="Runs", **dict.fromkeys(("state", "model", "runs-data"), bad))
    assert len(table(at)) == 50
    assert bad not in shown(at)


@pytest.mark.parametrize("number", [1, 70, 71, 120])
def test_a_link_opens_its_run_on_whichever_page_it_is(many: Store, number: int) -> None:
    at = opened(view="Runs", run=str(number))
    assert f"Run {number}: " in shown(at)
    assert at.selectbox(key="run").value == number
    assert at.query_params["run"] == str(number)


@pytest.mark.parametrize(
    "bad", ["99999", "0", "-1", "1.5", "²", "../../x", "", "9" * 40, "<script>alert(1)</script>"]
)
def test_a_link_to_no_run_opens_none(many: Store, bad: str) -> None:
    at = opened(view="Runs", run=bad)
    assert at.selectbox(key="run").value is None
    assert "run" not in at.query_params
    assert ">Run " not in shown(at)
    assert "<script>" not in shown(at)


def test_choosing_another_run_changes_the_address(many: Store) -> None:
    at = opened(view="Runs", run="100")
    at.selectbox(key="run").set_value(99).run()
    assert drawn(at).query_params["run"] == "99"
    at.selectbox(key="run").set_value(None).run()
    assert "run" not in drawn(at).query_params


# What holds on every view


VIEWS: list[dict[str, str]] = [
    {}, {"preset": "report"}, {"preset": "mean"}, {"view": "Runs"},
    *({"view": "Runs", "run": str(number)} for number in range(1, 7)),
]  # fmt: skip


@pytest.fixture
def everything(store: Store, data: DatasetRecord) -> Store:
    """One run in each state, the nastiest texts wherever a text can be."""
    version = states.add_version(store, data)
    ended(store, data, "succeeded", version=version.name)
    ended(store, data, "failed", 3, error=states.NASTY[0], traceback=states.NASTY[0])
    ended(store, data, "interrupted", error=states.NASTY[1])
    ended(store, data, "cancelled", error=states.NASTY[2])
    states.add_running(store, data.name)
    queued(store, data)
    return store


@pytest.mark.parametrize("query", VIEWS, ids=str)
def test_every_button_and_chart_of_a_view_can_be_told_apart(
    everything: Store, query: dict[str, str]
) -> None:
    at = opened(**query)
    assert len(set(labels(at))) == len(labels(at))
    assert all(len(alt) > 40 for alt in alts_of(at))
    assert len(alts_of(at)) == len(charts_of(at)) > 0
    assert all(spec["layout"]["xaxis"]["title"]["text"] for spec in charts_of(at))
    assert all(frame.proto.alt for frame in at.dataframe)


@pytest.mark.parametrize("text", states.NASTY)
def test_texts_from_outside_are_shown_as_text(store: Store, text: str) -> None:
    data = states.add_dataset(store, states.named(make_dataset(), text))
    bad: tuple[RunState, ...] = ("failed", "interrupted", "cancelled")
    runs = [ended(store, data, state, 3, error=text, traceback=text) for state in bad]
    states.add_running(store, data.name)
    queued(store, data)
    pages = [opened(), *(opened(view="Runs", run=str(run.id)) for run in runs)]
    for at in pages:
        assert "<script>" not in shown(at)
        assert all(text not in said.value for said in [*at.error, *at.warning, *at.markdown])
    assert pages[0].selectbox(key="train-data").options == [text]
    assert pages[1].dataframe[0].value["What"].iloc[0] == f"default on {text}"


def test_every_state_is_one_of_those_that_were_drawn(everything: Store) -> None:
    assert {run.state for run in everything.runs.list()} == set(get_args(RunState))


def test_no_view_loads_torch_surprise_or_sklearn(everything: Store) -> None:
    everything.close()
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "import movierec.jobs.submit\n"
        "movierec.jobs.ensure_worker = movierec.jobs.submit.ensure_worker = lambda _: None\n"
        "for query in ({'preset': 'svd'}, {'view': 'Runs', 'run': '1'}, {'view': 'Sweeps'}, {}):\n"
        "    at = AppTest.from_file('Home.py', default_timeout=60).run()\n"
        "    at.switch_page('pages/Train.py')\n"
        "    at.query_params.update(query)\n"
        "    assert not at.run().exception\n"
        "assert not at.button(key='submit').click().run().exception\n"
        "heavy = {'torch', 'torch_geometric', 'surprise', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
