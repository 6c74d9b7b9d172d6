"""A version of several fits, killed by a real SIGKILL, goes on as if it had not been."""

from __future__ import annotations

import pytest

from tests.support.forking import Victims
from tests.support.sage_cases import fit_version, same_weights
from tests.support.training_victims import CONFIG, KILLED, Order, one_thread, victims

pytestmark = pytest.mark.usefixtures("calm_torch")

HOW = {"members": 2, "refit": True}


@pytest.fixture(scope="module")
def processes():
    with victims() as found:
        yield found


@pytest.fixture(scope="module")
def whole():
    """The same version, never interrupted; on one thread, as in the other processes."""
    with one_thread():
        yield fit_version(CONFIG, **HOW)


def assert_goes_on(path, whole) -> None:
    resumed = fit_version(CONFIG, **HOW, checkpoint=path, resume=True)
    for one, other in zip(resumed.members, whole.members, strict=True):
        assert same_weights(one.model.state_dict(), other.model.state_dict())
    fits = [(f.first, *f.members) for f in (resumed, whole)]
    losses = [[e.train_loss for fit in mine for e in fit.result.history] for mine in fits]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("moment", "kept"),
    [
        ("epoch 12", 1),
        ("writing 13 in 2", 1),
        ("step 1 2 in 2", 1),
        ("step 3 1 in 2", 2),
        ("epoch 2 in 3", 3),
    ],
)
def test_killed_in_any_of_its_fits(tmp_path, processes: Victims, whole, moment, kept):
    path = tmp_path / "checkpoint.pt"
    assert processes.run(Order(str(path), moment, **HOW)) == KILLED
    assert len(list(tmp_path.glob("checkpoint*.pt"))) == kept
    assert_goes_on(path, whole)


def test_killed_again_and_again(tmp_path, processes: Victims, whole):
    path = tmp_path / "checkpoint.pt"
    for moment in ("step 2 1", "epoch 1 in 2", "step 2 3 in 2", "step 1 1 in 3"):
        assert processes.run(Order(str(path), moment, **HOW)) == KILLED
    assert_goes_on(path, whole)
