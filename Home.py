"""Home: what is here, how good the current version is, what to do next."""

from __future__ import annotations

import streamlit as st

from movierec.store import Store, VersionRecord
from movierec.ui.components import cache, onboarding, shell, widgets
from movierec.ui.components.runs import watching
from movierec.ui.components.theme import version_style
from movierec.ui.components.versions import leaderboard
from movierec.ui.home import current

SHOWN_RUNS = 8


def home(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    last = watching.latest_run()
    datasets, version = store.datasets.list(), store.versions.current()
    watching.trouble(last)
    if not datasets:
        onboarding.first_data()
    elif version is None:
        onboarding.first_version(datasets)
    else:
        full(store, version)
    if last is not None:
        widgets.section("Last runs")
        watching.runs_table(store.runs.list(SHOWN_RUNS))


def full(store: Store, version: VersionRecord) -> None:
    """Draw the current version among its baselines, the data it comes from, the next step."""
    style = version_style(version.name, store.versions.names_ever())
    table = leaderboard.rows(version)
    current.headline(version, table)
    busy = watching.live_panel()
    current.hero(table)
    around(store, version, busy=busy)
    current.ladders(table, style)
    current.comparison(table, style)
    current.certainty(version, style)
    widgets.section("How it was trained")
    current.training(version, style)


def around(store: Store, version: VersionRecord, *, busy: bool) -> None:
    """Draw the data the version comes from and, unless something runs, the next step."""
    left, right = st.columns(2)
    record = store.datasets.find(version.fingerprint)
    if record is not None:
        with left:
            onboarding.here(record)
    if not busy:
        with right:
            onboarding.next_step(store.versions.summaries(()), version.dataset_name)


shell.setup("Home")
with shell.errors_in_words(), st.container(gap="medium"):
    home(cache.store())
