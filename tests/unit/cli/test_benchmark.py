"""What `movierec benchmark` understands by its entries, and the command it writes down."""

from __future__ import annotations

import shlex

import pytest
from typer.main import get_command

from movierec.cli.benchmark import _command, _split_entries, model_of, requests_of, split_of
from movierec.cli.main import app
from movierec.errors import HyperparameterError, SettingsError


def test_model_entries():
    assert model_of(" ease ") == {"preset": "ease", "hyperparameters": {}}
    assert model_of("default:refit:members=5:aggregator=mean+max:dropout=0.1") == {
        "preset": "default",
        "refit": True,
        "members": 5,
        "hyperparameters": {"aggregator": "mean+max", "dropout": 0.1},
    }


@pytest.mark.parametrize(
    "entry",
    [
        "nope", "", "default:", "default:members", "default:=5", "default:epochs=",
        "default:members=x", "default:members=0", "default:epochs=many", "default:depth=3",
        "svd:refit", "default:refit=perhaps",
    ],
)  # fmt: skip
def test_a_bad_model_entry_is_named(entry):
    with pytest.raises(HyperparameterError) as caught:
        model_of(entry)
    assert caught.value.message.startswith(f"{entry!r}: ")


def test_split_entries_and_what_all_of_them_share():
    base = {"seed": 7, "given": 3}
    assert split_of("cold-users:given=10", base) == {"name": "cold-users", "seed": 7, "given": 10}
    for entry in ("cold", "u1:refit", "cold-users:given=x", "random:fraction=0.2"):
        with pytest.raises(HyperparameterError) as caught:
            split_of(entry, base)
        assert caught.value.message.startswith(f"{entry!r}: ")


def test_requests_in_order():
    made = requests_of(["mean", "svd:epochs=3"], ["u1", "temporal"], 2, dataset="d", base={})
    assert [(r.split.name, r.preset, r.seed) for r in made] == [
        (split, model, seed)
        for split in ("u1", "temporal")
        for model in ("mean", "svd")
        for seed in (0, 1)
    ]
    assert {r.dataset for r in made} == {"d"}
    assert made[2].hyperparameters == {"epochs": 3}


def test_one_way_to_name_splits():
    assert _split_entries(None, {}) == ["random"]
    assert _split_entries(None, {"name": "u3"}) == ["u3"]
    assert _split_entries("u1,u2", {}) == ["u1", "u2"]
    with pytest.raises(SettingsError, match="cannot both"):
        _split_entries("u1", {"name": "u3"})


def test_the_command_written_down_can_be_typed_again():
    options = {"models": "svd:epochs=3, ease", "splits": None, "seeds": 5, "split_seed": 1}
    text = _command({**options, "report": "results/u 1.json"})
    assert text == (
        "movierec benchmark --models 'svd:epochs=3, ease' --seeds 5 --split-seed 1 "
        "--report 'results/u 1.json'"
    )
    program = get_command(app)
    context = program.context_class(program, info_name="movierec")
    name, command, arguments = program.resolve_command(context, shlex.split(text)[1:])
    parsed = command.make_context(name, arguments).params
    assert (parsed["models"], parsed["seeds"]) == (options["models"], 5)
