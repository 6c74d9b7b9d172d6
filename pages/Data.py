"""Data: what was imported, how it is spread, every movie and user in it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from movierec.store import DatasetRecord, Store
from movierec.ui.components import cache, onboarding, shell, widgets
from movierec.ui.components.runs import watching
from movierec.ui.data import browse, overview


def page(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    datasets = store.datasets.list()
    if not datasets:
        empty()
        return
    left, right = st.columns([3, 1])
    with right:
        record = choose(datasets)
    with left:
        widgets.heading("Data", headline(record), overview.lead(record))
    watching.live_panel()
    onboarding.data_numbers(record)
    shell.views(
        {
            "Overview": partial(show_overview, record),
            "Movies": lambda: browse.movies(cache.dataset(record)),
            "Users": lambda: browse.users(cache.dataset(record)),
            "Import": overview.form,
        }
    )
    widgets.citation()


def empty() -> None:
    """Draw the page of an empty database: bring ratings in."""
    if not onboarding.first_data(link=False):
        widgets.section("Or import ratings of your own")
        overview.form()


def choose(datasets: list[DatasetRecord]) -> DatasetRecord:
    """Return the data set to show; the newest unless the page's address says otherwise."""
    if len(datasets) == 1:
        return datasets[0]
    by_name = {record.name: record for record in datasets}
    name = st.selectbox("Data set", list(by_name), key="data", bind="query-params")
    return by_name[name]


def headline(record: DatasetRecord) -> str:
    """Say in one sentence what the data set is."""
    return (
        f"{record.name}: {record.n_users:,} users gave {record.n_ratings:,} ratings "
        f"to {record.n_movies:,} movies"
    )


def show_overview(record: DatasetRecord) -> None:
    """Draw distributions and the import report."""
    overview.distributions(cache.dataset(record))
    overview.import_report(record)


shell.setup("Data")
with shell.errors_in_words(), st.container(gap="medium"):
    page(cache.store())
