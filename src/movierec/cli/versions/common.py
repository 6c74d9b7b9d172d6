"""What the commands of `movierec versions` share: arguments, and the open registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from movierec.registry import Registry
from movierec.settings import load_settings
from movierec.store import Store, open_store

__all__ = ["Name", "Yes", "opened"]

Name = Annotated[str, typer.Argument(help="A version such as v1.2.0, or current.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@contextmanager
def opened() -> Iterator[tuple[Registry, Store]]:
    """Open the versions in force, with whatever a killed process left put right."""
    settings = load_settings()
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.reconcile()
        yield registry, store
