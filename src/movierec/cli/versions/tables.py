"""What the commands of `movierec versions` share: the open registry and two tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.output import mib, moment, table
from movierec.registry import Registry
from movierec.settings import load_settings
from movierec.store import PromotionRecord, Store, VersionRecord, open_store

__all__ = ["history_table", "opened", "trash_table"]


@contextmanager
def opened() -> Iterator[tuple[Registry, Store]]:
    """Open the registry after repairing what a killed process left."""
    settings = load_settings()
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.reconcile()
        yield registry, store


def trash_table(records: Sequence[VersionRecord], size: int) -> RenderableType:
    """Draw what can be restored, until when; `size` is the trash's in bytes."""
    if not records:
        return "The trash is empty."
    names = ("Version", "Model", "Data set", "Size", "Deleted", "Gone for good")
    rows = (
        (
            record.name, record.preset, Text(record.dataset_name), mib(record.size_bytes),
            moment(record.trashed_at), moment(record.trashed_until),
        )
        for record in records
    )  # fmt: skip
    drawn = table("Trash", *names, right=("Size",), rows=rows)
    return Group(drawn, f"It holds {mib(size)}. Free them: movierec versions empty-trash")


def history_table(moves: Sequence[PromotionRecord]) -> RenderableType:
    """Draw how `current` moved, the newest move first."""
    if not moves:
        return "current has not moved since its history is kept."
    names = ("When", "Current", "Before", "How", "Who", "Reason")
    texts = (
        (moment(move.at), move.version or "none", move.previous or "none", move.how, move.who,
         move.reason)
        for move in moves
    )  # fmt: skip
    return table("How current moved", *names, rows=(map(Text, row) for row in texts))
