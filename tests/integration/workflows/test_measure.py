"""Versions of different splits, measured on ratings that none of them has seen."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
import pytest

from movierec import jobs
from movierec.comparison.comparability import obstacles
from movierec.comparison.lists import held_out_of, user_lists
from movierec.comparison.measured import as_measured, comparable_evidence
from movierec.data.splits import Split, SplitSpec, make_split, recorded_split
from movierec.errors import (
    ArtifactError,
    EvaluationError,
    HyperparameterError,
    NotFoundError,
    StoreError,
)
from movierec.evaluation import evaluate, reference_baselines
from movierec.folders import INCOMING
from movierec.inference.load import load_version
from movierec.jobs import submit_measure
from movierec.jobs.execute import execute
from movierec.jobs.foreground import measure_run, queue_measure, take_up
from movierec.metadata import RecordedSplit, VersionMetadata
from movierec.models.baselines.myfm import RatingTable
from movierec.processes import own_mark
from movierec.registry import Registry, VersionDraft
from movierec.registry.measurements import Measurements
from movierec.settings import Settings
from movierec.store import ACTIVE_STATES, VersionRecord, open_store
from movierec.workflows.compare import compare_versions, compared_versions
from movierec.workflows.measure import common_test, evaluate_version, measure_together
from tests.support import states
from tests.support.factories import make_dataset
from tests.support.pages import labels, opened_page, shown, without_worker
from tests.support.project import (
    end_processes,
    get_run,
    movierec,
    one_line,
    process_environment,
    project_in,
    runs_of,
    train_version,
)

DATA = make_dataset(150, 60, 0.4)
PATIENCE = 120.0  # seconds; only a hanging process takes so long
SEED_0, SEED_1 = {"name": "random", "seed": 0}, {"name": "random", "seed": 1}
KILLED = """
import os, signal, sys

from movierec.jobs.execute import execute
from movierec.settings import load_settings


def on_progress(stage, done):
    if stage.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)


execute(load_settings(), int(sys.argv[1]), on_progress=on_progress)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """v1.0.0 and v1.2.0 of seed 0, v1.1.0 of seed 1; v1.1.0 is a GraphSAGE."""
    settings = project_in(tmp_path_factory.mktemp("trained"), with_data=False)
    with states.opened(settings) as store:
        states.add_dataset(store, DATA)
    train_version(settings, "biases", split=SEED_0)
    train_version(settings, "report", split=SEED_1)
    train_version(settings, "ease", split=SEED_0)
    return settings


@pytest.fixture
def project(trained: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A copy that a test may change; what a failed one left behind is ended."""
    shutil.copytree(trained.home, tmp_path / "copy", symlinks=True)
    settings = trained.model_copy(update={"home": tmp_path / "copy"})
    yield settings
    end_processes(settings)


def kept(settings: Settings) -> Measurements:
    return Measurements(settings.models_path)


def splits_of(settings: Settings, *names: str) -> dict[str, Split]:
    found = {name: load_version(name, settings).metadata.split for name in names}
    return {name: recorded_split(DATA, split) for name, split in found.items()}


def memoriser(settings: Settings, split: SplitSpec) -> VersionRecord:
    """Keep a version that knows by heart what it was told, and puts that first; else 3 stars."""
    made = make_split(DATA, split)
    known = DATA.ratings.take(made.known)
    stars = np.full((DATA.n_users, DATA.n_movies), 3.0, np.float32)
    stars[known.user, known.movie] = known.rating + 10  # clipped where stars are asked for
    draft = VersionDraft(
        model="myfm", preset="myfm", dataset_name=DATA.name, fingerprint=DATA.fingerprint,
        split_label=split.label, arrays=RatingTable(stars, DATA.scale).arrays(),
        metadata=VersionMetadata.of(
            {"split": split.model_dump(), "split_test_sha256": made.sha256}
        ),
    )  # fmt: skip
    with open_store(settings) as store:
        return Registry(settings, store).save(draft)


def test_both_are_measured_on_what_neither_has_seen(project):
    found = measure_together(project, ["v1.0.0", "v1.1.0"])
    splits = splits_of(project, "v1.0.0", "v1.1.0")
    common = common_test(DATA, splits)
    assert found.ground.split_label == "common to v1.0.0 and v1.1.0"
    assert (found.ground.test_sha256, found.ground.n_ratings) == (common.sha256, len(common.test))
    assert recorded_split(DATA, RecordedSplit(**found.ground.split)).sha256 == common.sha256
    for name in splits:
        ratings = found.frame(name, "per_rating")
        for split in splits.values():
            assert np.isin(ratings["position"], split.test).all()
        assert len(ratings) == len(common.test)
        users = found.frame(name, "per_user")
        assert len(users) == found.ground.n_users
        protocol = found.versions[name].evaluation["protocol"]
        assert protocol["split"] == found.ground.split_label
        assert protocol["measured_together"] == ["v1.0.0", "v1.1.0"]
        assert protocol["n_train"] == len(common.known)
        assert protocol["n_test"] == len(common.test)
        assert "any of the versions knew" in protocol["candidates"]["full"]
    one, other = (found.versions[name].evaluation for name in splits)
    assert one["rmse"] != other["rmse"]


def test_numbers_are_those_of_evaluating_each_on_the_common_part(project):
    found = measure_together(project, ["v1.0.0", "v1.1.0"])
    common = common_test(DATA, splits_of(project, "v1.0.0", "v1.1.0"))
    for name, measured in found.versions.items():
        expected = evaluate(load_version(name, project).recommender, DATA, common, told=True)
        assert measured.evaluation["rmse"] == expected.rmse
        assert measured.evaluation["full"] == expected.as_dict()["full"]
        assert measured.slices == expected.slice_rows()
        pd.testing.assert_frame_equal(found.frame(name, "per_user"), expected.per_user)
    assert found.ground.floors["popular"] == reference_baselines(DATA, common)["popular"].as_dict()


def test_on_one_split_it_is_evaluating_each_again(project):
    found = measure_together(project, ["v1.2.0", "v1.0.0"])
    assert [*found.versions] == ["v1.2.0", "v1.0.0"]
    for name, measured in found.versions.items():
        expected = evaluate_version(name, project)
        assert measured.evaluation == expected.as_dict()
        assert measured.evaluation == load_version(name, project).metadata.evaluation.as_dict()
    assert found.ground.caveats == []


def test_who_knows_ratings_by_heart_profits_from_none(project):
    """Two that know different ratings come to what a constant comes to, to the digit.

    Each would shine on the other's test part: there lies the leak, had known not been the union.
    """
    specs = [SplitSpec(seed=0), SplitSpec(seed=1)]
    names = [memoriser(project, spec).name for spec in specs]
    found = measure_together(project, names)
    common = common_test(DATA, splits_of(project, *names))
    constant = reference_baselines(DATA, common)["constant"].as_dict()
    actual = DATA.ratings.rating[common.test]
    for name, other in zip(names, reversed(specs), strict=True):
        evaluation = found.versions[name].evaluation
        assert evaluation["rmse"] == pytest.approx(math.sqrt(((actual - 3.0) ** 2).mean()))
        for protocol in ("full", "full_4", "beyond"):
            assert evaluation[protocol] == constant[protocol]
        model = load_version(name, project).recommender
        leaked = evaluate(model, DATA, make_split(DATA, other))
        assert leaked.rmse != pytest.approx(evaluation["rmse"], abs=0.05)
        assert leaked.full["recall_at_10"] > 2 * evaluation["full"]["recall_at_10"]


def test_three_are_measured_on_what_none_has_seen(project):
    other = train_version(project, "biases", split={"name": "random", "test_fraction": 0.85})
    names = ["v1.0.0", "v1.1.0", other.name]
    found = measure_together(project, names)
    assert found.ground.split_label == "common to v1.0.0, v1.1.0 and v1.3.0"
    for split in splits_of(project, *names).values():
        ratings = found.frame("v1.0.0", "per_rating")
        assert np.isin(ratings["position"], split.test).all()
    (said,) = found.ground.caveats
    assert said.startswith("Of these users' ratings they knew unequal shares (v1.0.0 ")


def test_a_version_that_knew_the_future_is_said_to(project):
    past = train_version(project, "biases", split={"name": "temporal", "test_fraction": 0.8})
    last = train_version(project, "biases", split={"name": "leave-last-n", "last_n": 15})
    found = measure_together(project, ["v1.0.0", last.name, past.name])
    said = found.ground.caveats[-1]
    assert said.startswith("v1.0.0 and v1.3.0" if last.name == "v1.3.0" else "v1.0.0 and v1.4.0")
    assert f"newer than held-out ones, {past.name} did not" in said


def test_new_users_told_more_or_less_are_measured_on_what_neither_was_told(project):
    cold = {"name": "cold-users", "seed": 3}
    data = make_dataset(400, 60, 0.4, seed=5)
    with states.opened(project) as store:
        states.add_dataset(store, states.named(data, "many"))
    for given in (2, 5):
        train_version(project, "popular", dataset="many", split={**cold, "given": given})
    found = measure_together(project, ["v1.3.0", "v1.4.0"])
    assert found.ground.test_sha256 == make_split(data, SplitSpec(**cold, given=5)).sha256


def test_what_was_measured_is_not_measured_again(project):
    first = measure_together(project, ["v1.0.0", "v1.1.0"])
    stages: list[str] = []
    again = measure_together(
        project, ["v1.1.0", "v1.0.0"], on_progress=lambda stage, _: stages.append(stage)
    )
    assert (again.key, again.created_at, stages) == (first.key, first.created_at, [])
    (first.folder / "v1.0.0" / "per_user.parquet").unlink()
    mended = measure_together(project, ["v1.0.0", "v1.1.0"])
    assert (mended.key, mended.problems()) == (first.key, [])
    assert mended.created_at > first.created_at


@pytest.mark.parametrize(
    ("names", "error", "said"),
    [
        (["v1.0.0"], HyperparameterError, "only 1|1 named.*Name 2"),
        (["v1.0.0", "v1.0.0"], HyperparameterError, "v1.0.0 is named twice"),
        (["current", "v1.0.0"], HyperparameterError, "v1.0.0 is named twice"),
        (["v1.0.0", "v9.0.0"], NotFoundError, "v9.0.0"),
    ],
)
def test_what_cannot_be_measured_is_refused(project, names, error, said):
    for attempt in (measure_together, submit_measure, queue_measure):
        with pytest.raises(error, match=said):
            attempt(project, names)
    assert kept(project).list() == []
    assert all(run.kind == "train" for run in runs_of(project))


def test_too_few_common_ratings_lead_to_training_again(project):
    small = train_version(project, "biases", split={"name": "random", "test_fraction": 0.05})
    with pytest.raises(EvaluationError) as refused:
        measure_together(project, ["v1.0.0", small.name])
    common = common_test(DATA, splits_of(project, "v1.0.0", small.name))
    users = len(np.unique(DATA.ratings.user[common.test]))
    said = str(refused.value)
    assert f"Only {len(common.test)} ratings of {users} users are held out by all of v1.0.0" in said
    command = "movierec train --preset biases --dataset planted --split-seed 0"
    assert f"Train v1.3.0 again on v1.0.0's data and split: `{command}`." in said
    again = movierec(project, *command.split()[1:], "--json").facts
    assert measure_together(project, ["v1.0.0", again["name"]]).ground.n_ratings > 100


def other_data(settings: Settings) -> tuple[VersionRecord, str]:
    with states.opened(settings) as store:
        states.add_dataset(store, states.named(make_dataset(seed=9), "elsewhere"))
    record = train_version(settings, "popular", dataset="elsewhere", split=SEED_0)
    return record, "v1.0.0 was trained on planted and v1.3.0 on elsewhere"


def cold_users(settings: Settings) -> tuple[VersionRecord, str]:
    record = train_version(settings, "popular", split={"name": "cold-users"})
    return record, "v1.3.0 was measured on users whom it had never met, and v1.0.0 has learnt"


@pytest.mark.parametrize("make", [other_data, cold_users])
def test_what_no_rating_could_tell_apart_is_refused_before_it_waits(project, make):
    record, said = make(project)
    for attempt in (measure_together, submit_measure, queue_measure):
        with pytest.raises(EvaluationError, match=said) as refused:
            attempt(project, ["v1.0.0", record.name])
        assert "`movierec train --preset" in refused.value.hint
    assert all(run.kind == "train" for run in runs_of(project))


def test_a_damaged_version_fails_its_run_and_keeps_nothing(project):
    array = next((project.models_path / "v1.1.0" / "serving").glob("*.npy"))
    array.write_bytes(array.read_bytes()[:-1] + b"?")
    run = queue_measure(project, ["v1.0.0", "v1.1.0"])
    with pytest.raises(ArtifactError, match=r"v1\.1\.0 cannot be used"):
        measure_run(project, run.id)
    ended = get_run(project, run.id)
    assert (ended.state, "v1.1.0 cannot be used" in ended.error) == ("failed", True)
    assert kept(project).list() == []
    assert [*(project.models_path / ".measurements").glob("[!.]*")] == []


def test_a_version_trained_on_data_that_changed_is_refused(project):
    with states.opened(project) as store:
        store.datasets.delete(DATA.name)
        states.add_dataset(store, states.named(make_dataset(150, 60, 0.4, seed=1), DATA.name))
    with pytest.raises(ArtifactError, match=r"was trained on other data than"):
        measure_together(project, ["v1.0.0", "v1.1.0"])
    assert kept(project).list() == []


def test_data_that_is_called_otherwise_by_now_is_found(project):
    small = train_version(project, "biases", split={"name": "random", "test_fraction": 0.05})
    with states.opened(project) as store:
        store.datasets.delete(DATA.name)
        states.add_dataset(store, states.named(DATA, "renamed"))
    assert measure_together(project, ["v1.0.0", "v1.1.0"]).ground.dataset_name == "renamed"
    with pytest.raises(EvaluationError, match="--dataset renamed"):
        measure_together(project, ["v1.0.0", small.name])


def test_a_queued_run_measures_and_says_on_what(project):
    run = submit_measure(project, ["v1.0.0", "v1.1.0"], priority=3)
    assert (run.kind, run.state, run.dataset_name) == ("evaluate", "queued", "planted")
    assert (run.request, run.priority) == ({"versions": ["v1.0.0", "v1.1.0"]}, 3)
    deadline = time.monotonic() + PATIENCE
    while get_run(project, run.id).state in ACTIVE_STATES and time.monotonic() < deadline:
        time.sleep(0.05)
    done = get_run(project, run.id)
    assert (done.state, done.version, done.progress) == ("succeeded", None, 1.0)
    (found,) = kept(project).list()
    assert done.facts["ratings"] == found.ground.n_ratings
    assert done.facts["measured_on"] == "common to v1.0.0 and v1.1.0"


def test_the_same_question_waits_once(project, monkeypatch):
    without_worker(monkeypatch)
    run = submit_measure(project, ["v1.0.0", "v1.1.0"])
    assert submit_measure(project, ["v1.1.0", "v1.0.0"]).id == run.id
    assert submit_measure(project, ["current", "v1.1.0"]).id == run.id
    with pytest.raises(StoreError, match=f"Run {run.id} measures these versions or waits to"):
        queue_measure(project, ["v1.0.0", "v1.1.0"])
    assert submit_measure(project, ["v1.0.0", "v1.2.0"]).id == run.id + 1
    jobs.cancel(project, run.id)
    assert submit_measure(project, ["v1.0.0", "v1.1.0"]).id == run.id + 2


def test_a_measuring_is_neither_cloned_nor_trained(project, monkeypatch):
    without_worker(monkeypatch)
    run = submit_measure(project, ["v1.0.0", "v1.1.0"])
    with pytest.raises(StoreError, match="measures versions together; only trainings are cloned"):
        jobs.clone(project, run.id)
    with pytest.raises(HyperparameterError, match=f"runs resume {run.id}"):
        take_up(project, run.id)


def test_killed_in_the_middle_it_leaves_nothing_and_starts_anew(project):
    run = queue_measure(project, ["v1.0.0", "v1.1.0"])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(run.id), "measuring v1.1.0"],
        env={**process_environment(project)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    assert get_run(project, run.id).state == "interrupted"
    assert kept(project).list() == []
    assert len([*project.models_path.rglob("per_user.parquet")]) == 4  # v1.0.0's new one is left
    found = measure_run(project, run.id)
    assert (found.problems(), get_run(project, run.id).state) == ([], "succeeded")


def test_cancelled_in_the_middle_it_keeps_nothing(project):
    run = queue_measure(project, ["v1.0.0", "v1.1.0"])

    def cancelling(stage: str, _done: float) -> None:
        if stage.startswith("measuring v1.1.0"):
            jobs.cancel(project, run.id)
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                time.sleep(0.05)  # the heartbeat hears it within a second

    ended = execute(project, run.id, on_progress=cancelling)
    assert (ended.state, ended.error) == ("cancelled", "Stopped before it ended.")
    assert [*(project.models_path / ".measurements").glob("[!.]*")] == []


def test_a_measurement_goes_with_its_version_but_waits_while_that_is_in_the_trash(project):
    measure_together(project, ["v1.0.0", "v1.1.0"])
    with open_store(project) as store:
        registry = Registry(project, store)
        registry.delete("v1.1.0")
        assert registry.reconcile() == []
        registry.restore("v1.1.0")
        assert kept(project).find([registry.get("v1.0.0"), registry.get("v1.1.0")]) is not None
        registry.delete("v1.1.0", now=True)
    assert kept(project).list() == []


def test_what_a_killed_measuring_left_is_cleared(project):
    measure_together(project, ["v1.0.0", "v1.2.0"])
    (found,) = kept(project).list()
    half = f"{INCOMING}{own_mark().host}-999999999-1-abc"  # no process has this number
    shutil.copytree(found.folder / "v1.0.0", found.folder.parent / half / "v1.0.0")
    gone = found.folder.parent / ("0" * 32)
    shutil.copytree(found.folder, gone)
    shutil.copytree(found.folder / "v1.0.0", gone / "v9.0.0")
    with open_store(project) as store:
        lines = Registry(project, store).reconcile()
    assert lines == [
        f"Removed {half}, left by a process that was killed.",
        "Removed a measurement of v9.0.0, which is deleted.",
    ]
    assert [m.key for m in kept(project).list()] == [found.key]


def test_the_command_line_measures_and_shows(project):
    words = ("versions", "measure", "v1.0.0", "v1.1.0")
    said = movierec(project, *words)
    (found,) = kept(project).list()
    assert said.code == 0
    assert f"common to v1.0.0 and v1.1.0: {found.ground.n_ratings} ratings" in said.out
    assert f"{found.versions['v1.1.0'].evaluation['rmse']:.4f}" in said.out
    facts = movierec(project, *words, "--json").facts
    assert facts["n_ratings"] == found.ground.n_ratings
    for name, measured in found.versions.items():
        assert facts["versions"][name]["evaluation"] == measured.evaluation
    assert "evaluate v1.0.0 and v1.1.0" in movierec(project, "runs", "list", width=200).out
    refused = movierec(project, "versions", "measure", "v1.0.0")
    assert (refused.code, "Name 2" in one_line(refused)) == (2, True)


def test_the_doctor_finds_a_damaged_measurement_and_says_what_mends_it(project):
    found = measure_together(project, ["v1.0.0", "v1.1.0"])
    assert "v1.0.0 and v1.1.0 together: whole" in movierec(project, "doctor", width=200).out
    (found.folder / "v1.1.0" / "per_user.parquet").unlink()
    said = movierec(project, "doctor", width=200).out
    assert "v1.0.0 and v1.1.0 together: per_user.parquet of v1.1.0 is missing" in said
    assert movierec(project, "versions", "measure", "v1.0.0", "v1.1.0").code == 0
    assert "v1.0.0 and v1.1.0 together: whole" in movierec(project, "doctor", width=200).out


def test_the_command_line_leaves_it_to_the_worker(project, monkeypatch):
    without_worker(monkeypatch)
    monkeypatch.setattr("movierec.cli.versions.measure.submit_measure", submit_measure)
    words = ("versions", "measure", "v1.0.0", "v1.1.0", "--queue")
    facts = movierec(project, *words, "--json").facts
    assert (facts["kind"], facts["state"]) == ("evaluate", "queued")
    assert movierec(project, *words).out == f"Run {facts['id']} waits in the queue.\n"


def test_the_runs_view_tells_what_is_measured(project, monkeypatch):
    without_worker(monkeypatch)
    monkeypatch.setenv("MOVIEREC_HOME", str(project.home))
    done = queue_measure(project, ["v1.0.0", "v1.1.0"])
    measure_run(project, done.id)
    waiting = submit_measure(project, ["v1.0.0", "v1.2.0"])
    at = opened_page("pages/Train.py", view="Runs", run=str(done.id))
    text = shown(at)
    assert f"Run {waiting.id}: evaluate v1.0.0 and v1.2.0 together" in text
    assert f"Run {done.id}: evaluate v1.0.0 and v1.1.0 together" in text
    assert "common to v1.0.0 and v1.1.0" in text
    assert f"Cancel run {waiting.id}" in labels(at)
    assert not [label for label in labels(at) if "train again" in label]
    (link,) = (each.proto for each in at.get("page_link") if each.proto.query_string)
    assert parse_qs(link.query_string) == {"versions": ["v1.0.0", "v1.1.0"]}
    ratings = get_run(project, done.id).facts["ratings"]
    assert f"measured on {ratings} ratings" in shown(opened_page("Home.py"))


def test_the_runs_view_says_why_a_measuring_failed_and_takes_it_up_again(project, monkeypatch):
    without_worker(monkeypatch)
    monkeypatch.setenv("MOVIEREC_HOME", str(project.home))
    array = next((project.models_path / "v1.1.0" / "serving").glob("*.npy"))
    whole = array.read_bytes()
    array.write_bytes(whole[:-1] + b"?")
    run = queue_measure(project, ["v1.0.0", "v1.1.0"])
    with pytest.raises(ArtifactError):
        measure_run(project, run.id)
    at = opened_page("pages/Train.py", view="Runs", run=str(run.id))
    assert "Version v1.1.0 cannot be used" in shown(at).replace("\\", "")
    (button,) = (each for each in at.button if each.label == f"Try run {run.id} again")
    button.click().run()
    assert get_run(project, run.id).state == "queued"
    array.write_bytes(whole)
    assert measure_run(project, run.id).problems() == []


def test_the_compare_page_goes_by_what_was_measured_together(project, monkeypatch):
    without_worker(monkeypatch)
    monkeypatch.setenv("MOVIEREC_HOME", str(project.home))
    names = ["v1.0.0", "v1.1.0"]
    before = opened_page("pages/Compare.py", versions=names, baseline="v1.0.0")
    before.button(key="measure").click().run()
    (run,) = (run for run in runs_of(project) if run.kind == "evaluate")
    found = measure_run(project, run.id)
    at = opened_page("pages/Compare.py", versions=names, baseline="v1.0.0", view="Lists")
    text = unescape(shown(at))
    assert f"{found.ground.n_ratings} held-out ratings" in text
    assert "none of these versions has seen" in text
    assert "Measure v1.0.0 and v1.1.0 on the same ratings now" not in labels(at)
    pair = compare_versions(project, names, "v1.0.0").pairs["v1.1.0"]
    assert pair.sentence in text
    user = at.selectbox(key="user").value
    held_out = found.frame("v1.0.0", "per_rating")
    expected = (held_out["user_index"] == DATA.users.index(user)).sum()
    assert f"<dt>Held-out ratings</dt><dd>{expected}</dd>" in text
    known = (DATA.ratings.user == DATA.users.index(user)).sum() - expected
    assert f"<dt>Known ratings</dt><dd>{known}</dd>" in text


def test_evidence_is_as_if_they_had_been_measured_so(project):
    with open_store(project) as store:
        registry = Registry(project, store)
        own = comparable_evidence(registry, ["v1.0.0", "v1.1.0"])
        assert obstacles(*own)[0].remedy == "common"
        found = measure_together(project, ["v1.0.0", "v1.1.0"])
        together = comparable_evidence(registry, ["v1.0.0", "v1.1.0"])
    assert obstacles(*together) == ()
    for name, each in zip(found.versions, together, strict=True):
        assert (each.record.name, each.problem) == (name, "")
        assert each.record.split_label == "common to v1.0.0 and v1.1.0"
        assert each.record.metadata.evaluation.as_dict() == found.versions[name].evaluation
        floors = each.record.metadata.floors
        assert {name: floor.as_dict() for name, floor in floors.items()} == found.ground.floors
        assert each.record.metadata.hyperparameters
        assert each.record.metadata.measured_together.versions == ["v1.0.0", "v1.1.0"]
        pd.testing.assert_frame_equal(each.per_user, found.frame(name, "per_user"))
        pd.testing.assert_frame_equal(each.per_rating, found.frame(name, "per_rating"))


def test_versions_of_one_split_are_compared_by_their_own_numbers(project):
    measure_together(project, ["v1.0.0", "v1.1.0", "v1.2.0"])
    with open_store(project) as store:
        registry = Registry(project, store)
        own = comparable_evidence(registry, ["v1.2.0", "v1.0.0"])
        wide = comparable_evidence(registry, ["v1.2.0", "v1.1.0"])
    assert [each.record.split_label for each in own] == ["random 80/20, seed 0"] * 2
    assert wide[0].record.split_label == "common to v1.0.0, v1.1.0 and v1.2.0"


def test_a_version_of_other_data_does_not_keep_the_rest_from_being_compared(project):
    other, _ = other_data(project)
    measure_together(project, ["v1.0.0", "v1.1.0"])
    names = ["v1.0.0", "v1.1.0", other.name]
    found = compare_versions(project, names, "v1.0.0")
    assert found.pairs["v1.1.0"].is_comparable
    assert [o.key for o in found.pairs[other.name].obstacles] == ["fingerprint"]
    assert "common to v1.0.0 and v1.1.0" in found.measured_on


def test_what_helps_several_is_to_measure_all_of_them(project):
    other, _ = other_data(project)
    wide = {"name": "random", "seed": 2, "test_fraction": 0.85}
    train_version(project, "popular", dataset=DATA.name, split=wide)
    names = ["v1.0.0", "v1.1.0", "v1.2.0", other.name, "v1.4.0"]
    remedies = compared_versions(project, names, "v1.0.0").remedies
    assert set(remedies) == {"v1.1.0", other.name, "v1.4.0"}
    command = "movierec versions measure v1.0.0 v1.1.0 v1.2.0 v1.4.0"
    assert f"`{command}`" in remedies["v1.1.0"]
    assert remedies["v1.4.0"] == remedies["v1.1.0"]
    assert "`movierec train" in remedies[other.name]
    assert movierec(project, *command.split()[1:], "--json").code == 0
    after = compared_versions(project, names, "v1.0.0").found
    assert [n for n, pair in after.pairs.items() if pair.is_comparable] == [
        "v1.1.0", "v1.2.0", "v1.4.0",
    ]  # fmt: skip


def test_the_command_line_compares_what_was_measured_together(project):
    words = ("compare", "v1.0.0", "v1.1.0", "--baseline", "v1.0.0")
    before = movierec(project, *words, "--json").facts
    assert before["pairs"]["v1.1.0"]["obstacles"][0]["remedy"] == "common"
    assert "movierec versions measure v1.0.0 v1.1.0" in movierec(project, *words, width=300).out
    found = measure_together(project, ["v1.0.0", "v1.1.0"])
    facts = movierec(project, *words, "--json").facts
    for name, measured in found.versions.items():
        assert facts["values"][name]["rmse"] == measured.evaluation["rmse"]
    assert facts["pairs"]["v1.1.0"]["obstacles"] == []
    rmse = (each.evaluation["rmse"] for each in found.versions.values())
    delta = -np.subtract(*rmse)
    assert facts["pairs"]["v1.1.0"]["deltas"]["rmse"] == pytest.approx(delta, abs=1e-12)
    assert f"{found.ground.n_ratings} held-out ratings" in facts["measured_on"]


def test_a_damaged_measurement_is_an_obstacle_that_says_what_helps(project):
    found = measure_together(project, ["v1.0.0", "v1.1.0"])
    (found.folder / "v1.1.0" / "per_user.parquet").write_bytes(b"no table")
    with open_store(project) as store:
        one, other = comparable_evidence(Registry(project, store), ["v1.0.0", "v1.1.0"])
    (obstacle,) = obstacles(one, other)
    assert obstacle.key == "file"
    assert "movierec versions measure" in obstacle.message


def test_lists_beside_each_other_leave_out_what_either_knew(project):
    measure_together(project, ["v1.0.0", "v1.1.0"])
    with open_store(project) as store:
        evidence = comparable_evidence(Registry(project, store), ["v1.0.0", "v1.1.0"])
    loaded = {each.record.name: load_version(each.record.name, project) for each in evidence}
    alike = {each.record.name: as_measured(loaded[each.record.name], each) for each in evidence}
    held_out = held_out_of(alike["v1.0.0"])
    assert np.array_equal(held_out.movie, held_out_of(alike["v1.1.0"]).movie)
    for user in range(5):
        name = str(DATA.users.ids[user])
        seen = {str(DATA.movies.ids[m]) for m in DATA.ratings.movie[DATA.ratings.user == user]}
        hits = {str(DATA.movies.ids[m]) for m in held_out.movie[held_out.user == user]}
        shown = user_lists(alike, held_out, name, k=DATA.n_movies)
        for lines in shown.lists.values():
            assert {line.movie_id for line in lines} & seen == hits
            assert {line.movie_id for line in lines if line.is_hit} == hits
        # as they are, one list shows what the other version has learnt from
        apart = user_lists(loaded, held_out, name, k=DATA.n_movies)
        assert any({line.movie_id for line in each} & seen != hits for each in apart.lists.values())


def test_versions_that_were_not_measured_together_keep_their_own_lists(project):
    with open_store(project) as store:
        (evidence, _) = comparable_evidence(Registry(project, store), ["v1.0.0", "v1.2.0"])
    loaded = load_version("v1.0.0", project)
    assert as_measured(loaded, evidence) is loaded


def test_on_a_shared_database_it_stays_on_the_machine_that_has_the_versions(
    tmp_path, postgres_url, monkeypatch
):
    without_worker(monkeypatch)
    settings = project_in(tmp_path / "shared", with_data=False)
    settings = settings.model_copy(update={"database_url": postgres_url})
    with states.opened(settings) as store:
        states.add_dataset(store, DATA)
    for split in (SEED_0, SEED_1):
        train_version(settings, "popular", split=split)
    run = submit_measure(settings, ["v1.0.0", "v1.1.0"])
    assert run.kept_for == own_mark().host
    assert measure_run(settings, run.id).ground.n_ratings > 100
    with open_store(settings) as store:
        records = [store.versions.get(name) for name in ("v1.0.0", "v1.1.0")]
    assert kept(settings).get(records) is not None
