"""SIGKILL at random moments of a training that a page watches: nothing is lost, all goes on."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from movierec.jobs import submit_train
from movierec.settings import Settings
from movierec.store import EpochRecord, RunRecord, open_store
from tests.browser.conftest import Watched
from tests.integration.jobs.test_disasters import assert_no_epoch_lost, epochs_in_log
from tests.integration.jobs.test_process import SHORT, assert_same_version, ended
from tests.integration.store.test_kill import assert_consistent, assert_no_half_version
from tests.support.browser_server import Server
from tests.support.project import end_processes, process_environment, project_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1500)]

VICTIMS = ("worker", "run", "server", "all")
MOMENTS = 20
SEED = 11
PATIENCE = 120.0  # seconds; only a hanging process takes so long
FEW = 3  # epochs that show that a run goes on


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    project = project_in(tmp_path_factory.mktemp("project"))
    yield project
    end_processes(project)


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Server]:
    running = Server(settings, {**process_environment(settings), "MOVIEREC_WORKER_IDLE": "600"})
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def address(server: Server) -> str:
    return server.address


@dataclass
class Play:
    """A training, the page that watches it, and what became of it so far."""

    settings: Settings
    server: Server
    page: Page
    run_id: int = 0
    straight: str = ""

    @property
    def run(self) -> RunRecord:
        """The run's row as it is: it is for the page or the worker to find it dead."""
        with open_store(self.settings) as store:
            return store.runs.get(self.run_id)

    @property
    def epochs(self) -> list[EpochRecord]:
        with open_store(self.settings) as store:
            return store.runs.epochs(self.run_id)

    @property
    def workers(self) -> list[int]:
        with open_store(self.settings) as store:
            return [worker.pid for worker in store.queue.workers()]

    def begin(self) -> None:
        how = {"hyperparameters": SHORT, "seed": SEED}
        self.run_id = submit_train(self.settings, "report", "tiny", **how).id
        self.open()

    def open(self) -> None:
        self.page.goto(self.server.address)
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()

    def resume(self) -> None:
        """The page, open before the kill or since, shows it interrupted and takes it up."""
        said = re.compile(rf"Run {self.run_id} .*interrupted")
        expect(self.page.get_by_text(said).first).to_be_visible()
        again = self.page.get_by_role(
            "button", name=re.compile(rf"(Resume|Try) run {self.run_id} ")
        )
        again.click()
        expect(again).to_have_count(0)

    def finish(self) -> None:
        """The run ends as the one that nobody disturbed."""
        self.until(lambda: ended(self.run), "its end")
        done = self.run
        assert (done.state, done.error) == ("succeeded", "")
        assert [epoch.epoch for epoch in self.epochs] == [*range(1, SHORT["epochs"] + 1)]
        assert epochs_in_log(Path(done.log_path))  # what each moment is compared with
        assert done.version is not None
        self.straight = self.straight or done.version
        assert_same_version(self.settings, done.version, self.settings, self.straight)

    def until(self, true: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, f"waited for {what}: {self.run}"
            time.sleep(0.1)


def make_ready(play: Play, victim: str, delay: float) -> None:
    """Let the moment come; there is a training under way then, and a victim of that kind."""
    while True:
        if ended(play.run):
            play.finish()
            play.begin()
        elif victim == "worker" and play.run.state == "running" and not play.workers:
            play.finish()  # killed before; a run that goes on needs none
            continue
        time.sleep(delay)
        play.until(lambda: ended(play.run) or has_victim(play, victim), f"a {victim}")
        if not ended(play.run):
            return
        delay /= 2


def has_victim(play: Play, victim: str) -> bool:
    if victim == "worker":
        return bool(play.workers)
    return victim != "run" or process_of(play) is not None


def process_of(play: Play) -> int | None:
    """The process of the run, which leads its group; while it is being claimed it has none."""
    run = play.run
    return run.pid if not ended(run) and run.pid not in play.workers else None


def kill(play: Play, victim: str) -> bool:
    """Kill them at one moment; return whether the run's own process was among them."""
    whole, own, workers = victim == "all", process_of(play), play.workers
    with suppress(ProcessLookupError):
        if own is not None and (whole or victim == "run"):
            os.killpg(own, signal.SIGKILL)
        for pid in workers if whole or victim == "worker" else []:
            os.kill(pid, signal.SIGKILL)
    if whole or victim == "server":
        play.server.kill()
    return own is not None and victim in ("run", "all")


def survive(play: Play, victim: str) -> None:
    """Kill, look at what is left, and see the run go on."""
    was, before = play.run, play.epochs
    own = kill(play, victim)
    assert_no_half_version(play.settings)
    if victim in ("server", "all"):
        play.server.start()
        play.open()
    play.until(lambda: goes_on(play, len(before)), "what becomes of it")
    found = play.run
    assert play.epochs[: len(before)] == before
    if was.state == "running":
        assert found.state in (("interrupted", "succeeded") if own else ("running", "succeeded"))
        assert_no_epoch_lost(play.settings, found)
    if found.state == "interrupted":
        play.resume()


def goes_on(play: Play, n_epochs: int) -> bool:
    return ended(play.run) or len(play.epochs) >= n_epochs + FEW


def moments() -> list[tuple[str, float]]:
    """Whom to kill and when, in parts of the time that a training takes."""
    rng = random.Random(SEED)
    victims = [*VICTIMS * (MOMENTS // len(VICTIMS))]
    rng.shuffle(victims)
    return [(victim, rng.random()) for victim in victims]


def test_killed_at_twenty_random_moments(
    settings: Settings, server: Server, watched: Watched
) -> None:
    play = Play(settings, server, watched.page)
    started = time.monotonic()
    play.begin()
    play.finish()
    took = time.monotonic() - started
    play.begin()
    for victim, share in moments():
        make_ready(play, victim, share * took)
        survive(play, victim)
        assert watched.page.get_by_test_id("stException").count() == 0
    play.finish()
    assert_consistent(settings)
