"""Train a model with the options of the first report, and print what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from movierec.cli.main import run
from movierec.cli.options import (
    DatasetOption,
    DeviceOption,
    SetOption,
    accept,
    given,
)
from movierec.cli.output import console, headline, metrics_table
from movierec.cli.train import hyperparameters_of, train_here
from movierec.data.splits import SplitSpec
from movierec.export.version import export_version
from movierec.models.graphsage.hyperparameters import SageHyperparameters
from movierec.settings import load_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@accept(SplitSpec, SageHyperparameters)
def train_model(
    db_path: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="SQLite database with the ratings."),
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Also copy the version into this folder.")
    ] = None,
    device: DeviceOption = None,
    preset: Annotated[str, typer.Option(help="report, default or a baseline.")] = "report",
    dataset: DatasetOption = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, dropout and batches.")] = 0,
    settings_of_baseline: SetOption = None,
    **fields: Any,
) -> None:
    """Train, evaluate once on the test part, and save a version."""
    changes = {} if db_path is None else {"database_url": f"sqlite:///{db_path.resolve()}"}
    settings = load_settings(**changes)
    request = {
        "preset": preset,
        "dataset": dataset,
        "seed": seed,
        "device": device,
        "split": given(fields, SplitSpec),
        "hyperparameters": hyperparameters_of(fields, settings_of_baseline),
    }
    record = train_here(settings, request)
    console().print(headline(record), markup=False, soft_wrap=True)
    console().print(metrics_table(record))
    folder = settings.models_path / record.name
    if output_dir is not None:
        folder = export_version(record.name, output_dir, settings)
    console().print(f"Saved in {folder}.", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(run(app))
