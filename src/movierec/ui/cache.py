"""The only place where the dashboard keeps anything between two runs of a page.

Everything is bounded. Data sets and what is computed from them are keyed by fingerprint, so a
new import never shows old numbers. Rows of runs and versions are read anew each time a page is
opened; only the polls of open pages share what one of them read within the last second.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

import pandas as pd
import streamlit as st

from movierec.data.dataset import Dataset
from movierec.settings import Settings, load_settings
from movierec.store import DatasetRecord, EpochRecord, RunRecord, Store, open_store
from movierec.ui import frames

__all__ = [
    "active_runs",
    "dataset",
    "drawn",
    "epochs",
    "forget_runs",
    "level_shares",
    "movie_table",
    "settings",
    "store",
    "user_table",
]

T = TypeVar("T")

POLL_SECONDS = 1.0  # pages poll every two; 20 of them then cost what one does


def settings() -> Settings:
    """Return the settings in force."""
    return load_settings()


def store() -> Store:
    """Return the open database in force; StoreError when it cannot be used."""
    now = settings()
    return _store(now.database, str(now.home), now)


def active_runs() -> list[RunRecord]:
    """Return the runs that wait or go on as some session saw them within the last second.

    One whose process is gone is marked, and no longer among them.
    """
    return [*_active_runs(*_where())]


def epochs(run_id: int) -> list[EpochRecord]:
    """Return a run's finished epochs as some session saw them within the last second."""
    return [*_epochs(*_where(), run_id)]


def forget_runs() -> None:
    """Have runs and epochs read anew, by every session."""
    _active_runs.clear()
    _epochs.clear()


def drawn(of: tuple[Hashable, ...], draw: Callable[[], T]) -> T:
    """Return what `draw` makes of `of`; sessions that look at the same thing share it.

    `of` holds text and numbers alone, and everything that what is drawn depends on.
    """
    return cast("T", _drawn(of, draw))


def dataset(record: DatasetRecord) -> Dataset:
    """Return a whole data set; it is shared between sessions and never changed."""
    return _dataset(record.fingerprint, record.name)


def movie_table(data: Dataset) -> pd.DataFrame:
    """Return `frames.movie_table` of a data set."""
    return _movie_table(data.fingerprint, data)


def user_table(data: Dataset) -> pd.DataFrame:
    """Return `frames.user_table` of a data set."""
    return _user_table(data.fingerprint, data)


def level_shares(data: Dataset) -> pd.DataFrame:
    """Return `frames.level_shares` of a whole data set."""
    return _level_shares(data.fingerprint, data)


@st.cache_resource(max_entries=4, show_spinner=False, on_release=Store.close)
def _store(url: str, home: str, _settings: Settings) -> Store:  # noqa: ARG001 - the key
    return open_store(_settings)


def _where() -> tuple[str, str]:
    now = settings()
    return now.database, str(now.home)


@st.cache_resource(max_entries=4, ttl=POLL_SECONDS, show_spinner=False)
def _active_runs(url: str, home: str) -> tuple[RunRecord, ...]:  # noqa: ARG001 - the key
    runs = store().runs
    runs.mark_interrupted()
    return tuple(runs.active())


@st.cache_resource(max_entries=32, ttl=POLL_SECONDS, show_spinner=False)
def _epochs(url: str, home: str, run_id: int) -> tuple[EpochRecord, ...]:  # noqa: ARG001 - the key
    return tuple(store().runs.epochs(run_id))


@st.cache_resource(max_entries=32, show_spinner=False)
def _drawn(of: tuple[Hashable, ...], _draw: Callable[[], object]) -> object:  # noqa: ARG001
    return _draw()


@st.cache_resource(max_entries=4, show_spinner="Reading the data set …")
def _dataset(fingerprint: str, name: str) -> Dataset:  # noqa: ARG001 - the key
    return store().datasets.load(name)


@st.cache_data(max_entries=8, show_spinner=False)
def _movie_table(fingerprint: str, _data: Dataset) -> pd.DataFrame:  # noqa: ARG001 - the key
    return frames.movie_table(_data)


@st.cache_data(max_entries=8, show_spinner=False)
def _user_table(fingerprint: str, _data: Dataset) -> pd.DataFrame:  # noqa: ARG001 - the key
    return frames.user_table(_data)


@st.cache_data(max_entries=8, show_spinner=False)
def _level_shares(fingerprint: str, _data: Dataset) -> pd.DataFrame:  # noqa: ARG001 - the key
    return frames.level_shares(_data)
