"""Command line options are the pydantic models' fields: nothing to keep in step by hand."""

from __future__ import annotations

import inspect
from itertools import zip_longest
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel, ConfigDict, Field
from typer.main import get_command

from movierec.cli.options import ALIASES, RENAMED, accept, given
from movierec.cli.train import train
from movierec.data.splits import SPLIT_NAMES, SplitSpec
from movierec.models.graphsage.hyperparameters import SageHyperparameters


def options(command: Any) -> dict[str, Any]:
    """Return a command's options by their parameter name."""
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return {option.name: option for option in get_command(app).params}


@pytest.mark.parametrize("name", SageHyperparameters.model_fields)
def test_every_hyperparameter_is_an_option_with_its_help(name):
    field, option = SageHyperparameters.model_fields[name], options(train)[name]
    assert f"--{name.replace('_', '-')}" in option.opts
    assert option.help.startswith(field.description)
    assert option.default is None


def test_bounds_are_told():
    told = options(train)
    assert told["dropout"].help.endswith("(≥ 0, < 1)")
    assert told["hidden_dim"].help.endswith("(≥ 2, ≤ 1,024)")
    assert told["learning_rate"].help.endswith("(> 0, ≤ 1)")


def test_short_and_other_names():
    told = options(train)
    assert "--lr" in told["learning_rate"].opts
    assert "--split" in told["split"].opts
    assert "--split-seed" in told["split_seed"].opts
    assert "--seed" in told["seed"].opts
    assert told["feature_bands"].secondary_opts == ["--no-feature-bands"]


def test_choices_are_the_models():
    heard = []

    @accept(SplitSpec, SageHyperparameters)
    def probe(**fields: Any) -> None:
        heard.append((fields["split"], fields["loss_type"]))

    app = typer.Typer(add_completion=False)
    app.command()(probe)
    losses = get_args(SageHyperparameters.model_fields["loss_type"].annotation)
    for split, loss in zip_longest(SPLIT_NAMES, losses, fillvalue="mse"):
        get_command(app)(["--split", split, "--loss-type", loss], standalone_mode=False)
    assert {split for split, _ in heard} == set(SPLIT_NAMES)
    assert {loss for _, loss in heard} == set(losses)
    with pytest.raises(typer.TyperException, match="is not one of"):
        get_command(app)(["--loss-type", "hinge"], standalone_mode=False)


def test_only_what_was_given_is_passed_on():
    fields = {"split": "u1", "split_seed": None, "hidden_dim": 0, "dropout": None, "seed": 3}
    assert given(fields, SplitSpec) == {"name": "u1"}
    assert given(fields, SageHyperparameters) == {"hidden_dim": 0}


class Oven(BaseModel):
    model_config = ConfigDict(extra="forbid")
    heat: float = Field(180.0, gt=0, le=1250.5, description="degrees")
    fan: bool = Field(False, description="use the fan")
    rack: int = Field(2, description="which rack")


def test_a_command_keeps_its_own_options_before_the_fields():
    heard = {}

    @accept(Oven, renamed={"heat": "temperature"}, aliases={"rack": "-r"}, without=("fan",))
    def bake(cake: str = "plain", **fields: Any) -> None:
        heard.update(fields, cake=cake)

    assert list(inspect.signature(bake).parameters) == ["cake", "temperature", "rack"]
    told = options(bake)
    assert told["temperature"].help == "degrees (> 0, ≤ 1,250.5)"
    app = typer.Typer(add_completion=False)
    app.command()(bake)
    get_command(app)(["--temperature", "200", "-r", "1"], standalone_mode=False)
    assert heard == {"cake": "plain", "temperature": 200.0, "rack": 1}
    assert given(heard, Oven, {"heat": "temperature"}) == {"heat": 200.0, "rack": 1}


def test_aliases_and_renamed_fields_exist():
    assert set(ALIASES) <= set(SageHyperparameters.model_fields)
    assert set(RENAMED) <= set(SplitSpec.model_fields)
