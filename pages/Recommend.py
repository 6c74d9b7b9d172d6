"""Recommend: lists for users and newcomers with reasons, movies, and feedback on the lists."""

from __future__ import annotations

from functools import partial

import streamlit as st

from movierec.store import Store
from movierec.ui.components import cache, feedback, onboarding, shell, widgets
from movierec.ui.components.runs import watching
from movierec.ui.recommend import choice, map, movie, newcomer, user
from movierec.ui.recommend.choice import Head, SelectedVersions

DRAWERS = {
    "User": user.user,
    "Newcomer": newcomer.newcomer,
    "Movie": movie.movie,
    "Map": map.movies,
}


def page(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    if not store.datasets.list():
        onboarding.first_data()
        return
    records = [r for r in store.versions.summaries(choice.FACTS) if not r.is_missing]
    if not records:
        empty()
        return
    head = st.container(gap="medium")
    watching.live_panel()
    selected = choice.choose(records)

    def say(title: str, lead: str) -> None:
        with head:
            widgets.heading(selected.kicker, title, lead)

    drawers = {**DRAWERS, "Feedback": feedback_view}
    shell.views({name: partial(draw, selected, say) for name, draw in drawers.items()})


def empty() -> None:
    """Draw the page where no version can recommend."""
    widgets.heading(
        "Recommend",
        "Nothing recommends yet",
        "Once a version is trained, this page shows what it recommends to whom, and why.",
    )
    watching.live_panel()
    onboarding.no_version()


def feedback_view(selected: SelectedVersions, head: Head) -> None:
    """Draw the feedback on the selected versions' lists, on all where one alone is selected."""
    head(
        "What people said of the lists",
        "Thumbs from this page and from the API, by the version that made the list; they can join "
        "the next training.",
    )
    several = [*selected.versions] if len(selected.versions) > 1 else None
    dataset = cache.store().datasets.find(selected.data.fingerprint)
    feedback.view(several, dataset, key="recommend")


shell.setup("Recommend")
with shell.errors_in_words(), st.container(gap="medium"):
    page(cache.store())
