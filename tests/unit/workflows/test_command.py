"""The command a sweep prints trains exactly what it found."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer
from typer.main import get_command

from movierec.cli.options import given
from movierec.cli.train import hyperparameters_of, train
from movierec.data.splits import SplitSpec
from movierec.workflows.command import train_command
from movierec.workflows.requests import EngineOptions, TrainRequest, full_hyperparameters

FIELDS = ("preset", "dataset", "seed")


def typed(command: str) -> TrainRequest:
    """Return what `movierec train` would be asked by this line."""
    program, name, *words = shlex.split(command)
    assert (program, name) == ("movierec", "train")
    app = typer.Typer(add_completion=False)
    app.command()(train)
    told: dict[str, Any] = get_command(app).make_context("train", words).params
    return TrainRequest.of(
        **{field: told[field] for field in FIELDS},
        engine={"name": told["engine"], "workers": told["workers"], "address": told["address"]},
        split=given(told, SplitSpec),
        hyperparameters=hyperparameters_of(told, told["settings_of_baseline"]),
    )


@pytest.mark.parametrize(
    ("request_", "params"),
    [
        ({"preset": "default"}, {"learning_rate": 0.0123456789012345, "hidden_dim": 33}),
        ({"preset": "default"}, {"feature_bands": False, "aggregator": "mean+max"}),
        ({"preset": "report"}, {"feature_bands": True, "dropout": 1e-7}),
        (
            {"preset": "report", "seed": 7, "dataset": "my ratings",
             "hyperparameters": {"epochs": 4, "loss_type": "huber"}},
            {"num_layers": 2},
        ),
        (
            {"split": {"name": "cold-users", "given": 3, "seed": 1, "validation_fraction": 0.3}},
            {"dropout": 0.5},
        ),
        ({"preset": "svd", "split": {"name": "u1"}}, {"factors": 17, "learning_rate": 1e-3 / 3}),
        ({"preset": "knn", "hyperparameters": {"neighbours": 9}}, {"based_on": "users"}),
    ],
)  # fmt: skip
def test_the_command_gives_exactly_the_hyperparameters(request_, params):
    training = TrainRequest(**request_)
    best = training.model_copy(update={"hyperparameters": {**training.hyperparameters, **params}})
    full = full_hyperparameters(best)
    asked = typed(train_command(training, full, params))
    assert full_hyperparameters(asked) == full
    assert (asked.preset, asked.dataset, asked.seed) == (best.preset, best.dataset, best.seed)
    assert asked.split == best.split


def test_a_preset_that_changed_since_is_made_good():
    """`full` is what was trained then: what the preset says now differs in one more place."""
    training = TrainRequest(preset="default")
    full = {**full_hyperparameters(training), "dropout": 0.25, "shrinkage": 3.5}
    asked = typed(train_command(training, full, {"dropout": 0.25}))
    assert full_hyperparameters(asked) == full
    assert asked.hyperparameters == {"dropout": 0.25, "shrinkage": 3.5}


def test_members_refit_and_device_are_in_the_command():
    training = TrainRequest.of(members=3, refit=True, device="cpu")
    command = train_command(training, {}, {})
    assert command == "movierec train --preset default --device cpu --members 3 --refit"


def test_workers_on_ray_are_in_the_command():
    engine = EngineOptions(name="ray", workers=4, address="10.0.0.1:6379")
    command = train_command(TrainRequest.of(engine=engine), {}, {})
    assert command.endswith("--engine ray --workers 4 --address 10.0.0.1:6379")
    assert typed(command).engine == engine
