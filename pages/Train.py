"""Train: start runs with chosen hyperparameters, watch them learn, look back, search."""

from __future__ import annotations

from functools import partial

import streamlit as st

from movierec.store import Store
from movierec.ui.components import cache, onboarding, shell, widgets
from movierec.ui.components.runs import watching
from movierec.ui.sweeps import view as sweeps
from movierec.ui.train import history, new_run


def page(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    datasets = store.datasets.list()
    if not datasets:
        onboarding.first_data()
        return
    active = watching.active()
    widgets.heading("Train", watching.headline(active), watching.lead(active))
    watching.watch(active)
    shell.views(
        {
            "New run": partial(new_run.view, datasets),
            "Runs": partial(history.view, new_run.fill_in),
            "Sweeps": sweeps.view,
        }
    )
    watching.finish(active)


shell.setup("Train")
with shell.errors_in_words(), st.container(gap="medium"):
    page(cache.store())
