"""Train: start runs with chosen hyperparameters, watch them learn, look back, search."""

from __future__ import annotations

import streamlit as st

from movierec.store import Store
from movierec.ui.components import cache, onboarding, shell, widgets
from movierec.ui.components.runs import watching
from movierec.ui.sweeps import view
from movierec.ui.train import history, new_run

VIEWS = ("New run", "Runs", "Sweeps")


def train(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    datasets = store.datasets.list()
    if not datasets:
        onboarding.first_data()
        return
    active = watching.active()
    widgets.heading("Train", watching.headline(active), watching.lead(active))
    watching.watch(active)
    views = st.tabs(VIEWS, key="view", bind="query-params")
    with views[0]:
        if views[0].open:
            new_run.view(datasets)
    with views[1]:
        if views[1].open:
            history.view(new_run.fill_in)
    with views[2]:
        if views[2].open:
            view.view()
    watching.finish(active)


shell.setup("Train")
with shell.errors_in_words(), st.container(gap="medium"):
    train(cache.store())
