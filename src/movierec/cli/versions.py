"""`movierec versions`: list, show, promote and delete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.output import JsonOption, emit, number, table
from movierec.cli.summary import headline, metrics_table
from movierec.cli.version_measure import measure
from movierec.registry import Registry
from movierec.settings import load_settings
from movierec.store import VersionRecord, open_store

__all__ = ["app"]

app = typer.Typer(
    name="versions", help="List, show, promote and delete versions.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="A version such as v1.2.0, or current.")]
app.command()(measure)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List all versions, newest first; RMSE and NDCG@10 are of their own test part."""
    with _registry() as registry:
        records = registry.list()
    emit(as_json, records, lambda: _listed(records))


@app.command()
def show(name: Name = "current", as_json: JsonOption = False) -> None:
    """Show one version: what it is, how it did, and whether its files are whole."""
    with _registry() as registry:
        record, problems = registry.get(name), registry.verify(name)
    emit(as_json, {"version": record, "problems": problems}, lambda: _shown(record, problems))


@app.command()
def promote(name: Name, as_json: JsonOption = False) -> None:
    """Make a version the current one, after checking its files."""
    with _registry() as registry:
        record = registry.promote(name)
    emit(as_json, {"current": record.name}, lambda: f"{record.name} is current.")


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a version and free its disk space; the current one is refused."""
    with _registry() as registry:
        record = registry.get(name)
        size = f"{record.size_bytes / 2**20:.1f} MiB"
        if not yes:
            question = f"Delete {record.name} ({record.preset}) and free {size}?"
            typer.confirm(question, abort=True, err=True)
        registry.delete(record.name)
    facts = {"deleted": record.name, "freed_bytes": record.size_bytes}
    emit(as_json, facts, lambda: f"{record.name} is deleted; {size} are free.")


@contextmanager
def _registry() -> Iterator[Registry]:
    settings = load_settings()
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.reconcile()
        yield registry


def _listed(records: list[VersionRecord]) -> RenderableType:
    if not records:
        return "There is no version yet. Train one: movierec train"
    right = ("RMSE", "NDCG@10 full", "Weights")
    names = ("Version", "Model", "Data set", "Split", *right, "Trained")
    drawn = table("Versions", *names, right=right)
    for record in records:
        facts = record.metadata.get("evaluation") or {}
        drawn.add_row(
            f"{record.name}{' current' if record.is_current else ''}",
            record.preset,
            Text(record.dataset_name),
            record.split_label,
            number(facts.get("rmse")),
            number((facts.get("full") or {}).get("ndcg_at_10")),
            f"{record.parameters:,}",
            record.created_at.strftime("%Y-%m-%d %H:%M"),
        )
    return drawn


def _shown(record: VersionRecord, problems: list[str]) -> RenderableType:
    whole = "All files are whole." if not problems else "Problems: " + " ".join(problems)
    settings = table("Hyperparameters", "Name", "Value")
    for name, value in (record.metadata.get("hyperparameters") or {}).items():
        settings.add_row(name, str(value))
    parts = [settings] if settings.row_count else []
    return Group(Text(headline(record)), metrics_table(record), *parts, Text(whole))
