"""Compare: which version is better, by how much, for whom, and how surely."""

from __future__ import annotations

import streamlit as st

from movierec.store import Store
from movierec.ui.compare import choice as compare_choice
from movierec.ui.compare import data, export, groups, lists, overview
from movierec.ui.components import cache, onboarding, shell
from movierec.ui.components.feedback import thumbs
from movierec.ui.components.runs import strip

VIEWS = ("Overview", "Groups", "Stars", "Lists", "Online")


def page(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    if not store.datasets.list():
        onboarding.first_data()
        return
    records = store.versions.summaries(compare_choice.FACTS)
    if len(records) < 2:
        compare_choice.empty(records)
        return
    head = st.container(gap="medium")
    choice = compare_choice.choose(records)
    strip.live()
    if choice is None:
        return
    side = data.compared([store.versions.get(n) for n in choice.versions], choice.baseline)
    with choice.corner:
        export.downloads(side)
    with head:
        overview.head(side.found)
    overview.verdicts(side)
    views = st.tabs(VIEWS, key="view", bind="query-params")
    drawers = (
        overview.overview,
        groups.groups,
        groups.stars,
        lists.lists,
        thumbs.beside,
    )
    for view, draw in zip(views, drawers, strict=True):
        if view.open:
            with view:
                draw(side)


shell.setup("Compare")
with shell.errors_in_words(), st.container(gap="medium"):
    page(cache.store())
