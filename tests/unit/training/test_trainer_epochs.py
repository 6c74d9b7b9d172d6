"""The epochs: stopping, the best weights, what hooks see, what a seed fixes."""

from __future__ import annotations

import math

import pytest
import torch

from movierec.errors import NonFiniteError, TrainingError
from movierec.models.graphsage.heads import NodeStates
from movierec.models.graphsage.network import GraphSage
from movierec.training.callbacks import FitResult
from movierec.training.fit import FitTask, fit_sage
from movierec.training.options import TrainingOptions
from movierec.training.trainer import Trainer
from tests.support.factories import make_dataset
from tests.support.sage_cases import (
    PLAIN,
    RICH,
    Recorder,
    fit,
    graph_of,
    make_model,
    parts_of,
    rmse_on,
    same_weights,
    small,
    weights_of,
)

pytestmark = pytest.mark.usefixtures("calm_torch")

BOTH = pytest.mark.parametrize("changes", [PLAIN, RICH], ids=["plain", "rich"])


def scripted(values: list[float], name: str = "val_rmse"):
    """Return a validator that measures these values one after the other."""
    remaining = iter(values)
    seen: list[dict] = []

    def validator(model: GraphSage, states: NodeStates) -> dict[str, float]:
        seen.append(weights_of(model))
        return {name: next(remaining)}

    return validator, seen


def run(
    values: list[float], name: str = "val_rmse", **changes
) -> tuple[FitResult, list, GraphSage]:
    settings = {"loss_type": "softmax"} if name == "val_ndcg_10" else {}
    config = small(epochs=len(values), monitor=name, **settings, **changes)
    made = make_model(config)
    validator, seen = scripted(values, name)
    trainer = Trainer(
        made.model,
        made.graph,
        graph_of(made.dataset, made.validation),
        made.features,
        options=TrainingOptions(device="cpu"),
        validator=validator,
    )
    return trainer.fit(), seen, made.model


@pytest.mark.parametrize(
    ("values", "patience", "best", "ran"),
    [
        ([1.0, 0.9, 0.95, 0.92, 0.91, 0.5], 3, 2, 5),
        ([1.0, 0.9, 0.95, 0.92, 0.5, 0.6], 3, 5, 6),
        ([1.0, 1.0, 1.0, 1.0], 1, 1, 2),
        ([1.0, 0.99, 0.98, 0.97, 0.96, 0.95], 2, 1, 3),  # each drop is below min_delta
        ([1.0, 0.99, 0.94, 0.93, 0.92, 0.88], 3, 6, 6),  # they add up
        ([1.0, 0.9, 0.8], 1, 3, 3),
    ],
)
def test_stopping_is_exact(values, patience, best, ran):
    result, _, _ = run(values, early_stopping_patience=patience, min_delta=0.05)
    assert (result.best_epoch, len(result.history)) == (best, ran)
    assert result.stopped_early is (ran < len(values))
    assert result.best.val_rmse == values[best - 1]
    assert result.history[best - 1].is_best
    assert not any(item.is_best for item in result.history[best:])


def test_a_drop_of_exactly_min_delta_does_not_count():
    result, _, _ = run([1.0, 0.5, 0.25], min_delta=0.5, early_stopping_patience=9)
    assert [item.is_best for item in result.history] == [True, False, True]


def test_ndcg_is_better_when_it_is_higher():
    values = [0.2, 0.4, 0.3, 0.1]
    result, _, _ = run(values, "val_ndcg_10", early_stopping_patience=2, min_delta=0.0)
    assert (result.best_epoch, len(result.history)) == (2, 4)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_best_epoch_s_weights_are_what_stays(decay):
    _, seen, model = run(
        [1.0, 0.7, 0.8, 0.9], weight_average=decay, early_stopping_patience=9, learning_rate=0.01
    )
    assert same_weights(model.state_dict(), seen[1])
    assert not same_weights(seen[1], seen[3])
    assert not model.training


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_monitored_value_that_is_no_number_stops_the_training(value):
    with pytest.raises(NonFiniteError, match=r"val_rmse became (nan|inf) in epoch 2"):
        run([1.0, value, 0.5])


def test_a_metric_that_nothing_measures_cannot_pick_the_epoch():
    dataset = make_dataset()
    with pytest.raises(TrainingError, match="Nothing measures val_rmse"):
        fit_sage(
            FitTask(
                dataset,
                *parts_of(dataset),
                small(monitor="val_rmse"),
                TrainingOptions(device="cpu"),
            )
        )


def test_the_average_of_the_weights_is_their_exponential_mean():
    """decay_t = min(decay, (1 + t) / (10 + t)); the mean starts at the first weights."""
    made = make_model(small(epochs=1, weight_average=0.5, batch_size=60, learning_rate=0.05))
    model = made.model
    expected, steps = weights_of(model), []

    class Watch(Recorder):
        def on_step(self, epoch: int, step: int) -> None:
            decay = min(0.5, (1 + step) / (10 + step))
            steps.append(step)
            for name, value in model.state_dict().items():
                expected[name] = decay * expected[name] + (1 - decay) * value

    trainer = Trainer(
        model, made.graph, None, made.features,
        options=TrainingOptions(device="cpu"), hooks=[Watch()],
    )  # fmt: skip
    trainer.fit()
    assert len(steps) > 2
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, expected[name])


@BOTH
def test_the_same_seed_gives_the_same_weights_to_the_bit(changes):
    config = small(dropout=0.3, epochs=3, **changes)
    one, two, other = fit(config, seed=5), fit(config, seed=5), fit(config, seed=6)
    assert same_weights(one.model.state_dict(), two.model.state_dict())
    assert not same_weights(one.model.state_dict(), other.model.state_dict())
    losses = [[e.train_loss for e in f.result.history] for f in (one, two, other)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    "changes", [PLAIN, {**RICH, "monitor": "val_loss"}, {"loss_type": "bpr"}],
    ids=["plain", "rich", "bpr"],
)  # fmt: skip
def test_validating_does_not_disturb_the_training(changes):
    config = small(dropout=0.3, epochs=4, early_stopping_patience=99, **changes)
    dataset = make_dataset()
    train, validation = parts_of(dataset)
    here = TrainingOptions(device="cpu")
    alone, watched = Recorder(), Recorder()
    without = fit_sage(FitTask(dataset, train, None, config, here, hooks=[alone]))
    measure = None if config.ranks_only else rmse_on(validation)
    with_it = fit_sage(
        FitTask(dataset, train, validation, config, here, measure=measure, hooks=[watched])
    )
    losses = [[e.train_loss for e in f.result.history] for f in (without, with_it)]
    assert losses[0] == losses[1]
    assert alone.calls == watched.calls


def test_hooks_are_called_in_order():
    one, two = Recorder(), Recorder()
    fit(small(epochs=2, target_fraction=0.3), hooks=[one, two])
    expected = [("start", 1)]
    for epoch in (1, 2):
        expected += [("step", epoch, step) for step in (1, 2, 3)] + [("epoch", epoch)]
    assert one.calls == two.calls == expected


def test_the_plan_says_what_will_happen():
    plans = []

    class Planner(Recorder):
        def on_start(self, plan) -> None:
            plans.append(plan)

    done = fit(small(epochs=2, target_fraction=0.3), hooks=[Planner()])
    (plan,) = plans
    assert (plan.epochs, plan.steps_per_epoch, plan.first_epoch) == (2, 3, 1)
    assert (plan.n_parameters, plan.device) == (done.model.n_parameters, "cpu")


def test_a_hook_s_exception_ends_the_training():
    class Stop(Recorder):
        def on_epoch(self, result) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(small(), hooks=[Stop()])


@BOTH
def test_every_epoch_measures_what_it_says(changes):
    dataset = make_dataset()
    history = fit(small(epochs=3, **changes), dataset).result.history
    assert [item.epoch for item in history] == [1, 2, 3]
    for item in history:
        assert math.isfinite(item.train_loss + item.val_loss + item.val_rmse)
        assert math.isnan(item.val_ndcg_10)  # this validator does not rank
        assert item.seconds > 0
