"""Versions for the terminal: the trash, how `current` moved, and what a gate found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from movierec.cli.output import table
from movierec.store import PromotionRecord, VersionRecord

__all__ = ["history_table", "mib", "moment", "trash_table"]


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
