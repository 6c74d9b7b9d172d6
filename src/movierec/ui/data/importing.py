"""The Data page's last part: bring one's own ratings in, through the same run as any import."""

from __future__ import annotations

import streamlit as st

from movierec import jobs
from movierec.columns import Columns
from movierec.ui.components import cache, widgets

__all__ = ["form"]

_COLUMNS = {
    "user": ("User column", Columns.USER),
    "movie": ("Movie column", Columns.MOVIE),
    "rating": ("Rating column", Columns.RATING),
    "timestamp": ("Time column (optional)", Columns.TIMESTAMP),
}


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
        st.error("Say which file or folder to import.", icon=":material/error:")
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
