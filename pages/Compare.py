"""Compare: which version is better, by how much, for whom, and how surely."""

from __future__ import annotations

from functools import partial

import streamlit as st

from movierec.store import Store
from movierec.ui.compare import choice, data, groups, lists, overview
from movierec.ui.compare.data import Compared
from movierec.ui.components import cache, feedback, onboarding, shell
from movierec.ui.components.runs import watching

DRAWERS = {
    "Overview": overview.overview,
    "Groups": groups.groups,
    "Stars": groups.stars,
    "Lists": lists.lists,
}


def page(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    if not store.datasets.list():
        onboarding.first_data()
        return
    records = store.versions.summaries(choice.FACTS)
    if len(records) < 2:
        choice.empty(records)
        return
    head = st.container(gap="medium")
    chosen = choice.choose(records)
    watching.live_panel()
    if chosen is None:
        return
    compared = data.compare_versions(
        [store.versions.get(n) for n in chosen.versions], chosen.baseline
    )
    with chosen.corner:
        overview.downloads(compared)
    with head:
        overview.head(compared.found)
    overview.verdicts(compared)
    drawers = {**DRAWERS, "Online": online}
    shell.views({name: partial(draw, compared) for name, draw in drawers.items()})


def online(compared: Compared) -> None:
    """Draw the feedback on the lists of the versions compared."""
    feedback.view(
        [*compared.records], compared.dataset, key="compare", baseline=compared.found.baseline
    )


shell.setup("Compare")
with shell.errors_in_words(), st.container(gap="medium"):
    page(cache.store())
