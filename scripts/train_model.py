"""Train a model with the options of the first report, and print what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from movierec.cli.main import run
from movierec.cli.options import accept, given
from movierec.cli.output import console
from movierec.cli.summary import headline, metrics_table
from movierec.cli.train import ALIASES, RENAMED, SetOption, hyperparameters_of, train_here
from movierec.data.splits import SplitSpec
from movierec.models.hyperparameters import SageHyperparameters
from movierec.settings import load_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
@accept(SplitSpec, SageHyperparameters, renamed=RENAMED, aliases=ALIASES)
def train_model(
    db_path: Annotated[Path | None, typer.Option(help="SQLite database with the ratings.")] = None,
    output_dir: Annotated[Path | None, typer.Option(help="Folder of the versions.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    preset: Annotated[str, typer.Option(help="report, default or a baseline.")] = "report",
    dataset: Annotated[str | None, typer.Option(help="Data set; default: the newest.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, dropout and batches.")] = 0,
    settings_of_baseline: SetOption = None,
    **fields: Any,
) -> None:
    """Train, evaluate once on the test part, and save a version."""
    changes: dict[str, Any] = {}
    if db_path is not None:
        changes["database_url"] = f"sqlite:///{db_path.resolve()}"
    if output_dir is not None:
        changes["models_dir"] = output_dir.resolve()
    settings = load_settings(**changes)
    request = {
        "preset": preset,
        "dataset": dataset,
        "seed": seed,
        "device": device,
        "split": given(fields, SplitSpec, RENAMED),
        "hyperparameters": hyperparameters_of(fields, settings_of_baseline),
    }
    record = train_here(settings, request)
    console().print(headline(record), markup=False, soft_wrap=True)
    console().print(metrics_table(record))
    console().print(f"Saved in {settings.models_path / record.name}.", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(run(app))
