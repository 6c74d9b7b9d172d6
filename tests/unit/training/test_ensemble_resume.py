"""A version of several fits that is interrupted goes on to the bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from movierec.training.fit import EnsembleFit, SageFit
from movierec.training.options import TrainingOptions
from tests.support.sage_cases import SHORT, Watch, fit_version, same_weights, small

pytestmark = pytest.mark.usefixtures("calm_torch")

BOTH = pytest.mark.parametrize("changes", SHORT.values(), ids=SHORT)


def assert_same(found: EnsembleFit, expected: EnsembleFit) -> None:
    """All weights and the curve are equal to the bit; only the clock may differ."""
    assert len(found.members) == len(expected.members)
    for one, other in zip(found.members, expected.members, strict=True):
        assert same_weights(one.model.state_dict(), other.model.state_dict())
    assert curve(found.first) == curve(expected.first)
    assert found.refit_steps == expected.refit_steps
    assert without_seconds(found) == without_seconds(expected)


def without_seconds(found: EnsembleFit) -> dict:
    facts = found.facts()
    return facts | {"fits": [{**row, "seconds": 0} for row in facts["fits"]]}


def curve(found: SageFit) -> list[str]:
    return [repr(replace(epoch, seconds=0.0)) for epoch in found.result.history]


PLACES = [(1, "step", 1, 2), (1, "epoch", 2), (2, "step", 1, 1), (2, "epoch", 1), (3, "step", 1, 2)]


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize(("members", "refit"), [(3, False), (2, True)])
@BOTH
def test_an_interrupted_version_goes_on_as_if_nothing_had_happened(
    tmp_path, changes, members, refit, place
):
    config, path = small(**changes), tmp_path / "checkpoint.pt"
    how = {"members": members, "refit": refit}
    whole = fit_version(config, **how)
    with pytest.raises(KeyboardInterrupt):
        fit_version(config, **how, checkpoint=path, hooks=[Watch(*place)])
    torch.rand(17)  # whatever happens in between
    watch = Watch()
    assert_same(fit_version(config, **how, checkpoint=path, resume=True, hooks=[watch]), whole)
    finished = place[0] - 1
    assert [watch.steps(number) for number in range(1, finished + 1)] == [0] * finished
    assert watch.steps(finished + 1) > 0


def test_resuming_what_is_finished_trains_nothing(tmp_path):
    config, path = small(**SHORT["rich"]), tmp_path / "checkpoint.pt"
    whole, watch = fit_version(config, members=2, refit=True, checkpoint=path), Watch()
    names = ["checkpoint-2.pt", "checkpoint-3.pt", "checkpoint.pt"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    again = fit_version(config, members=2, refit=True, checkpoint=path, resume=True, hooks=[watch])
    assert_same(again, whole)
    assert {call[0] for call in watch.calls} == {"start"}


def test_forgetting_takes_the_checkpoints_of_every_fit_and_nothing_else(tmp_path):
    here = TrainingOptions(device="cpu", checkpoint=tmp_path / "checkpoint.pt")
    for number in (1, 2, 12):
        here.for_fit(number, 0).checkpoint.write_text("x")
    (tmp_path / "log.txt").write_text("x")
    here.forget_checkpoints()
    here.forget_checkpoints()
    TrainingOptions(device="cpu").forget_checkpoints()
    assert [path.name for path in tmp_path.iterdir()] == ["log.txt"]
