"""A training killed by a real SIGKILL goes on as if it had not been."""

from __future__ import annotations

import pytest

from movierec.training.checkpoint import read_checkpoint
from tests.support.forking import Victims
from tests.support.sage_cases import fit, same_weights
from tests.support.training_victims import CONFIG, KILLED, Order, one_thread, victims

pytestmark = pytest.mark.usefixtures("calm_torch")


@pytest.fixture(scope="module")
def processes():
    with victims() as found:
        yield found


@pytest.fixture(scope="module")
def whole():
    """The same training, never interrupted; on one thread, as in the other processes."""
    with one_thread():
        yield fit(CONFIG)


def assert_goes_on(path, whole) -> None:
    resumed = fit(CONFIG, checkpoint=path, resume=True)
    assert same_weights(resumed.model.state_dict(), whole.model.state_dict())
    losses = [[epoch.train_loss for epoch in f.result.history] for f in (resumed, whole)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("moment", "finished"),
    [("step 1 2", 0), ("step 5 3", 4), ("epoch 4", 4), ("writing 1", 0), ("writing 6", 5)],
)
def test_killed_at_a_certain_moment(tmp_path, processes: Victims, whole, moment, finished):
    path = tmp_path / "checkpoint.pt"
    assert processes.run(Order(str(path), moment)) == KILLED
    found = len(read_checkpoint(path)["history"]) if path.is_file() else 0
    assert found == finished
    assert_goes_on(path, whole)


def test_killed_again_and_again_at_any_moment(tmp_path, processes: Victims, whole):
    """Each life gets a little further, or dies before its first epoch ends."""
    path = tmp_path / "checkpoint.pt"
    for seconds in (0.001, 0.02, 0.05, 0.08):
        assert processes.run(Order(str(path), f"after {seconds}")) in (KILLED, 0)
    assert_goes_on(path, whole)


def test_another_process_gets_the_same_weights_without_a_warning(
    tmp_path, processes: Victims, whole
):
    path = tmp_path / "checkpoint.pt"
    assert processes.run(Order(str(path), "never")) == 0
    assert same_weights(read_checkpoint(path)["best_weights"], whole.model.state_dict())
