"""`movierec doctor`: what is here and what is wrong."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from movierec.cli.output import JsonOption, emit, table
from movierec.settings import load_settings
from movierec.workflows.doctor import Finding, diagnose

__all__ = ["doctor"]

_STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red"}


def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed, which device, database, data sets and versions there are.

    The exit code is 1 when something is wrong.
    """
    findings = diagnose(load_settings())
    emit(as_json, findings, lambda: _drawn(findings))
    if any(finding.health == "wrong" for finding in findings):
        raise typer.Exit(1)


def _drawn(findings: list[Finding]) -> Table:
    drawn = table("movierec doctor", "", "What", "Found", "What to do")
    for finding in findings:
        health = Text(finding.health, style=_STYLES[finding.health])
        drawn.add_row(health, finding.topic, Text(finding.text), Text(finding.hint))
    return drawn
