"""`movierec benchmark`: models side by side on the same splits."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

from movierec.cli.options import DatasetOption, accept, given, json_or_text
from movierec.cli.output import console, emit, progress_bar, table, to_json
from movierec.data.splits import SplitSpec
from movierec.errors import HyperparameterError, SettingsError
from movierec.settings import Settings, load_settings
from movierec.workflows.requests import TrainRequest

if TYPE_CHECKING:
    from movierec.benchmark.report import ReportFile
    from movierec.benchmark.row import Row

__all__ = ["benchmark", "model_of", "requests_of", "split_of"]

FLAGS = ("refit",)
FIELDS = (*FLAGS, "members")  # of a request; every other name is a hyperparameter
DEFAULT_MODELS = "report,default,svd,svdpp,knn,ease,popular"
UNSHOWN = "whole"  # the terminal is narrow


@accept(SplitSpec)
def benchmark(
    models: Annotated[
        str,
        typer.Option(
            help="Presets and baselines, joined with commas; changes follow after colons: "
            "default:refit:members=5, ease:regularization=300."
        ),
    ] = DEFAULT_MODELS,
    splits: Annotated[
        str | None,
        typer.Option(help="Several splits in place of --split: u1,random,cold-users:given=3."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Fits per model, seeds 0, 1, …")] = 1,
    dataset: DatasetOption = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Also write the rows to this file; - prints them instead."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Keep every row with machine, versions and command in this file, and write a page "
            "and pictures beside it. Rows that are in it already are not measured again.",
        ),
    ] = None,
    **fields: Any,
) -> None:
    """Fit models on the same splits and measure them with the same code.

    A model is fitted once per split and seed, in a process of its own, one after the other; for
    new users (cold-users) one fit serves every number of given ratings.
    """
    from movierec.benchmark.run import benchmark as run_benchmark

    base = given(fields, SplitSpec)
    requests = requests_of(
        models.split(","), _split_entries(splits, base), seeds, dataset=dataset, base=base
    )
    rows_file = None if json_file is None or str(json_file) == "-" else json_file
    for file in filter(None, (rows_file, report)):
        _require_writable(file)
    settings = load_settings()
    options = {"models": models, "splits": splits, "seeds": seeds, "dataset": dataset, **fields}
    kept = None if report is None else _report_file(report, options, settings)
    with progress_bar("Benchmark") as tell:
        rows = run_benchmark(requests, settings, report=kept, on_progress=tell)
    _write(rows, rows_file, kept)
    emit(str(json_file) == "-", _plain(rows), lambda: _drawn(rows))


def _split_entries(splits: str | None, base: Mapping[str, Any]) -> list[str]:
    if splits is None:
        return [base.get("name", SplitSpec().name)]
    if "name" in base:
        raise SettingsError(
            "--split and --splits cannot both be given.", hint="Put every split into --splits."
        )
    return splits.split(",")


def _report_file(path: Path, options: Mapping[str, Any], settings: Settings) -> ReportFile:
    from movierec.benchmark.report import ReportFile, run_facts

    # an absolute path says where somebody lives and not what was done
    shown = Path(path.name) if path.is_absolute() else path
    command = _command({**options, "report": shown.as_posix()})
    return ReportFile(path, run_facts(command, settings))


def _command(options: Mapping[str, Any]) -> str:
    """Return the command that gives these options, to be typed again."""
    arguments = [
        argument
        for name, value in options.items()
        if value is not None
        for argument in (f"--{name.replace('_', '-')}", str(value))
    ]
    return shlex.join(["movierec", "benchmark", *arguments])


def _require_writable(file: Path) -> None:
    """Make the folder and try the file before the long work, not after it."""
    is_new = not file.exists()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a").close()
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be written: {error.strerror}.",
            hint="Name another file with --json or --report.",
        ) from error
    if is_new:
        file.unlink()


def _write(rows: Sequence[Row], rows_file: Path | None, kept: ReportFile | None) -> None:
    stderr = console(stderr=True)
    if rows_file is not None:
        rows_file.write_text(to_json(_plain(rows)) + "\n", encoding="utf-8")
        stderr.print(f"Rows written to {rows_file}.", markup=False, soft_wrap=True)
    if kept is not None:
        for line in (*kept.doubts(), *_write_page(kept)):
            stderr.print(line, markup=False, soft_wrap=True)


def _write_page(kept: ReportFile) -> list[str]:
    from movierec.benchmark.page import write_page

    path, name = kept.path, kept.path.stem
    page = path.with_suffix(".md")
    problems = write_page(kept.report, page, f"Benchmark {name}", pictures=path.parent, prefix=name)
    return [*problems, f"{len(kept.report.rows)} rows are in {path}, the page is {page}."]


def _plain(rows: Sequence[Row]) -> list[Row]:
    from movierec.benchmark.row import ROW_KEYS

    return [{key: row[key] for key in ROW_KEYS} for row in rows]


def _drawn(rows: Sequence[Row]) -> Group:
    labels = dict.fromkeys(row["split_label"] for row in rows)
    groups = ([row for row in rows if row["split_label"] == label] for label in labels)
    return Group(*(_table(group) for group in groups))


def _table(rows: Sequence[Row]) -> Table:
    from movierec.benchmark.summary import COLUMNS, summaries

    columns = {name: column for name, column in COLUMNS.items() if name != UNSHOWN}
    heads = [_head(column.heading) for column in columns.values()]
    seeds = len({row["seed"] for row in rows})
    title = f"Test part of {rows[0]['split_label']}, {seeds} seed{'s' * (seeds > 1)}"
    cells = (
        (item.label, *(item.values[name].text(column.digits) for name, column in columns.items()))
        for item in summaries(rows)
    )
    return table(title, "Model", *heads, right=tuple(heads), rows=cells)


def _head(heading: str) -> str:
    plain = heading.replace("`", "")
    return plain[0].upper() + plain[1:]


def requests_of(
    models: Sequence[str],
    splits: Sequence[str],
    seeds: int,
    *,
    dataset: str | None,
    base: Mapping[str, Any],
) -> list[TrainRequest]:
    """Return a request for each split, model and seed 0…seeds - 1.

    Raises:
        HyperparameterError: an entry cannot be used; the message names it.

    """
    divided = [split_of(entry, base) for entry in splits]
    chosen = [model_of(entry) for entry in models]
    return [
        TrainRequest.of(**model, seed=seed, dataset=dataset, split=split)
        for split in divided
        for model in chosen
        for seed in range(seeds)
    ]


def model_of(entry: str) -> dict[str, Any]:
    """Return the fields of a training: `default:refit:members=5:epochs=60`.

    After the preset or baseline come `refit`, `members=N`, and hyperparameters as NAME=VALUE.
    """
    preset, changes = _parts(entry)
    fields = {name: value for name, value in changes.items() if name in FIELDS}
    others = {name: value for name, value in changes.items() if name not in FIELDS}
    model = {"preset": preset, **fields, "hyperparameters": others}
    _check(entry, **model)
    return model


def split_of(entry: str, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a split, `cold-users:given=1`; `base` holds those not named."""
    name, changes = _parts(entry)
    split = {**base, "name": name, **changes}
    _check(entry, preset="popular", split=split)
    return split


def _parts(entry: str) -> tuple[str, dict[str, Any]]:
    name, *changes = (part.strip() for part in entry.split(":"))
    return name, dict(_change(entry, part) for part in changes)


def _change(entry: str, part: str) -> tuple[str, Any]:
    name, equals, value = part.partition("=")
    if part in FLAGS:
        return part, True
    if not equals or not name or not value:
        raise HyperparameterError(
            f"{entry!r}: {part!r} is no change.",
            hint="Write NAME=VALUE or refit after a colon, as in default:refit:members=5.",
        )
    return name, json_or_text(value)


def _check(entry: str, **fields: Any) -> None:
    try:
        TrainRequest.of(**fields)
    except HyperparameterError as error:
        raise HyperparameterError(f"{entry!r}: {error.message}", hint=error.hint) from error
