"""First steps: the pages of an empty project, and a suggestion of what to do next."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from movierec import jobs
from movierec.store.records import DatasetRecord, VersionRecord
from movierec.ui.components import cache, shell, widgets
from movierec.ui.components.runs import watching
from movierec.ui.components.text import decimal, integer, percent

__all__ = [
    "data_numbers",
    "first_data",
    "first_version",
    "here",
    "next_step",
    "no_version",
    "second_version",
]

_REPORT = "report"
_STEPS = ("Fetch ratings", "Train a version", "See how good it is")


def first_data(*, link: bool = True) -> bool:
    """Draw the page of an empty database: fetch MovieLens 100K, or bring ratings along.

    `link`: point to the Data page for the latter. Returns whether a run is under way.
    """
    title = "Ratings are on their way" if watching.is_busy() else "Fetch ratings to begin"
    widgets.heading(
        "Welcome to movierec",
        f"Nothing is here yet. {title}",
        "movierec learns from who rated which movie how. MovieLens 100K is a good start: "
        "100,000 ratings by 943 people of 1,682 movies, about 5 MB to download.",
    )
    widgets.steps(_STEPS, at=0)
    busy = watching.live_panel()
    if not busy:
        with st.container(key="empty", border=True):
            _offer_data(link=link)
    widgets.citation()
    return busy


def first_version(datasets: Sequence[DatasetRecord]) -> None:
    """Draw the page of data without a version: train the first one."""
    newest = datasets[0]
    busy = watching.is_busy("train")
    title = "The first version is in training" if busy else "Train the first version"
    widgets.heading(
        "Welcome to movierec",
        f"{newest.name} is here. {title}",
        "A GraphSAGE model learns from the ratings of the train part; a validation part picks the "
        "epoch, and the test part is scored once, at the end.",
    )
    widgets.steps(_STEPS, at=1)
    if not watching.live_panel():
        with st.container(key="empty", border=True):
            _offer_training(datasets)
    data_numbers(newest)


def _offer_data(*, link: bool) -> None:
    if st.button("Fetch MovieLens 100K", type="primary", icon=":material/download:", key="fetch"):
        jobs.submit_import(cache.settings(), data_set="ml-100k")
        st.rerun()
    if link:
        shell.link("Data", "Use my own ratings instead", icon="upload_file")
    widgets.mute(f"Looked in {_place()}: there is no data set in it.")


def _offer_training(datasets: Sequence[DatasetRecord]) -> None:
    name = _choose_dataset(datasets)
    if st.button(
        "Train the first version", type="primary", icon=":material/play_arrow:", key="train"
    ):
        jobs.submit_train(cache.settings(), preset="default", dataset=name)
        st.rerun()
    shell.link("Train", "Choose the settings myself")
    widgets.mute(
        "Training runs in a process of its own: this page may be closed, and the run goes on. "
        "A few minutes on two processor cores."
    )


def here(record: DatasetRecord) -> None:
    """Draw the data set of the current version in a line."""
    with st.container(key="here", border=True, height="stretch"):
        sizes = (
            f"{record.n_users:,} users, {record.n_movies:,} movies, {record.n_ratings:,} ratings "
            f"from {record.rating_low:g} to {record.rating_high:g} stars"
        )
        widgets.step(f"Data: {record.name}", sizes)
        shell.link("Data", "Look at the data")


def next_step(versions: Sequence[VersionRecord], dataset: str) -> None:
    """Suggest one thing to do now that a version is there."""
    with st.container(key="next", border=True, height="stretch"):
        if len(versions) > 1:
            widgets.step(
                "Next: is the newest version better?",
                "Side by side with the current one: by how much, for whom, and how surely.",
            )
            shell.link("Compare", "Compare versions")
        else:
            _second(dataset)
        shell.link("Recommend", "See what it recommends")
        shell.link("Train", "Train with other settings")


def second_version(versions: Sequence[VersionRecord]) -> None:
    """Suggest to train a second version."""
    if watching.live_panel():
        return
    _second(versions[0].dataset_name, preset=_REPORT if versions[0].preset != _REPORT else "ease")
    shell.link("Train", "Train with other settings")


def no_version() -> None:
    """Lead to the training of the first version."""
    with st.container(key="empty", border=True):
        widgets.step(
            "No version yet", "A version is a trained model that is kept with what it can do."
        )
        shell.link("Home", "Train the first one on Home")


def _second(dataset: str, preset: str = _REPORT) -> None:
    what = {_REPORT: "the model of the first report"}.get(preset, f"the baseline {preset}")
    widgets.step(
        f"Next: train {what} beside it",
        "Same data, same split: a second version shows how much the other one gains.",
    )
    label = f"Train the {preset} {'preset' if preset == _REPORT else 'baseline'}"
    if st.button(label, key=f"train-{preset}", icon=":material/play_arrow:"):
        jobs.submit_train(cache.settings(), preset=preset, dataset=dataset)
        st.rerun()


def data_numbers(record: DatasetRecord) -> None:
    """Draw the size of a data set in four numbers."""
    density = record.n_ratings / max(1, record.n_users * record.n_movies)
    per_user = record.n_ratings / max(1, record.n_users)
    with st.container(key="numbers-data"):
        ratings, users, movies, dense = st.columns(4)
    scale = f"{record.rating_low:g} to {record.rating_high:g} stars"
    ratings.metric("Ratings", integer(record.n_ratings), border=True, help=scale)
    users.metric("Users", integer(record.n_users), border=True)
    movies.metric("Movies", integer(record.n_movies), border=True)
    dense.metric(
        "Density",
        percent(density, 2),
        border=True,
        help=f"Rated user–movie pairs among all; {decimal(per_user, 0)} ratings per user.",
    )


def _choose_dataset(datasets: Sequence[DatasetRecord]) -> str:
    names = [record.name for record in datasets]
    if len(names) == 1:
        return names[0]
    return st.selectbox("Data set to train on", names, key="train-on")


def _place() -> str:
    path = cache.settings().database_path
    return str(path) if path else "the configured database"
