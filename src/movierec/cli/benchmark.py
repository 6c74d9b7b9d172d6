"""`movierec benchmark`: models side by side on one split."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from movierec.cli.options import accept, given
from movierec.cli.output import console, emit, number, progress_bar, table, to_json
from movierec.cli.train import RENAMED
from movierec.data.splits import SplitSpec
from movierec.errors import SettingsError
from movierec.settings import load_settings

__all__ = ["benchmark"]

DEFAULT_MODELS = "report,default,svd,svdpp,knn,ease,popular"
_COLUMNS: tuple[tuple[str, Callable[[dict[str, Any]], float | None], int], ...] = (
    ("RMSE", lambda row: row["rmse"], 4),
    ("MAE", lambda row: row["mae"], 4),
    ("NDCG@10 full", lambda row: row["full"]["ndcg_at_10"], 4),
    ("NDCG@10 rated", lambda row: row["rated"]["ndcg_at_10"], 4),
    ("Fit s", lambda row: row["fit_seconds"], 1),
    ("Predict s", lambda row: row["predict_seconds"], 2),
    ("Peak MiB", lambda row: row["peak_memory_mb"], 0),
    ("Parameters", lambda row: row["parameters"], 0),
)


@accept(SplitSpec, renamed=RENAMED, aliases={})
def benchmark(
    models: Annotated[
        str, typer.Option(help="Presets and baselines, joined with commas.")
    ] = DEFAULT_MODELS,
    seeds: Annotated[int, typer.Option(min=1, help="Fits per model, seeds 0, 1, …")] = 1,
    dataset: Annotated[str | None, typer.Option(help="Data set; default: the newest.")] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Also write the rows to this file; - prints them instead."),
    ] = None,
    **fields: Any,
) -> None:
    """Fit models on the same split and measure them with the same code.

    A model is fitted once per seed, in a process of its own, one after the other.
    """
    from movierec.workflows.benchmark import benchmark as run_benchmark
    from movierec.workflows.requests import TrainRequest

    split = given(fields, SplitSpec, RENAMED)
    requests = [
        TrainRequest.of(preset=model.strip(), seed=seed, dataset=dataset, split=split)
        for model in models.split(",")
        for seed in range(seeds)
    ]
    file = None if json_file is None or str(json_file) == "-" else json_file
    if file is not None:
        _require_writable(file)
    with progress_bar("Benchmark") as tell:
        rows = run_benchmark(requests, load_settings(), on_progress=tell)
    if file is not None:
        file.write_text(to_json(rows) + "\n", encoding="utf-8")
        console(stderr=True).print(f"Rows written to {file}.", markup=False, soft_wrap=True)
    title = f"Test part of {requests[0].split.label}, {seeds} seed{'s' * (seeds > 1)}"
    emit(str(json_file) == "-", rows, lambda: _drawn(title, rows))


def _require_writable(file: Path) -> None:
    """Make the folder and try the file before the long work, not after it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a").close()
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be written: {error.strerror}.", hint="Name another file with --json."
        ) from error


def _drawn(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    names = tuple(name for name, _, _ in _COLUMNS)
    drawn = table(title, "Model", *names, right=names)
    for model in dict.fromkeys(row["model"] for row in rows):
        group = [row for row in rows if row["model"] == model]
        drawn.add_row(
            model, *(_cell([read(row) for row in group], digits) for _, read, digits in _COLUMNS)
        )
    return drawn


def _cell(values: Sequence[float | None], digits: int) -> str:
    """Return the mean and, over several seeds that differ, the standard deviation."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return number(None)
    mean = number(statistics.fmean(known), digits)
    if len(known) == 1 or len(set(known)) == 1:
        return mean
    return f"{mean} ± {number(statistics.stdev(known), digits)}"
