"""`movierec setup`: what a first start needs and does not find."""

from __future__ import annotations

from movierec.cli.output import console, progress_bar
from movierec.settings import Settings, load_settings
from movierec.store import open_store

__all__ = ["setup"]


def setup() -> None:
    """Get MovieLens 100K and train a first version, where there is none yet.

    Does nothing, and quickly, when both are there.
    """
    settings = load_settings()
    has_data, has_version = _present(settings)
    if not has_data:
        _fetch(settings)
    if not has_version:
        _train(settings)


def _present(settings: Settings) -> tuple[bool, bool]:
    from movierec.registry import Registry

    with open_store(settings) as store:
        store.runs.mark_interrupted()
        registry = Registry(settings, store)
        registry.reconcile()
        return bool(store.datasets.list()), bool(registry.list())


def _fetch(settings: Settings) -> None:
    from movierec.workflows.data import fetch_and_import

    with progress_bar("Fetching MovieLens 100K") as tell:
        outcome = fetch_and_import(settings, on_progress=tell)
    record = outcome.record
    line = f"{record.n_ratings:,} ratings imported from {record.source}."
    console().print(line, markup=False, soft_wrap=True)


def _train(settings: Settings) -> None:
    from movierec.cli.summary import headline
    from movierec.cli.train import train_here

    console().print("Training a first version (preset default); this happens once.")
    record = train_here(settings, {})
    console().print(headline(record), markup=False, soft_wrap=True)
