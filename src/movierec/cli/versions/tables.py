"""What the commands of `movierec versions` share: arguments, the open registry, tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.output import table
from movierec.registry import Registry
from movierec.settings import load_settings
from movierec.store import PromotionRecord, Store, VersionRecord, open_store

__all__ = [
    "Name",
    "Yes",
    "history_table",
    "mib",
    "moment",
    "opened",
    "trash_table",
]

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


def mib(size: int) -> str:
    """Return bytes as MiB."""
    return f"{size / 2**20:.1f} MiB"


def moment(time: datetime | None) -> str:
    """Return a time to the minute, in UTC."""
    return "–" if time is None else time.strftime("%Y-%m-%d %H:%M")


def trash_table(records: Sequence[VersionRecord], held: int) -> RenderableType:
    """Draw what can be restored, until when."""
    if not records:
        return "The trash is empty."
    drawn = table("Trash", "Version", "Model", "Data set", "Size", "Deleted", "Gone for good",
                  right=("Size",))  # fmt: skip
    for record in records:
        drawn.add_row(
            record.name, record.preset, Text(record.dataset_name), mib(record.size_bytes),
            moment(record.trashed_at), moment(record.trashed_until),
        )  # fmt: skip
    return Group(drawn, f"It holds {mib(held)}. Free them: movierec versions empty-trash")


def history_table(moves: Sequence[PromotionRecord]) -> RenderableType:
    """Draw how `current` moved, the newest move first."""
    if not moves:
        return "current has not moved since its history is kept."
    drawn = table("How current moved", "When", "Current", "Before", "How", "Who", "Reason")
    for move in moves:
        texts = (move.version or "none", move.previous or "none", move.how, move.who, move.reason)
        drawn.add_row(moment(move.at), *map(Text, texts))
    return drawn
