"""Versions: what is kept, which one is in use, and everything that can be done with them."""

from __future__ import annotations

from functools import partial

import streamlit as st

from movierec.registry import Registry
from movierec.store import Store, VersionRecord
from movierec.ui.components import cache, onboarding, shell, widgets
from movierec.ui.components.runs import watching
from movierec.ui.versions import browse, history


def page(store: Store) -> None:
    """Draw the page for whatever state the database is in."""
    registry = Registry(cache.settings(), store)
    records = store.versions.summaries()
    if not records and not store.datasets.list():
        onboarding.first_data()
        return
    browse.head(records)
    watching.live_panel()
    shell.views(
        {
            "Kept": partial(kept, store, registry, records),
            "History of current": partial(history.history, registry),
            "Trash": partial(history.trash, registry),
            "Import": partial(history.importing, registry),
        }
    )


def kept(store: Store, registry: Registry, records: list[VersionRecord]) -> None:
    """Draw the versions and the one that is open."""
    if not records:
        onboarding.no_version()
        return
    found = browse.filtered(records)
    if found:
        browse.table(found)
    else:
        widgets.mute("No version fits. Take a word or a filter out.")
    record = store.versions.get(browse.choose(records, found))
    known = sorted({tag for each in records for tag in each.tags})
    browse.detail(registry, record, known)


shell.setup("Versions")
with shell.errors_in_words(), st.container(gap="medium"):
    page(cache.store())
