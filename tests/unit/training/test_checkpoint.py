"""Going on from a checkpoint: to the bit, or not at all."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from movierec.data.dataset import Dataset
from movierec.errors import ArtifactError
from movierec.training.checkpoint import read_checkpoint, write_checkpoint
from movierec.training.fit import SageFit
from tests.support.factories import make_dataset
from tests.support.sage_cases import PLAIN, RICH, Interrupt, Recorder, fit, same_weights, small

pytestmark = pytest.mark.usefixtures("calm_torch")

CONFIGS = {
    "plain": {**PLAIN, "dropout": 0.3},
    "rich": {**RICH, "dropout": 0.3},
    "sampled negatives": {**PLAIN, "loss_type": "bpr", "dropout": 0.2, "weight_average": 0.8},
    "short patience": {**PLAIN, "learning_rate": 0.2, "early_stopping_patience": 2, "epochs": 30},
}


def assert_same(found: SageFit, expected: SageFit) -> None:
    """Weights, history and best epoch are equal to the bit; only the clock may differ."""
    assert same_weights(found.model.state_dict(), expected.model.state_dict())
    histories = [
        [repr(replace(epoch, seconds=0.0)) for epoch in f.result.history] for f in (found, expected)
    ]
    assert histories[0] == histories[1]
    assert found.result.best_epoch == expected.result.best_epoch
    assert found.result.stopped_early == expected.result.stopped_early


@pytest.mark.parametrize("place", [("step", 1, 2), ("epoch", 3), ("step", 4, 2)], ids=str)
@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(tmp_path, changes, place):
    config, path = small(**changes), tmp_path / "checkpoint.pt"
    whole = fit(config, checkpoint=tmp_path / "other.pt")
    with pytest.raises(KeyboardInterrupt):
        fit(config, hooks=[Interrupt(*place)], checkpoint=path)
    torch.rand(17)  # whatever happens in between
    hook = Recorder()
    resumed = fit(config, hooks=[hook], checkpoint=path, resume=True)
    assert_same(resumed, whole)
    assert hook.calls[0] == ("start", {1: 1, 3: 4, 4: 4}[place[1]])


def test_a_training_may_be_interrupted_twice(tmp_path):
    config, path = small(**CONFIGS["rich"]), tmp_path / "checkpoint.pt"
    for place in (("epoch", 2), ("step", 5, 1)):
        with pytest.raises(KeyboardInterrupt):
            fit(config, hooks=[Interrupt(*place)], checkpoint=path, resume=True)
    assert_same(fit(config, checkpoint=path, resume=True), fit(config))


@pytest.mark.parametrize("forgotten", ["batches", "optimizer", "average", "schedule", "random"])
def test_a_checkpoint_that_forgot_something_would_be_seen(tmp_path, forgotten):
    """Each piece matters: with that of another training in its place the weights differ."""
    config, path = small(**CONFIGS["rich"]), tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(config, hooks=[Interrupt("epoch", 3)], checkpoint=path)
    with pytest.raises(KeyboardInterrupt):
        fit(config, hooks=[Interrupt("epoch", 1)], checkpoint=tmp_path / "early.pt", seed=9)
    early = read_checkpoint(tmp_path / "early.pt")
    write_checkpoint(path, {**read_checkpoint(path), forgotten: early[forgotten]})
    resumed = fit(config, checkpoint=path, resume=True)
    assert not same_weights(resumed.model.state_dict(), fit(config).model.state_dict())


def test_resuming_what_is_finished_changes_nothing(tmp_path):
    config, path = small(**CONFIGS["rich"]), tmp_path / "checkpoint.pt"
    whole, hook = fit(config, checkpoint=path), Recorder()
    assert_same(fit(config, checkpoint=path, resume=True, hooks=[hook]), whole)
    assert hook.calls == [("start", config.epochs + 1)]


def test_resuming_without_a_checkpoint_starts_anew(tmp_path):
    config = small(**PLAIN)
    assert_same(fit(config, checkpoint=tmp_path / "none.pt", resume=True), fit(config))
    assert_same(fit(config, resume=True), fit(config))


def test_a_checkpoint_is_only_used_when_asked_for(tmp_path):
    config, path = small(**PLAIN), tmp_path / "checkpoint.pt"
    whole, hook = fit(config, checkpoint=path), Recorder()
    assert_same(fit(config, checkpoint=path, hooks=[hook]), whole)
    assert hook.calls[0] == ("start", 1)


def test_the_checkpoint_is_on_disk_before_the_hooks_hear_of_the_epoch(tmp_path):
    path, found = tmp_path / "deep" / "checkpoint.pt", []

    class ListOptions(Recorder):
        def on_epoch(self, result) -> None:
            found.append(len(read_checkpoint(path)["history"]))

    fit(small(epochs=3, **PLAIN), hooks=[ListOptions()], checkpoint=path)
    assert found == [1, 2, 3]
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize(
    "changes", [{"learning_rate": 0.1}, {"hidden_dim": 4}, {"epochs": 9}, {"loss_type": "mae"}],
    ids=str,
)  # fmt: skip
def test_other_hyperparameters_are_refused(tmp_path, changes):
    path = tmp_path / "checkpoint.pt"
    fit(small(epochs=1), checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match="of other hyperparameters") as caught:
        fit(small(**{"epochs": 1, **changes}), checkpoint=path, resume=True)
    assert "without --resume" in caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "other", [make_dataset(seed=1), make_dataset(features=False), make_dataset(41)],
    ids=["ratings", "features", "users"],
)  # fmt: skip
def test_other_data_is_refused(tmp_path, other: Dataset):
    path = tmp_path / "checkpoint.pt"
    fit(small(epochs=1), checkpoint=path)
    with pytest.raises(ArtifactError, match="of other data"):
        fit(small(epochs=1), other, checkpoint=path, resume=True)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def not_an_archive(path: Path) -> None:
    path.write_bytes(b"GIF89a" + bytes(500))


def one_flipped_bit(path: Path) -> None:
    """Flip a bit inside a stored weight, which `torch.load` would not notice."""
    with zipfile.ZipFile(path) as archive:
        weights = max((archive.read(n) for n in archive.namelist() if "/data/" in n), key=len)
    content = bytearray(path.read_bytes())
    content[content.index(weights) + len(weights) // 2] ^= 1
    path.write_bytes(content)


def a_list(path: Path) -> None:
    torch.save([1, 2, 3], path)


def lacks(name: str):
    def damage(path: Path) -> None:
        state = read_checkpoint(path)
        del state[name]
        write_checkpoint(path, state)

    damage.__name__ = f"lacks {name}"
    return damage


def other_weights(path: Path) -> None:
    state = read_checkpoint(path)
    state["model"] = {name: value[..., :1] for name, value in state["model"].items()}
    write_checkpoint(path, state)


def a_function(path: Path) -> None:
    torch.save({"identity": print}, path)


@pytest.mark.parametrize(
    "damage",
    [
        cut, empty, not_an_archive, one_flipped_bit, a_list, a_function, other_weights,
        *(lacks(n) for n in ("identity", "model", "optimizer", "average", "history", "batches")),
    ],
    ids=lambda damage: damage.__name__,
)  # fmt: skip
def test_a_damaged_checkpoint_is_refused(tmp_path, damage):
    path = tmp_path / "checkpoint.pt"
    fit(small(epochs=1, weight_average=0.5), checkpoint=path)
    damage(path)
    with pytest.raises(ArtifactError, match=r"checkpoint\.pt cannot be read"):
        fit(small(epochs=1, weight_average=0.5), checkpoint=path, resume=True)


def test_torch_alone_overlooks_the_flipped_bit(tmp_path):
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, {"weights": torch.ones(100)})
    one_flipped_bit(path)
    assert (torch.load(path, weights_only=True)["weights"] != 1).any()
    with pytest.raises(ArtifactError):
        read_checkpoint(path)


def test_a_checkpoint_from_a_machine_with_another_device_is_usable(tmp_path):
    """The random numbers of a CUDA device have nowhere to go on a machine without one."""
    config, path = small(epochs=3, **PLAIN), tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(config, hooks=[Interrupt("epoch", 2)], checkpoint=path)
    state = read_checkpoint(path)
    state["random"]["cuda"] = [torch.zeros(16, dtype=torch.uint8)]
    write_checkpoint(path, state)
    assert_same(fit(config, checkpoint=path, resume=True), fit(config))


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, {"old": 1})
    with pytest.raises(Exception, match="pickle"):
        write_checkpoint(path, {"new": lambda: None})
    assert read_checkpoint(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


class Stops:
    """What is interrupted while it is written."""

    def __reduce__(self) -> str:
        raise KeyboardInterrupt


def test_ctrl_c_while_a_checkpoint_is_written_is_still_ctrl_c(tmp_path):
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, {"epoch": 1})
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(path, {"epoch": 2, "interrupted": Stops()})
    assert read_checkpoint(path) == {"epoch": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["checkpoint.pt"]
