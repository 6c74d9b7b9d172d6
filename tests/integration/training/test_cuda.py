"""Trainings on a real GPU, where there is one; see also the traces without one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from movierec.models.graphsage.formulas import AGGREGATORS
from movierec.models.graphsage.hyperparameters import PRESETS, hyperparameters
from movierec.models.graphsage.losses import step_loss
from tests.support.sage_cases import RICH, Recorder, fit, make_model, small

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    # some of CUDA's reductions have no deterministic form, and torch says so
    pytest.mark.filterwarnings("ignore:.*deterministic:UserWarning"),
    pytest.mark.usefixtures("calm_torch"),
]

CUDA = torch.device("cuda")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_training_ends_near_the_cpu_s(preset):
    config = hyperparameters(preset, epochs=5, dropout=0.0, feature_dropout=0.0, hidden_dim=16)
    losses = [
        [epoch.train_loss for epoch in fit(config, device=device).result.history]
        for device in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.1)  # bfloat16 inside the layers


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_losses_and_gradients_are_the_cpu_s(aggregator):
    made = make_model(small(**{**RICH, "aggregator": aggregator, "loss_type": "ordinal"}))
    found = []
    for device in (torch.device("cpu"), CUDA):
        model, graph = made.model.to(device), made.graph.to(device)
        model.zero_grad()
        features = tuple(part.to(device) for part in made.features)
        parts = step_loss(model, graph, graph, features)
        torch.stack(list(parts.values())).sum().backward()
        found.append([p.detach().cpu() for p in parts.values()])
        found[-1] += [weight.grad.cpu() for weight in model.parameters()]
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(right, left, rtol=1e-3, atol=1e-4)


def test_a_training_on_cuda_goes_on_from_its_checkpoint(tmp_path):
    config, path, hook = small(**{**RICH, "epochs": 4}), tmp_path / "checkpoint.pt", Recorder()

    class Stop(Recorder):
        def on_epoch(self, result) -> None:
            if result.epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(config, hooks=[Stop()], checkpoint=path, device="cuda")
    resumed = fit(config, hooks=[hook], checkpoint=path, resume=True, device="cuda")
    assert hook.calls[0] == ("start", 3)
    assert len(resumed.result.history) == 4
