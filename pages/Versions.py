"""Versions: what is kept, which one is in use, and everything that can be done with them."""

from __future__ import annotations

import streamlit as st

from movierec.registry import Registry
from movierec.store import Store, VersionRecord
from movierec.ui.components import cache, onboarding, shell, widgets
from movierec.ui.components.runs import strip
from movierec.ui.versions import detail, history, list_view

VIEWS = ("Kept", "History of current", "Trash", "Import")


def page(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    registry = Registry(cache.settings(), store)
    records = store.versions.summaries()
    if not records and not store.datasets.list():
        onboarding.first_data()
        return
    list_view.head(records)
    strip.live()
    views = st.tabs(VIEWS, key="view", bind="query-params")
    with views[0]:
        if views[0].open:
            kept(store, registry, records)
    with views[1]:
        if views[1].open:
            history.history(registry)
    with views[2]:
        if views[2].open:
            history.trash(registry)
    with views[3]:
        if views[3].open:
            history.importing(registry)


def kept(store: Store, registry: Registry, records: list[VersionRecord]) -> None:
    """Draw the versions and the one that is open."""
    if not records:
        onboarding.no_version()
        return
    found = list_view.filtered(records)
    if found:
        list_view.table(found)
    else:
        widgets.mute("No version fits. Take a word or a filter out.")
    record = store.versions.get(list_view.choose(records, found))
    known = sorted({tag for each in records for tag in each.tags})
    detail.detail(registry, record, known)


shell.setup("Versions")
with shell.errors_in_words(), st.container(gap="medium"):
    page(cache.store())
