"""The Sweeps view in every state that sweeps may be in, run by Streamlit's own AppTest."""

from __future__ import annotations

import subprocess
import sys

import pytest
from streamlit.testing.v1 import AppTest

from movierec.settings import Settings
from movierec.store import RunRecord, open_store
from movierec.sweeps.identity import begin
from movierec.sweeps.report import sweep_record, sweep_records
from movierec.sweeps.request import SweepRequest
from movierec.sweeps.run import sweep
from movierec.sweeps.storage import SweepStore
from movierec.workflows.requests import TrainRequest, full_hyperparameters
from tests.support.project import import_tiny, process_environment

BIASES = {"training": {"preset": "biases"}}


@pytest.fixture
def project(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project with data and, whatever is queued, no worker."""
    monkeypatch.setenv("MOVIEREC_DEVICE", "cpu")
    monkeypatch.setattr("movierec.jobs.submit.ensure_worker", lambda _: None)
    import_tiny(settings)
    return settings


def page() -> None:
    import streamlit as st

    from movierec.ui.components import flash as said
    from movierec.ui.components import shell
    from movierec.ui.sweeps import view

    said.announce()
    with shell.errors_in_words(), st.container():
        view.view()


def opened(**query: str) -> AppTest:
    at = AppTest.from_function(page, default_timeout=60)
    for key, value in query.items():
        at.query_params[key] = value
    return checked(at.run())


def checked(at: AppTest) -> AppTest:
    assert not at.exception, at.exception[0].stack_trace
    return at


def shown(at: AppTest) -> str:
    bodies = [element.proto.body for element in at.get("html")]
    return "\n".join([*bodies, *(e.value for e in [*at.error, *at.warning, *at.toast])])


def keys(at: AppTest) -> set[str]:
    return {button.key for button in at.button}


def done(settings: Settings, name: str = "done", trials: int = 11):
    return sweep(SweepRequest.of(**BIASES, name=name, trials=trials), settings)


def run_of(settings: Settings, name: str, state: str = "running", error: str = "") -> RunRecord:
    """A run of a sweep that exists; this process is the one that works on it."""
    with open_store(settings) as store:
        run = store.runs.add(
            "sweep", preset="biases", dataset_name="tiny",
            request={**SweepRequest.of(**BIASES, name=name).model_dump(mode="json")},
        )  # fmt: skip
        store.runs.start(run.id)
        store.runs.beat(run.id, progress=0.4, stage="trial 3 of 20, best val_rmse 0.9000")
        if state != "running":
            store.runs.finish(run.id, state, error=error)
        return store.runs.get(run.id)


def test_no_sweep_leads_on_to_a_small_one(project):
    at = opened()
    assert "No sweep yet" in shown(at)
    assert keys(at) == {"sweep-fill", "sweep-start"}
    at = checked(at.button(key="sweep-fill").click().run())
    assert "filled in below" in shown(at)
    assert at.number_input(key="sweep-trials").value == 12
    assert at.multiselect(key="sweep-default-vary").value == [
        "learning_rate", "dropout", "ranking_weight",
    ]  # fmt: skip
    at = checked(at.button(key="sweep-start").click().run())
    (record,) = sweep_records(project)
    assert (record.name, record.preset, record.dataset) == ("default-1", "default", "tiny")
    assert record.search["learning_rate"] == "0.0005..0.05:log"
    with open_store(project) as store:
        (run,) = store.queue.waiting()
    assert (run.kind, run.request["trials"]) == ("sweep", 12)
    assert at.query_params["sweep"] == "default-1"
    assert "default-1: no trial has come to its end yet" in shown(at)
    assert "sweep-stop" in keys(at)


def test_a_finished_sweep_says_what_is_best_and_trains_it(project):
    record = done(project)
    run_of(project, "done", "succeeded")
    at = opened()
    text = shown(at)
    best = record.best
    assert f"done: RMSE {best.value:.4f} in trial {best.number}, the best of 11" in text
    assert f"★</span>{best.value:.4f}" in text
    assert "11 done" in text
    assert "mattered most" in text
    assert text.count("<tr") == 1 + 1 + 1 + 11
    assert len(at.get("plotly_chart")) == 3
    assert at.code[0].value == record.command
    assert keys(at) == {"sweep-train", "sweep-delete", "sweep-start"}
    at = checked(at.button(key="sweep-train").click().run())
    with open_store(project) as store:
        (queued,) = store.queue.waiting()
        parent = store.runs.get(queued.parent_id)
    training = TrainRequest.of(**queued.request)
    assert (queued.kind, training.dataset) == ("train", "tiny")
    assert (parent.kind, parent.request["name"]) == ("sweep", "done")
    assert queued.facts["trial"] == best.number
    assert full_hyperparameters(training) == best.hyperparameters
    assert f"Run {queued.id} waits in the queue" in at.toast[0].value


def test_a_running_sweep_is_followed_and_can_be_stopped(project):
    done(project, trials=2)
    run = run_of(project, "done")
    at = opened()
    assert f"Run {run.id} ● running: trial 3 of 20, best val_rmse 0.9000" in shown(at)
    assert "Needs at least 10 finished trials; you have 2." in shown(at)
    assert keys(at) == {"sweep-train", "sweep-stop", "sweep-start"}
    at = checked(at.button(key="sweep-stop").click().run())
    assert at.button(key="sweep-stop").disabled
    with open_store(project) as store:
        assert store.runs.cancel_requested(run.id)
        store.runs.finish(run.id, "cancelled", error="Stopped before it ended.")
    at = checked(at.run())
    assert "after 2 finished trials" in shown(at)
    at = checked(at.button(key="sweep-resume").click().run())
    with open_store(project) as store:
        assert store.runs.get(run.id).state == "queued"
    assert "sweep-resume" not in keys(at)


def test_a_failed_sweep_says_why(project):
    done(project, trials=1)
    run_of(project, "done", "failed", "<b>The disk</b> is full.")
    at = opened()
    assert "The disk" in at.error[0].value
    assert "<b>" not in at.error[0].value
    assert {"sweep-resume", "sweep-delete"} <= keys(at)


def test_deleting_names_the_sweep_and_needs_a_second_click(project):
    done(project, "gone", 2)
    done(project, "kept", 1)
    at = opened(sweep="gone")
    at = checked(at.button(key="sweep-delete").click().run())
    assert "gone has 2 trials" in shown(at)
    at = checked(at.button(key="sweep-keep").click().run())
    assert "sweep-really" not in keys(at)
    at = checked(at.button(key="sweep-delete").click().run())
    at = checked(at.button(key="sweep-really").click().run())
    assert [record.name for record in sweep_records(project)] == ["kept"]
    assert "The sweep gone is deleted" in at.toast[0].value.replace("\\", "")
    assert "kept: RMSE" in shown(at)


def test_the_address_names_the_sweep(project):
    done(project, "first", 1)
    done(project, "second", 1)
    assert "first: RMSE" in shown(opened(sweep="first"))
    assert "second: RMSE" in shown(opened(sweep="../../etc/passwd"))


def test_a_run_of_a_deleted_sweep_of_the_same_name_is_not_this_ones(project):
    done(project, trials=1)
    run_of(project, "done", "failed", "Long ago.")
    SweepStore(project).delete("done")
    done(project, trials=1)
    assert not opened().error


def test_text_from_data_is_shown_as_text(settings, monkeypatch):
    name = "<script>x</script> **b** $a$"
    import_tiny(settings, name="plain")
    with open_store(settings) as store:
        data = store.datasets.get("plain")
        request = SweepRequest.of(training={"preset": "biases", "dataset": name}, name="odd_name_")
        named = type("Named", (), {"name": name, "fingerprint": data.fingerprint})()
        begin(request, settings, named)
    text = shown(opened())
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def form(**values: object) -> AppTest:
    at = opened()
    at.selectbox(key="sweep-preset").select("report").run()
    for key, value in values.items():
        key = f"sweep-{key.replace('_at_', '-')}"
        found = [w for w in [*at.number_input, *at.text_input, *at.multiselect, *at.selectbox]
                 if w.key == key]  # fmt: skip
        found[0].set_value(value)
    return checked(at.run())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"report_at_dropout_at_to": 7.0}, "dropout = 7.0 cannot be searched"),
        ({"report_at_dropout_at_from": 0.9}, "the lower end must be below the upper one"),
        ({"report_at_learning_rate_at_from": -1.0}, "a logarithmic range starts above 0"),
        ({"report_at_vary": []}, "Choose at least one hyperparameter"),
        ({"name": "a/b"}, "name = &#x27;a/b&#x27;"),
        ({"split": "u1"}, "u1 is a fold of MovieLens 100K"),
    ],
)
def test_what_is_wrong_is_said_and_cannot_be_started(project, values, said):
    at = form(**values)
    assert '<p class="mr-wrong"><b>✕</b>' in shown(at)
    assert said in shown(at)
    assert at.button(key="sweep-start").disabled
    assert sweep_records(project) == []


def test_ranges_and_choices_are_what_the_form_says(project):
    at = form(
        report_at_vary=["num_layers", "aggregator", "feature_bands", "learning_rate"],
        report_at_learning_rate_at_from=0.001, trials=7, name="mine", metric="val_ndcg_10",
    )  # fmt: skip
    at.toggle(key="sweep-prune").set_value(False)
    at.multiselect(key="sweep-report-aggregator-of").set_value(["mean", "mean+max"])
    at = checked(at.run())
    checked(at.button(key="sweep-start").click().run())
    record = sweep_record(project, "mine")
    assert record.search == {
        "num_layers": "1..3", "aggregator": "mean,mean+max", "feature_bands": "false,true",
        "learning_rate": "0.001..0.05:log",
    }  # fmt: skip
    assert (record.metric, record.direction) == ("val_ndcg_10", "maximize")
    with open_store(project) as store:
        request = store.queue.waiting()[0].request
    assert (request["trials"], request["prune"]) == (7, False)


def test_a_name_of_another_sweep_is_refused_in_words(project):
    done(project, "mine", 1)
    at = form(name="mine")
    at = checked(at.button(key="sweep-start").click().run())
    assert "another preset" in at.error[0].value
    assert len(sweep_record(project, "mine").trials) == 1


PROGRAM = """
import sys

import movierec.ui.sweeps.view
from movierec.settings import load_settings
from movierec.sweeps.form import complaints, models
from movierec.sweeps.report import sweep_records

assert sweep_records(load_settings())
models()
complaints({"training": {"preset": "default"}, "search": ["dropout"]})
print([name for name in ("torch", "surprise", "sklearn") if name in sys.modules])
"""


def test_looking_at_sweeps_loads_nothing_heavy(project):
    done(project, trials=10)
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**process_environment(project)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout == "[]\n"
