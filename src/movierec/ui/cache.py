"""The only place where the dashboard keeps anything between two runs of a page.

Everything is bounded. Data sets and what is computed from them are keyed by fingerprint, so a
new import never shows old numbers; rows of runs and versions are read anew each time.
"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from movierec.data.dataset import Dataset
from movierec.settings import Settings, load_settings
from movierec.store import DatasetRecord, Store, open_store
from movierec.ui import frames

__all__ = ["dataset", "level_shares", "movie_table", "settings", "store", "user_table"]


def settings() -> Settings:
    """Return the settings in force."""
    return load_settings()


def store() -> Store:
    """Return the open database in force; StoreError when it cannot be used."""
    now = settings()
    return _store(now.database, str(now.home), now)


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
