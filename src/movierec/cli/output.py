"""Output of every command: facts as tables for people, as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from movierec.metadata import EvaluationSummary
from movierec.progress import Progress as ProgressCallback

if TYPE_CHECKING:
    from movierec.store import VersionRecord

__all__ = [
    "ProgressCallback",
    "console",
    "emit",
    "headline",
    "metrics_table",
    "mib",
    "moment",
    "number",
    "progress_bar",
    "table",
    "to_json",
]

_COLUMNS = (
    ("RMSE", ("rmse",)),
    ("MAE", ("mae",)),
    ("NDCG@10 full", ("full", "ndcg_at_10")),
    ("P@10 rated", ("rated", "precision_at_10")),
    ("R@10 rated", ("rated", "recall_at_10")),
    ("NDCG@10 rated", ("rated", "ndcg_at_10")),
    ("HR@10 rated", ("rated", "hit_rate_at_10")),
)

_BASELINES = ("biases", "popular", "constant", "random")  # metadata.json sorts them by name


LARGE = 1e9  # from here on digits after the point say nothing


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
    from movierec.plain import plain

    return json.dumps(plain(facts), indent=2, ensure_ascii=False)


def number(value: object, digits: int = 4) -> str:
    """Return a number with fixed decimals; a dash where nothing was measured."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{digits}f}" if abs(value) < LARGE else f"{value:.{digits}e}"


def mib(size: int) -> str:
    """Return bytes as MiB."""
    return f"{size / 2**20:.1f} MiB"


def moment(time: datetime | None) -> str:
    """Return a time to the minute, in UTC."""
    return "–" if time is None else time.strftime("%Y-%m-%d %H:%M")


def table(
    title: str,
    *columns: str,
    right: tuple[str, ...] = (),
    rows: Iterable[Iterable[RenderableType]] = (),
) -> Table:
    """Return a table; the columns named in `right` hold numbers, which are never split."""
    drawn = _FittingTable(title, header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        if column in right:
            drawn.add_column(column.replace(" ", "\n"), justify="right", no_wrap=True)
        else:
            drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    return drawn


class _FittingTable(Table):
    """A table under a heading, which a terminal too narrow for it shows as a line per cell."""

    def __init__(self, heading: str, **looks: Any) -> None:
        super().__init__(**looks, pad_edge=False)
        self.heading = heading

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield f"[bold]{self.heading}[/]"
        for column in self.columns:
            if column.no_wrap:
                column.min_width = _widest(column)
        if self.__rich_measure__(console, options).minimum <= options.max_width:
            yield from super().__rich_console__(console, options)
        else:
            yield from self._cell_by_cell()

    def _cell_by_cell(self) -> RenderResult:
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            lines = Table.grid(Column(), Column(overflow="fold"), padding=(0, 1))
            for column, cell in zip(self.columns, cells, strict=True):
                lines.add_row(str(column.header).replace("\n", " "), cell)
            yield lines
            yield ""


def _widest(column: Column) -> int:
    """Return the width no cell needs more of: Rich itself counts only the longest word."""
    texts = (str(column.header), *(str(cell) for cell in column.cells))
    return max(cell_len(line) for text in texts for line in (text or " ").splitlines())


@contextmanager
def progress_bar(description: str, stopped: str = "") -> Iterator[ProgressCallback]:
    """Draw a bar on stderr; the callback takes a stage's text and the share done (0 to 1).

    `description` is markup, a stage's text is not. The bar leaves nothing behind and a file
    never sees it, so that an error is one line. After Ctrl-C `stopped` says what can be done.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    drawn_on = console(stderr=True)
    hidden = not drawn_on.is_terminal
    try:
        with Progress(*columns, console=drawn_on, transient=True, disable=hidden) as bar:
            task = bar.add_task(description, total=1.0)
            yield lambda stage, done: bar.update(
                task, description=f"{description}: {escape(stage)}", completed=done
            )
    except KeyboardInterrupt:
        if stopped:
            drawn_on.print(stopped, soft_wrap=True)
        raise


def headline(record: VersionRecord) -> str:
    """Return one sentence: what was trained on what, and how long it took."""
    seconds = record.metadata.durations.total
    took = "" if seconds is None else f" in {seconds:.1f} s"
    current = ", now current" if record.is_current else ""
    return (
        f"{record.name} ({record.preset}, {record.parameters:,} "
        f"parameter{'s' * (record.parameters != 1)}) on "
        f"{record.dataset_name}, {record.split_label}{took}{current}"
    )


def metrics_table(record: VersionRecord) -> Table:
    """Return the test metrics of a version above the reference baselines of the same split."""
    own, floors = record.metadata.evaluation, record.metadata.floors
    rows = {record.name: own}
    without = own.without_time
    if without.is_recorded and without.rmse != own.rmse:
        rows["  time not told"] = EvaluationSummary(rmse=without.rmse, mae=without.mae)
    rows |= {name: floors[name] for name in _BASELINES if name in floors}
    names = tuple(name for name, _ in _COLUMNS)
    return table(
        f"Test part of {record.split_label}", "", *names, right=names,
        rows=(
            (label, *(number(evaluation.value_at(*path)) for _, path in _COLUMNS))
            for label, evaluation in rows.items()
        ),
    )  # fmt: skip
