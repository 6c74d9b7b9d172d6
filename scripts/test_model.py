"""Check a kept version: its files, its weights, its numbers, and one real recommendation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from movierec.cli.main import run
from movierec.cli.output import console, headline, metrics_table
from movierec.errors import ArtifactError
from movierec.inference import load_version
from movierec.registry import Registry
from movierec.runtime import pick_device
from movierec.settings import Settings, load_settings
from movierec.store import VersionRecord, open_store

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def check_model(
    version: Annotated[str, typer.Argument(help="Which version.")] = "current",
    db_path: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="SQLite database with the ratings."),
    ] = None,
    models_dir: Annotated[Path | None, typer.Option(help="Folder of the versions.")] = None,
    user: Annotated[str | None, typer.Option(help="Whom to recommend to.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
) -> None:
    """Check that the artifacts exist and are whole, load them, and use them."""
    changes: dict[str, object] = {}
    if db_path is not None:
        changes["database_url"] = f"sqlite:///{db_path.resolve()}"
    if models_dir is not None:
        changes["models_dir"] = models_dir.resolve()
    settings = load_settings(**changes)
    record = _whole(settings, version)
    console().print(headline(record), markup=False, soft_wrap=True)
    console().print(metrics_table(record))
    _load_weights(settings, record, device or settings.device)
    _recommend(settings, record, user)


def _whole(settings: Settings, name: str) -> VersionRecord:
    with open_store(settings) as store:
        registry = Registry(settings, store)
        record, problems = registry.get(name), registry.verify(name)
    if problems:
        raise ArtifactError(
            f"Version {record.name} is not whole: {' '.join(problems)}",
            hint="Restore its folder from a backup, or train again.",
        )
    console().print(f"All {len(record.metadata.files)} files of {record.name} are whole.")
    return record


def _load_weights(settings: Settings, record: VersionRecord, device: str) -> None:
    """Rebuild a GraphSAGE from its weights and hold it against the arrays that serve."""
    chosen = pick_device(device)
    console().print(f"Parameters: {record.parameters:,}. Device: {chosen}.")
    if record.model != "graphsage":
        console().print(f"A {record.preset} version has no network to load.")
        return
    from movierec.workflows.restore import largest_difference, restore_sage

    restored = restore_sage(record.name, settings, chosen)
    gap = largest_difference(restored, record.name, settings)
    console().print(
        f"The network loads; its predictions differ from the served by {gap:.1e} stars."
    )


def _recommend(settings: Settings, record: VersionRecord, user: str | None) -> None:
    loaded = load_version(record.name, settings)
    someone = user or str(loaded.dataset.users.ids[0])
    lines = loaded.recommend(someone, 5)
    console().print(f"For user {someone}:", markup=False)
    for line in lines:
        stars = "" if line.predicted_rating is None else f", {line.predicted_rating:.2f} stars"
        console().print(f"  {line.rank}. {line.title}{stars}", markup=False)


if __name__ == "__main__":
    sys.exit(run(app))
