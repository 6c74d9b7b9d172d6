"""Several machines that share a PostgreSQL database and the folders of versions and runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from movierec.jobs import cancel, resume, submit, submit_import, submit_sweep
from movierec.jobs.foreground import queue_train, train_run
from movierec.processes import own_mark
from movierec.settings import Settings
from movierec.store import open_store
from movierec.workflows.requests import TrainRequest
from tests.integration.jobs.test_process import assert_same_version, ended, has_epochs, wait_for
from tests.integration.jobs.test_worker import LONG, PATIENCE, claimed_by_many, queue, worker
from tests.support.factories import make_dataset
from tests.support.project import (
    end_processes,
    get_run,
    import_tiny,
    movierec,
    one_line,
    process_environment,
    project_in,
    runs_of,
    write_csvs,
)

ELSEWHERE = "elsewhere"
# several seconds: time enough to stop it twice before it ends
SHORT = LONG | {"epochs": 600}


@pytest.fixture
def project(tmp_path: Path, postgres_url: str) -> Iterator[Settings]:
    """A project on PostgreSQL; processes that a failed test left behind are ended."""
    home = project_in(tmp_path / "first", with_data=False)
    settings = home.model_copy(update={"database_url": postgres_url})
    import_tiny(settings)
    yield settings
    end_processes(settings)


@pytest.fixture
def elsewhere(project: Settings, tmp_path: Path) -> Settings:
    """The project as another machine sees it: folders of its own, but for what is shared."""
    shared = {"models_dir": project.models_path, "runs_dir": project.runs_path}
    return project.model_copy(update={"home": tmp_path / "second", **shared})


def another_host() -> list[str]:
    """Return how to start a program on a host called otherwise; skip where nobody may."""
    for command in (["unshare", "--uts"], ["unshare", "--user", "--map-root-user", "--uts"]):
        renamed = [*command, "sh", "-c", f'hostname {ELSEWHERE} && exec "$@"', "sh"]
        if (
            shutil.which("unshare")
            and not subprocess.run([*renamed, "true"], check=False).returncode
        ):
            return renamed
    pytest.skip("a host name of its own takes root, or a system that lets users have namespaces")


def worker_elsewhere(settings: Settings, *options: str) -> subprocess.Popen[str]:
    settings.home.mkdir(exist_ok=True)
    command = [*another_host(), sys.executable, "-m", "movierec", "worker", *options]
    return subprocess.Popen(
        command, env={**os.environ, **process_environment(settings)}, text=True,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def epochs(settings: Settings, run_id: int) -> list[int]:
    with open_store(settings) as store:
        return [epoch.epoch for epoch in store.runs.epochs(run_id)]


def test_eight_workers_take_each_of_a_hundred_runs_once(project):
    taken = claimed_by_many(project, 100, 8)
    assert taken == Counter(str(number) for number in range(1, 101))
    assert {run.state for run in runs_of(project)} == {"succeeded"}


@pytest.mark.slow
def test_what_another_machine_began_is_stopped_and_ended_here(
    project, elsewhere, tmp_path, calm_torch
):
    (run_id,) = queue(project, "report", hyperparameters=SHORT, seed=3)
    there = worker_elsewhere(elsewhere)
    run = wait_for(project, run_id, has_epochs(project, 3))
    assert (run.state, run.host) == ("running", ELSEWHERE)
    cancel(project, run_id)
    assert wait_for(project, run_id, ended).state == "cancelled"
    with open_store(project) as store:
        store.queue.requeue(run_id)
    before = epochs(project, run_id)
    run = wait_for(project, run_id, has_epochs(project, len(before) + 3))
    assert (run.state, run.host) == ("running", ELSEWHERE)
    there.kill()
    os.kill(run.pid, signal.SIGKILL)
    there.communicate(timeout=PATIENCE)
    assert wait_for(project, run_id, ended).state == "interrupted"  # its heartbeat is silent
    kept = epochs(project, run_id)
    assert {*before} < {*kept}
    assert len(kept) < SHORT["epochs"]

    resume(project, run_id)
    run = wait_for(project, run_id, ended)
    assert (run.state, run.host) == ("succeeded", own_mark().host)
    assert epochs(project, run_id) == list(range(1, SHORT["epochs"] + 1))
    straight = project_in(tmp_path / "straight")
    request = TrainRequest.of(preset="report", hyperparameters=SHORT, seed=3)
    assert_same_version(
        project, run.version, straight, train_run(straight, queue_train(straight, request).id).name
    )


@pytest.mark.slow
def test_a_server_that_restarts_meanwhile_costs_nothing(project, postgres):
    lasting = SHORT | {"epochs": 1500}  # longer than the server is away
    (run_id,) = queue(project, "report", hyperparameters=lasting)
    process = worker(project)
    pid = wait_for(project, run_id, has_epochs(project, 3)).pid
    postgres.stop()
    time.sleep(3)
    postgres.start()
    run = wait_for(project, run_id, ended)
    assert (run.state, run.pid, run.error) == ("succeeded", pid, "")
    assert epochs(project, run_id) == list(range(1, lasting["epochs"] + 1))
    (after,) = queue(project, "popular")
    assert wait_for(project, after, ended).state == "succeeded"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Geheimnis" not in err


def test_a_version_made_elsewhere_is_here(project, elsewhere):
    (run_id,) = queue(project, "popular")
    out, err = worker_elsewhere(elsewhere, "--once").communicate(timeout=PATIENCE)
    assert (f"run {run_id} ended" in out, err) == (True, "")
    run = get_run(project, run_id)
    assert (run.state, run.host) == ("succeeded", ELSEWHERE)
    assert (project.models_path / run.version / "metadata.json").is_file()
    with open_store(project) as store:
        assert store.versions.get(run.version).metadata.database_path == "postgresql+psycopg"
    assert movierec(project, "runs", "logs", run_id).code == 0
    alone = project.model_copy(update={"runs_dir": project.home / "not-shared"})
    assert f"It ran on {ELSEWHERE}" in one_line(movierec(alone, "runs", "logs", run_id))


def test_an_import_waits_for_the_machine_that_has_the_file(project, elsewhere, monkeypatch):
    monkeypatch.setattr(submit, "ensure_worker", lambda _: None)
    ratings = write_csvs(make_dataset(seed=5), project.home / "mine")
    run = submit_import(project, path=ratings, name="mine")
    worker_elsewhere(elsewhere, "--once").communicate(timeout=PATIENCE)
    assert get_run(project, run.id).state == "queued"
    worker(project, "--once").communicate(timeout=PATIENCE)
    assert get_run(project, run.id).state == "succeeded"
    alone = project_in(project.home / "alone", with_data=False)
    assert submit_import(alone, path=ratings).kept_for == ""  # a host may be called otherwise later
    assert submit_import(project).kept_for == ""  # a download can be done anywhere


def test_no_password_in_any_log(project, elsewhere):
    queue(project, "popular")
    process = worker_elsewhere(elsewhere, "--once")
    out, err = process.communicate(timeout=PATIENCE)
    logs = [path.read_text() for path in project.runs_path.rglob("*.log")]
    facts = [path.read_text() for path in project.models_path.rglob("*.json")]
    assert logs
    assert facts
    assert not any("Geheimnis" in text for text in (out, err, *logs, *facts))


def test_a_sweep_stays_where_its_file_is(project, elsewhere, monkeypatch):
    monkeypatch.setattr(submit, "ensure_worker", lambda _: None)
    run = submit_sweep(project, training={"preset": "biases", "dataset": "tiny"}, trials=2)
    worker_elsewhere(elsewhere, "--once").communicate(timeout=PATIENCE)
    assert get_run(project, run.id).state == "queued"
    worker(project, "--once").communicate(timeout=PATIENCE)
    assert get_run(project, run.id).state == "succeeded"
