"""Doing a run in this process: whatever happens, its row tells the truth."""

from __future__ import annotations

import re
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from movierec.errors import (
    MovierecError,
    NonFiniteError,
    NotFoundError,
    StoreError,
    TrainingError,
)
from movierec.jobs import execute as execute_module
from movierec.jobs.execute import execute
from movierec.jobs.foreground import queue_train, take_up, train_run
from movierec.settings import Settings
from movierec.store import RunRecord, open_store
from movierec.training.callbacks import EpochResult, Plan
from movierec.workflows.requests import TrainRequest
from tests.support.project import SMALL, get_run, import_tiny, project_in, train_version


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    return project_in(tmp_path)


def queued(settings: Settings, preset: str = "report", **request: object) -> RunRecord:
    return queue_train(settings, TrainRequest.of(preset=preset, **request)).record


def checkpoint(run: RunRecord) -> Path:
    return Path(run.log_path).with_name("checkpoint.pt")


def test_progress_only_grows_and_ends_at_one(project):
    told: list[tuple[str, float]] = []
    run = queued(project, hyperparameters=SMALL)
    done = execute(project, run.id, on_progress=lambda *words: told.append(words))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert told[0] == ("loading the data", 0.0)
    assert told[-1] == ("saved", 1.0)
    assert {"epoch 1 of 3", "epoch 3 of 3", "saving"} <= {stage for stage, _ in told}
    assert (done.state, done.stage, done.progress) == ("succeeded", "saved", 1.0)


@pytest.mark.parametrize(
    ("absurd", "said"),
    [
        ({"aggregator": "powermean"}, r"loss became \w+ in epoch \d+, step \d+ of \d+\."),
        (
            {"aggregator": "softmax", "loss_type": "bpr", "monitor": "val_ndcg_10"},
            "scores of the validation users became NaN or infinite|loss became",
        ),
    ],
)
def test_numbers_that_blow_up_end_a_run_in_plain_words(project, absurd, said):
    run = queued(project, hyperparameters={"learning_rate": 1.0, "num_layers": 8, **absurd})
    with pytest.raises(NonFiniteError, match=said):
        execute(project, run.id)
    failed = get_run(project, run.id)
    assert failed.state == "failed"
    assert re.search(said, failed.error)
    assert "Lower learning_rate" in failed.error
    assert "NonFiniteError" in failed.traceback
    assert list(project.models_path.glob("v*")) == []


def test_what_nobody_foresaw_is_kept_with_its_traceback(project):
    def on_progress(stage: str, done: float) -> None:
        if stage == "saving":
            raise ZeroDivisionError("of all things")

    run = queued(project, hyperparameters=SMALL)
    said = rf"^Run {run.id} failed: ZeroDivisionError: of all things\. .*runs logs {run.id}"
    with pytest.raises(MovierecError, match=said):
        execute(project, run.id, on_progress=on_progress)
    failed = get_run(project, run.id)
    assert failed.state == "failed"
    assert "Traceback" in failed.traceback
    assert train_run(project, take_up(project, run.id).id).run_id == run.id


def test_a_folder_of_the_run_that_cannot_be_made(project):
    run = queued(project, hyperparameters=SMALL)
    folder = Path(run.log_path).parent
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt cannot be written: File exists\."):
        execute(project, run.id)
    folder.unlink()
    assert train_run(project, take_up(project, run.id).id).run_id == run.id


def test_a_data_set_deleted_before_the_start(project):
    run = queued(project, "ease")
    with open_store(project) as store:
        store.datasets.delete("tiny")
    with pytest.raises(NotFoundError, match="no data set"):
        execute(project, run.id)
    assert get_run(project, run.id).state == "failed"


def test_a_run_is_done_once(project):
    run = queued(project, "mean")
    execute(project, run.id)
    with pytest.raises(StoreError, match="succeeded: it cannot be started"):
        execute(project, run.id)
    with pytest.raises(NotFoundError):
        execute(project, 99)


class Interrupting:
    """A hook that presses Ctrl-C after an epoch."""

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch
        self.first_epoch = 0

    def on_start(self, plan: Plan) -> None:
        self.first_epoch = plan.first_epoch

    def on_step(self, epoch: int, step: int) -> None: ...

    def on_epoch(self, result: EpochResult) -> None:
        if result.epoch == self.epoch:
            signal.raise_signal(signal.SIGINT)


ENDLESS = {"epochs": 10_000, "early_stopping_patience": 10_000}


class Losing(Interrupting):
    """Ctrl-C at the first step, swallowed as Python does in a destructor."""

    times = 0

    def on_step(self, epoch: int, step: int) -> None:
        if not self.times:
            self.times += 1
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        time.sleep(0.01)  # 10,000 epochs are not over before the second one


def test_ctrl_c_keeps_the_checkpoint_and_resume_goes_on(project):
    run = queued(project, hyperparameters=SMALL)
    with pytest.raises(KeyboardInterrupt):
        execute(project, run.id, hooks=[Interrupting(2)])
    stopped = get_run(project, run.id)
    assert (stopped.state, stopped.error) == ("interrupted", "Stopped before it ended.")
    assert checkpoint(run).is_file()
    listener = Interrupting()
    record = train_run(project, run.id, hooks=[listener])
    assert listener.first_epoch == 3
    straight = train_version(project, "report")
    assert record.metadata.evaluation == straight.metadata.evaluation
    assert [e.epoch for e in record.metadata.training_history] == [1, 2, 3]
    assert not checkpoint(run).exists()


def test_ctrl_c_that_python_lost_is_raised_again(project, monkeypatch):
    monkeypatch.setattr(execute_module, "LOST_SECONDS", 0.1)
    lost = Losing()
    run = queued(project, hyperparameters=SMALL | ENDLESS)
    with pytest.raises(KeyboardInterrupt):
        execute(project, run.id, hooks=[lost])
    assert lost.times == 1
    assert get_run(project, run.id).state == "interrupted"


def test_ctrl_c_that_a_library_made_an_error_of_is_still_ctrl_c(project):
    def on_progress(stage: str, done: float) -> None:
        if stage == "saving":
            try:
                raise KeyboardInterrupt
            finally:
                raise RuntimeError("unexpected pos 64 vs 0")  # as torch does

    run = queued(project, hyperparameters=SMALL)
    with pytest.raises(KeyboardInterrupt):
        execute(project, run.id, on_progress=on_progress)
    stopped = get_run(project, run.id)
    assert (stopped.state, stopped.error) == ("interrupted", "Stopped before it ended.")


class SeeingRows(Interrupting):
    """Looks at the run's epochs as the training starts."""

    def __init__(self, settings: Settings, run_id: int) -> None:
        super().__init__()
        self.settings, self.run_id = settings, run_id

    def on_start(self, plan: Plan) -> None:
        with open_store(self.settings) as store:
            self.rows = [epoch.epoch for epoch in store.runs.epochs(self.run_id)]


def test_an_epoch_whose_row_was_never_written_is_there_after_resuming(project):
    run = queued(project, hyperparameters=SMALL)
    with pytest.raises(KeyboardInterrupt):
        execute(project, run.id, hooks=[Interrupting(2)])
    with open_store(project) as store, store.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM run_epochs WHERE epoch = 2")
    seeing = SeeingRows(project, run.id)
    train_run(project, run.id, hooks=[seeing])
    assert seeing.rows == [1, 2]  # before the first step
    with open_store(project) as store:
        assert [epoch.epoch for epoch in store.runs.epochs(run.id)] == [1, 2, 3]


def test_ctrl_c_after_the_version_was_kept_does_not_lose_it(project):
    def on_progress(stage: str, done: float) -> None:
        if stage == "saved":
            raise KeyboardInterrupt

    run = queued(project, "ease")
    done = execute(project, run.id, on_progress=on_progress)
    assert (done.state, done.version) == ("succeeded", "v1.0.0")


def test_a_checkpoint_of_another_database_is_not_taken_for_this_runs(project):
    run = queued(project, hyperparameters=SMALL)
    with pytest.raises(KeyboardInterrupt):
        execute(project, run.id, hooks=[Interrupting(2)])
    left = checkpoint(run).read_bytes()
    for file in project.data_path.glob("recommender.db*"):
        file.unlink()
    import_tiny(project, "new", seed=1)
    again = queued(project, hyperparameters=SMALL)
    assert again.id == run.id
    checkpoint(again).write_bytes(left)
    record = train_run(project, again.id)
    assert record.metadata.evaluation == train_version(project).metadata.evaluation


def test_a_queued_run_whose_process_died_is_noticed(project):
    run = queued(project, "mean")
    assert get_run(project, run.id).state == "queued"  # this process is alive
    with open_store(project) as store:
        store.runs.assign(run.id, 2**22 + 1)  # no process can have this number
        assert [dead.id for dead in store.runs.mark_interrupted()] == [run.id]
    assert take_up(project, run.id).record.state == "interrupted"
    assert train_run(project, run.id).run_id == run.id
