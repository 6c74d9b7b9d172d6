"""Compare: which version is better, by how much, for whom, and how surely."""

from __future__ import annotations

import streamlit as st

from movierec.store import Store
from movierec.ui import (
    cache,
    compare,
    compare_choice,
    compare_data,
    compare_export,
    compare_groups,
    compare_lists,
    online,
    runs,
    shell,
    start,
)

VIEWS = ("Overview", "Groups", "Stars", "Lists", "Online")


def page(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    if not store.datasets.list():
        start.first_data()
        return
    records = store.versions.summaries(compare_choice.FACTS)
    if len(records) < 2:
        compare_choice.empty(records)
        return
    head = st.container(gap="medium")
    choice = compare_choice.choose(records)
    runs.live()
    if choice is None:
        return
    side = compare_data.compared([store.versions.get(n) for n in choice.versions], choice.baseline)
    with choice.corner:
        compare_export.downloads(side)
    with head:
        compare.head(side.found)
    compare.verdicts(side)
    views = st.tabs(VIEWS, key="view", bind="query-params")
    drawers = (
        compare.overview,
        compare_groups.groups,
        compare_groups.stars,
        compare_lists.lists,
        online.beside,
    )
    for view, draw in zip(views, drawers, strict=True):
        if view.open:
            with view:
                draw(side)


shell.setup("Compare")
with shell.errors_in_words(), st.container(gap="medium"):
    page(cache.store())
