"""The Data page's distributions, import report and import form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import streamlit as st

from movierec import jobs
from movierec.columns import Columns
from movierec.data.dataset import Dataset
from movierec.store import DatasetRecord
from movierec.ui.components import cache, ratings, widgets
from movierec.ui.components.tables import Column, html_table
from movierec.ui.components.text import NOT_MEASURED, day, decimal, integer, percent

__all__ = ["distributions", "form", "import_report", "lead"]

_COLUMNS = {
    "user": ("User column", Columns.USER),
    "movie": ("Movie column", Columns.MOVIE),
    "rating": ("Rating column", Columns.RATING),
    "timestamp": ("Time column (optional)", Columns.TIMESTAMP),
}


def lead(record: DatasetRecord) -> str:
    """Return scale and time span of the data set in one sentence."""
    first, last = record.report.get("first_rating"), record.report.get("last_rating")
    when = f"between {_date(first)} and {_date(last)}" if first else "at times that are not known"
    return (
        f"Ratings from {record.rating_low:g} to {record.rating_high:g} in steps of "
        f"{record.rating_step:g}, given {when}. Imported on {day(record.imported_at)}."
    )


def distributions(data: Dataset) -> None:
    """Draw ratings by level, by month, by user and by movie."""
    left, right = st.columns(2, gap="large")
    with left:
        widgets.figure(ratings.rating_distribution(cache.level_shares(data)), "levels")
    with right:
        _over_time(data)
    told = cache.aggregates(data)
    left, right = st.columns(2, gap="large")
    with left:
        activity = ratings.concentration(told.user.count, noun="users", most="most active")
        widgets.figure(activity, "activity")
    with right:
        popularity = ratings.concentration(told.movie.count, noun="movies", most="most rated")
        widgets.figure(popularity, "popularity")


def import_report(record: DatasetRecord) -> None:
    """Draw what the import read, kept and dropped, with the first lines concerned."""
    report = record.report
    widgets.section("Import report")
    left, right = st.columns([3, 2], gap="large")
    with left:
        _rows_table(report)
        _spread_table(report)
    with right:
        widgets.facts(_facts(record))


def _over_time(data: Dataset) -> None:
    months = ratings.by_month(data, cache.aggregates(data))
    if months is None:
        widgets.chart_title("When the ratings were given is not known")
        widgets.mute("The source has no timestamps, so temporal splits are not possible.")
        return
    widgets.figure(ratings.ratings_over_time(months), "months")


def _rows_table(report: Mapping[str, Any]) -> None:
    read, kept = report.get("rows_read"), report.get("rows_kept")
    rows = [["Rows read", integer(read), ""], ["Rows kept", integer(kept), ""]]
    dropped = report.get("dropped") or []
    rows += [[f"Dropped: {d['reason']}", integer(d["count"]), _lines(d)] for d in dropped]
    if not dropped:
        rows.append(["Dropped", "0", ""])
    columns = [Column("Rating rows"), Column("Rows", numeric=True), Column("First lines")]
    widgets.html(html_table("Rows read, kept and dropped at import", columns, rows))


def _spread_table(report: Mapping[str, Any]) -> None:
    names = ("min", "q1", "median", "q3", "p90", "max", "mean")
    labels = ("Least", "25 %", "Median", "75 %", "90 %", "Most", "Mean")
    rows = [
        [label, *(decimal(spread.get(n), 1 if n == "mean" else 0) for n in names)]
        for label, key in (("per user", "ratings_per_user"), ("per movie", "ratings_per_movie"))
        if (spread := report.get(key))
    ]
    columns = [Column("Ratings"), *(Column(label, numeric=True) for label in labels)]
    if rows:
        widgets.html(html_table("Number of ratings per user and per movie", columns, rows))


def _lines(dropped: Mapping[str, Any]) -> str:
    first = [str(line) for line in dropped.get("first_lines") or []]
    more = ", …" if dropped["count"] > len(first) else ""
    return ", ".join(first) + more if first else NOT_MEASURED


def _facts(record: DatasetRecord) -> dict[str, str]:
    report = record.report
    scale = f"{record.rating_low:g} to {record.rating_high:g}, step {record.rating_step:g}"
    inferred = " (inferred from the ratings)" if report.get("scale_inferred") else ""
    return {
        "Source": record.source or NOT_MEASURED,
        "Format": str(report.get("format") or NOT_MEASURED),
        "Files": ", ".join(report.get("files") or []) or NOT_MEASURED,
        "Scale": scale + inferred,
        "First rating": _date(report.get("first_rating")),
        "Last rating": _date(report.get("last_rating")),
        "Density": percent(report.get("density"), 2),
        "Users without ratings": integer(report.get("users_without_ratings")),
        "Movies without ratings": integer(report.get("movies_without_ratings")),
        "Fingerprint": record.fingerprint[:16],
    }


def _date(text: str | None) -> str:
    return day(datetime.fromisoformat(text)) if text else NOT_MEASURED


def form() -> None:
    """Draw the form of an import and queue it."""
    widgets.mute(
        "A folder, zip or file on the machine that runs movierec: MovieLens of any size "
        "(100K, 1M, latest, 25M, 32M), RecBole files, or any ratings as CSV or Parquet. Rows that "
        "cannot be used are listed in the report, never dropped silently; a bad file changes "
        "nothing."
    )
    with st.form("import", border=True):
        path = st.text_input("Path", placeholder="/home/me/ratings.csv", key="import-path")
        name = st.text_input(
            "Name (optional)", placeholder="from the path", key="import-name", max_chars=64
        )
        columns = _columns()
        if st.form_submit_button("Import ratings", type="primary", icon=":material/upload_file:"):
            _submit(path, name, columns)


def _columns() -> dict[str, str]:
    """Return the columns named, by the names that `jobs.submit_import` gives them."""
    widgets.mute("Columns, only for a CSV or Parquet file that names them its own way:")
    given = {
        name: cell.text_input(label, placeholder=usual, key=f"import-{name}")
        for cell, (name, (label, usual)) in zip(st.columns(4), _COLUMNS.items(), strict=True)
    }
    return {name: value.strip() for name, value in given.items() if value and value.strip()}


def _submit(path: str, name: str, columns: dict[str, str]) -> None:
    missing = [column for column in ("user", "movie", "rating") if column not in columns]
    if not path.strip():
        st.error("Enter a file or folder path.", icon=":material/error:")
    elif columns and missing:
        st.error(
            f"Name the {' and '.join(missing)} column as well, or none of them.",
            icon=":material/error:",
        )
    else:
        jobs.submit_import(
            cache.settings(), path=path.strip(), columns=columns or None, name=name.strip() or None
        )
        st.rerun()
