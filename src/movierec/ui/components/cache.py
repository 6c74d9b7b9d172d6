"""The only place where the dashboard keeps anything between two runs of a page.

Everything is bounded. Data sets and what is computed from them are keyed by fingerprint, so a
new import never shows old numbers. Rows of runs and versions are read anew each time a page is
opened; only the polls of open pages share what one of them read within the last second.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar, cast

import pandas as pd
import streamlit as st

from movierec.comparison.evidence import Evidence, read_evidence
from movierec.comparison.measured import evidence_from, measured_together
from movierec.data.aggregates import AGGREGATES, Aggregates, aggregates_of
from movierec.data.dataset import Dataset
from movierec.inference import LoadedVersion
from movierec.inference.load import data_record_of, load_from
from movierec.inference.movies import MovieSearch
from movierec.registry import Registry
from movierec.registry.measurements import Measurement
from movierec.settings import Settings, load_settings
from movierec.store import (
    DatasetRecord,
    EpochRecord,
    RunRecord,
    Store,
    VersionRecord,
    open_store,
)
from movierec.ui.components import ratings

__all__ = [
    "active_runs",
    "aggregates",
    "dataset",
    "drawn",
    "epochs",
    "evidence",
    "forget_runs",
    "genres",
    "level_shares",
    "loaded",
    "model_card",
    "movie_search",
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
    """Return the queued and running runs as some session read them within the last second.

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
    """Return the result of `draw`, cached by `of`; sessions that look at the same thing share it.

    `of` holds text and numbers alone, and everything that what is drawn depends on.
    """
    return cast("T", _drawn(of, draw))


# the keys of arguments of cached functions
_KEYS: Any = {
    Dataset: lambda data: data.fingerprint,
    DatasetRecord: lambda record: (record.fingerprint, record.name),
    VersionRecord: lambda record: (*_where(), *_mark(record)),
}


@st.cache_resource(max_entries=4, show_spinner="Reading the data set …", hash_funcs=_KEYS)
def dataset(record: DatasetRecord) -> Dataset:
    """Return a whole data set; it is shared between sessions and never changed."""
    return store().datasets.load(record.name)


def evidence(records: Sequence[VersionRecord]) -> tuple[dict[str, Evidence], tuple[str, ...]]:
    """Return the evidence of versions for a comparison, and a key that changes with it.

    Where they were not measured alike, it is what was measured of them together, if it was.
    """
    found = {record.name: _evidence_of(record) for record in records}
    marks = [part for record in records for part in _mark(record)]
    kept = Registry(settings(), store()).measurements
    together = measured_together(kept, [*found.values()])
    if together is not None:
        marks += [together.key, together.created_at.isoformat()]
        found = {name: _from(together, own) for name, own in found.items()}
    return found, (*_where(), *marks)


def _evidence_of(record: VersionRecord) -> Evidence:
    """Return a version's own evidence; what cannot be used now is tried again the next time."""
    found = _evidence(record)
    if found.per_user is None:
        _evidence.clear(record)
    return found


@st.cache_resource(max_entries=64, show_spinner="Reading what was measured …", hash_funcs=_KEYS)
def _evidence(record: VersionRecord) -> Evidence:
    return read_evidence(Registry(settings(), store()), record.name)


def _from(together: Measurement, own: Evidence) -> Evidence:
    """Return a version's evidence from a measurement; the frames are read once."""
    made = (together.key, together.created_at.isoformat())
    of = ("measured", *_where(), *made, *_mark(own.record))
    return drawn(of, lambda: evidence_from(together, own))


@st.cache_resource(max_entries=6, show_spinner="Loading the version …", hash_funcs=_KEYS)
def loaded(record: VersionRecord) -> LoadedVersion:
    """Return a version ready to recommend; it is shared between sessions and never changed."""
    whole = store().versions.get(record.name)
    data = dataset(data_record_of(store(), whole))
    return load_from(Registry(settings(), store()), whole, data, store().datasets)


def model_card(record: VersionRecord) -> str:
    """Return a version's model card, as Markdown."""
    from movierec.export.model_card import model_card as card

    words = (record.notes, *record.tags, str(record.is_current))
    return drawn(("card", *_where(), *_mark(record), *words), lambda: card(store(), record))


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=_KEYS)
def movie_search(data: Dataset) -> MovieSearch:
    """Return the titles of a data set, ready to be searched."""
    return MovieSearch(data)


@st.cache_resource(max_entries=4, show_spinner="Counting the ratings …", hash_funcs=_KEYS)
def aggregates(data: Dataset) -> Aggregates:
    """Return the counts and means of a whole data set."""
    found = store().datasets.derived(data, AGGREGATES, lambda: aggregates_of(data).arrays())
    return Aggregates.from_arrays(found)


# tables of 200,000 rows: cache_data would copy one for each run of a page
@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=_KEYS)
def movie_table(data: Dataset) -> pd.DataFrame:
    """Return `ratings.movie_table` of a data set; it is shared and never changed."""
    return ratings.movie_table(data, aggregates(data))


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=_KEYS)
def user_table(data: Dataset) -> pd.DataFrame:
    """Return `ratings.user_table` of a data set; it is shared and never changed."""
    return ratings.user_table(data, aggregates(data))


def genres(data: Dataset) -> list[str]:
    """Return every genre of a data set's movies, in alphabetical order."""
    return drawn(("genres", data.fingerprint), lambda: ratings.genres_of(movie_table(data)))


def level_shares(data: Dataset) -> pd.DataFrame:
    """Return `ratings.level_shares` of a whole data set."""
    return ratings.level_shares(data, told=aggregates(data))


@st.cache_resource(max_entries=4, show_spinner=False, on_release=Store.close)
def _store(url: str, home: str, _settings: Settings) -> Store:  # noqa: ARG001 - the key
    return open_store(_settings)


def _where() -> tuple[str, str]:
    now = settings()
    return now.database, str(now.home)


def _mark(record: VersionRecord) -> tuple[str, str]:
    """Return the identity of a version: its name, and its time as names are used again."""
    return record.name, record.created_at.isoformat()


@st.cache_resource(max_entries=4, ttl=POLL_SECONDS, show_spinner=False)
def _active_runs(url: str, home: str) -> tuple[RunRecord, ...]:  # noqa: ARG001 - the key
    runs = store().runs
    runs.mark_interrupted()
    return tuple(runs.active())


@st.cache_resource(max_entries=32, ttl=POLL_SECONDS, show_spinner=False)
def _epochs(url: str, home: str, run_id: int) -> tuple[EpochRecord, ...]:  # noqa: ARG001 - the key
    return tuple(store().runs.epochs(run_id))


@st.cache_resource(max_entries=64, show_spinner=False)
def _drawn(of: tuple[Hashable, ...], _draw: Callable[[], object]) -> object:  # noqa: ARG001
    return _draw()
