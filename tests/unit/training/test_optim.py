"""The update rule and the learning rate's course."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from movierec.models.graphsage.hyperparameters import hyperparameters
from movierec.training.optim import make_optimizer, make_schedule
from tests.support.sage_cases import fit, make_model, small

pytestmark = pytest.mark.usefixtures("calm_torch")


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_the_learning_rate_follows_one_cycle(optimizer):
    rates: list[float] = []

    def watched(rule, *_):
        (rate,) = {group["lr"] for group in rule.param_groups}
        rates.append(rate)

    hook = register_optimizer_step_pre_hook(watched)
    cycle = {"schedule": "one_cycle", "learning_rate": 0.02, "optimizer": optimizer}
    try:
        fit(small(epochs=10, batch_size=40, **cycle))
    finally:
        hook.remove()
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.02, rel=0.05)
    assert 0.05 < top / len(rates) < 0.15
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 0.001


@pytest.mark.parametrize("steps", [*range(1, 31), 97])
def test_a_cycle_of_any_length_stays_between_nothing_and_the_top(steps):
    config = small(schedule="one_cycle", learning_rate=0.1, epochs=steps)
    optimizer = make_optimizer(make_model(config).model)
    schedule, rates = make_schedule(optimizer, config, steps), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert all(0 < rate <= 0.1 + 1e-9 for rate in rates)
    assert max(rates) > 0.07


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_the_default_preset_can_be_trained_for_a_few_epochs(epochs):
    history = fit(hyperparameters("default", epochs=epochs, hidden_dim=8)).result.history
    assert len(history) == epochs
    assert math.isfinite(history[-1].val_rmse)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_weight_decay_pulls_as_the_rule_says(name):
    """Adam adds it to the gradient, the others shrink the weight by rate times decay."""
    config = small(optimizer=name, weight_decay=0.5, learning_rate=0.1)
    model = make_model(config).model
    optimizer = make_optimizer(model)
    weight = model.user_layers[0].own.weight
    weight.grad = torch.zeros_like(weight)
    before = weight.detach().clone()
    optimizer.step()
    step = 0.1 * torch.sign(before) if name == "adam" else 0.1 * 0.5 * before
    torch.testing.assert_close(weight.detach(), before - step, rtol=1e-3, atol=1e-5)


def test_constant_is_constant():
    config = small(learning_rate=0.02)
    optimizer = make_optimizer(make_model(config).model)
    schedule = make_schedule(optimizer, config, 3 * config.epochs)
    for _ in range(40):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.02
