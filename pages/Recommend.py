"""Recommend: who would get what and why, newcomers, movies, and what people say of the lists."""

from __future__ import annotations

import streamlit as st

from movierec.store import Store
from movierec.ui.components import cache, onboarding, shell, widgets
from movierec.ui.components.runs import strip
from movierec.ui.recommend import choice, feedback, map_view, movie, newcomer, user

VIEWS = ("User", "Newcomer", "Movie", "Map", "Feedback")
DRAWERS = (
    user.user,
    newcomer.newcomer,
    movie.movie,
    map_view.movies,
    feedback.feedback,
)


def page(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    datasets = store.datasets.list()
    if not datasets:
        onboarding.first_data()
        return
    records = [r for r in store.versions.summaries(choice.FACTS) if not r.is_missing]
    if not records:
        widgets.heading(
            "Recommend",
            "Nothing recommends yet",
            "Once a version is trained, this page shows what it recommends to whom, and why.",
        )
        strip.live()
        onboarding.no_version()
        return
    head = st.container(gap="medium")
    strip.live()
    sides = choice.choose(records)

    def say(title: str, lead: str) -> None:
        with head:
            widgets.heading(sides.kicker, title, lead)

    views = st.tabs(VIEWS, key="view", bind="query-params")
    for view, draw in zip(views, DRAWERS, strict=True):
        if view.open:
            with view, shell.errors_in_words():
                draw(sides, say)


shell.setup("Recommend")
with shell.errors_in_words(), st.container(gap="medium"):
    page(cache.store())
