"""A hyperparameter is declared in one place; commands, forms, requests and sweeps follow."""

from __future__ import annotations

import math

import pytest
import typer
from typer.testing import CliRunner

from movierec.cli.options import accept
from movierec.errors import HyperparameterError
from movierec.models.fields import bounds, bounds_text, search_range, setting, unit
from movierec.models.graphsage import hyperparameters as graphsage
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.sweeps.space import Range, search_space
from movierec.workflows import form, requests
from movierec.workflows.requests import TrainRequest, full_hyperparameters


class Fields(SageHyperparameters):
    """Hyperparameters with one more."""

    sharpness: float = setting(
        0.5, "how sharp it is", gt=0, le=2, unit="edges", search="0.1..1.5:log"
    )
    whole: int = setting(3, "a number that only has a lower bound", ge=1)
    plain: bool = setting(False, "whether it is plain")


@pytest.fixture
def extended(monkeypatch):
    """Give every GraphSAGE the fields above, as an edit of their file would."""
    for module in (graphsage, requests):
        monkeypatch.setattr(module, "SageHyperparameters", Fields)
    caches = [part for part in vars(form).values() if hasattr(part, "cache_clear")]
    for part in caches:
        part.cache_clear()
    yield
    for part in caches:
        part.cache_clear()


@pytest.mark.parametrize(
    ("name", "limits", "text", "measured_in", "searched"),
    [
        ("sharpness", (0.0, 2.0), "> 0, ≤ 2", "edges", "0.1..1.5:log"),
        ("whole", (1.0, math.inf), "≥ 1", "", None),
        ("plain", (-math.inf, math.inf), "", "", None),
    ],
)
def test_everything_is_read_off_the_field(name, limits, text, measured_in, searched):
    field = Fields.model_fields[name]
    assert bounds(field) == limits
    assert bounds_text(field) == text
    assert unit(field) == measured_in
    assert search_range(field) == searched


def test_a_new_field_is_an_option_of_the_command():
    given: dict[str, object] = {}
    app = typer.Typer(add_completion=False)

    @app.command()
    @accept(Fields, renamed={}, aliases={})
    def command(**fields: object) -> None:
        given.update({name: value for name, value in fields.items() if value is not None})

    runner = CliRunner()
    assert runner.invoke(app, ["--sharpness", "1.25", "--plain"]).exit_code == 0
    assert given == {"sharpness": 1.25, "plain": True}
    text = runner.invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert "how sharp it is (> 0, ≤ 2)" in text


@pytest.mark.usefixtures("extended")
def test_a_new_field_is_an_input_of_the_form():
    fields = {field.name: field for group in form.groups("default") for field in group.fields}
    field = fields["sharpness"]
    assert field.label == "Sharpness (edges)"
    assert (field.kind, field.default, field.low, field.high) == ("float", 0.5, 0.0, 2.0)
    assert field.help.startswith("How sharp it is (> 0, ≤ 2).")
    assert fields["plain"].kind == "bool"
    values = {name: each.default for name, each in fields.items()}
    assert set(form.complaints("default", values | {"sharpness": 3.0})) == {"sharpness"}
    assert form.changes("default", values | {"sharpness": 1.0}) == {"sharpness": 1.0}


@pytest.mark.usefixtures("extended")
def test_a_new_field_is_part_of_requests():
    request = TrainRequest.of(hyperparameters={"sharpness": 1.5})
    assert full_hyperparameters(request)["sharpness"] == 1.5
    with pytest.raises(HyperparameterError, match="sharpness = 0"):
        TrainRequest.of(hyperparameters={"sharpness": 0.0})


@pytest.mark.usefixtures("extended")
def test_a_new_field_is_searched_in_its_own_range():
    assert search_space("default", ["sharpness"]) == {
        "sharpness": Range(low=0.1, high=1.5, log=True)
    }
    assert search_space("default", ["whole=2..5"]) == {"whole": Range(low=2, high=5, whole=True)}
