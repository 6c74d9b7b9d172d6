"""How every command speaks: facts as tables for people, as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = [
    "JsonOption",
    "ProgressCallback",
    "console",
    "emit",
    "number",
    "progress_bar",
    "table",
    "to_json",
]

ProgressCallback = Callable[[str, float], None]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the facts as JSON and nothing else.")
]


def console(*, stderr: bool = False) -> Console:
    """Return a console on the stream in force now (tests and pipes replace it)."""
    return Console(stderr=stderr, highlight=False)


def emit(as_json: bool, facts: object, render: Callable[[], RenderableType]) -> None:
    """Print `facts` as JSON, or what `render` draws of them."""
    if as_json:
        typer.echo(to_json(facts))
    else:
        console().print(render())


def to_json(facts: object) -> str:
    """Return JSON with NaN as null, datetimes in ISO 8601 and dataclasses as objects."""
    return json.dumps(_plain(facts), indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | Path):
        return value.isoformat() if isinstance(value, datetime) else str(value)
    return value


def number(value: object, digits: int = 4) -> str:
    """Return a number with fixed decimals; a dash where nothing was measured."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table; the columns named in `right` are aligned right."""
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left")
    return drawn


@contextmanager
def progress_bar(description: str) -> Iterator[ProgressCallback]:
    """Draw a bar on stderr; the callback takes a stage's text and the share done (0 to 1)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(stderr=True)) as bar:
        task = bar.add_task(description, total=1.0)
        yield lambda stage, done: bar.update(
            task, description=f"{description}: {stage}", completed=done
        )
