"""The Versions page's other views: how `current` moved, the trash, an archive to import."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from movierec.registry import Registry
from movierec.ui.components import cache, shell, widgets
from movierec.ui.components.flash import leave
from movierec.ui.components.tables import Cell, Column, html_table
from movierec.ui.components.text import ago, day, literal, size

__all__ = ["history", "importing", "trash"]


def history(registry: Registry) -> None:
    """Draw who moved `current` when and why, and offer to take the last move back."""
    moves = registry.promotion.history()
    if not moves:
        widgets.mute("`current` has not moved since histories are kept.")
        return
    target = registry.promotion.previous()
    if target is not None and st.button(
        f"Roll back to {target}", key="rollback", icon=":material/undo:", type="primary",
        help="Makes the version that was current before current again.",
    ):  # fmt: skip
        with shell.errors_in_words():
            leave(f"{registry.promotion.rollback().name} is current again.")
    columns = [Column("When"), Column("Current"), Column("Before"), Column("How"), Column("By"),
               Column("Reason")]  # fmt: skip
    rows: list[list[Cell | str]] = [
        [
            Cell(ago(move.at), note=f"{move.at:%Y-%m-%d %H:%M} UTC"), move.version or "none",
            move.previous or "none", move.how, move.who or "not recorded", move.reason,
        ]
        for move in moves
    ]  # fmt: skip
    widgets.html(html_table("How current moved, newest first", columns, rows))


def trash(registry: Registry) -> None:
    """Draw the deleted versions that can still be brought back."""
    kept = registry.trash()
    days = cache.settings().trash_days
    if not kept:
        widgets.mute(
            f"The trash is empty. A deleted version stays here for {days:g} days, unless it is "
            "deleted for good at once."
        )
        return
    total = size(sum(record.size_bytes for record in kept))
    if st.button(f"Empty the trash and free {total}", key="empty-trash",
                 icon=":material/delete_forever:"):  # fmt: skip
        with shell.errors_in_words():
            registry.empty_trash()
            leave(f"The trash is empty; {total} are free.")
    for record in kept:
        with st.container(horizontal=True, vertical_alignment="center",
                          key=f"trashed-{record.name}"):  # fmt: skip
            until = (
                f", deleted permanently on {day(record.trashed_until)}"
                if record.trashed_until
                else ""
            )
            widgets.mute(
                f"{record.name} · {record.preset} on {record.dataset_name} · "
                f"{size(record.size_bytes)}, deleted {ago(record.trashed_at)}{until}"
            )
            if st.button(f"Restore {record.name}", key=f"restore-{record.name}",
                         icon=":material/restore_from_trash:"):  # fmt: skip
                with shell.errors_in_words():
                    registry.restore(record.name)
                    leave(f"{record.name} is back.")


def importing(registry: Registry) -> None:
    """Draw the form that takes a version in from an archive."""
    widgets.mute(
        "An archive is a version exported elsewhere, by the button on a version or by "
        "`movierec versions export`. It is checked before anything is kept: names, sizes, "
        "checksums, and that nothing in it is code."
    )
    given = st.file_uploader("Archive (.zip)", type="zip", key="archive")
    if given is None:
        return
    if st.button(literal(f"Import {given.name}"), key="import-archive", type="primary",
                 icon=":material/upload_file:"):  # fmt: skip
        with shell.errors_in_words(), tempfile.TemporaryDirectory() as folder:
            from movierec.registry.archive.pack import import_archive

            path = Path(folder) / _safe(given.name)
            path.write_bytes(given.getbuffer())
            record = import_archive(registry, path)
            leave(f"{record.name} is imported from {given.name}.", version=record.name)


def _safe(name: str) -> str:
    """Return a name that a browser gave as one that leads nowhere else."""
    plain = "".join(c for c in Path(name).name if c.isprintable())[-100:]
    return plain if plain.strip(".") else "given.zip"
