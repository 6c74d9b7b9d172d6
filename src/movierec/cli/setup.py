"""`movierec setup`, what a first start needs; `movierec doctor`, what is here and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from movierec.cli.options import JsonOption
from movierec.cli.output import console, emit, progress_bar, table
from movierec.settings import Settings, load_settings
from movierec.store import open_store

if TYPE_CHECKING:
    from movierec.workflows.doctor import Finding

__all__ = ["doctor", "setup"]

_STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red"}


def setup() -> None:
    """Get MovieLens 100K and train a first version, where there is none yet.

    Does nothing, and quickly, when both are there.
    """
    settings = load_settings()
    has_data, has_version = _present(settings)
    if not has_data:
        _fetch(settings)
    if not has_version:
        _train(settings)


def _present(settings: Settings) -> tuple[bool, bool]:
    from movierec.registry import Registry

    with open_store(settings) as store:
        store.runs.mark_interrupted()
        registry = Registry(settings, store)
        registry.reconcile()
        return bool(store.datasets.list()), bool(registry.list())


def _fetch(settings: Settings) -> None:
    from movierec.workflows.data import fetch_and_import

    with progress_bar("Fetching MovieLens 100K") as report:
        outcome = fetch_and_import(settings, on_progress=report)
    record = outcome.record
    line = f"{record.n_ratings:,} ratings imported from {record.source}."
    console().print(line, markup=False, soft_wrap=True)


def _train(settings: Settings) -> None:
    from movierec.cli.output import headline
    from movierec.cli.train import train_here

    console().print("Training a first version (preset default); this happens once.")
    record = train_here(settings, {})
    console().print(headline(record), markup=False, soft_wrap=True)


def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed, which device, database, data sets and versions there are.

    The exit code is 1 when something is wrong.
    """
    from movierec.workflows.doctor import diagnose

    findings = diagnose(load_settings())
    emit(as_json, findings, lambda: _drawn(findings))
    if any(finding.health == "wrong" for finding in findings):
        raise typer.Exit(1)


def _drawn(findings: list[Finding]) -> Table:
    rows = (
        (
            Text(each.health, style=_STYLES[each.health]), each.topic, Text(each.text),
            Text(each.hint),
        )
        for each in findings
    )  # fmt: skip
    return table("movierec doctor", "", "What", "Found", "What to do", rows=rows)
