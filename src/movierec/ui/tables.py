"""Small tables of numbers as HTML: aligned decimals, the best value marked, all text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Cell", "Column", "html_table"]


@dataclass(frozen=True)
class Column:
    """Head of a column. `hint` explains it on hover and to screen readers."""

    label: str
    numeric: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Cell:
    """One value. `best` draws it bold with a star; `note` follows in small letters."""

    text: str
    best: bool = False
    note: str = ""
    swatch: str = ""  # a colour from `theme`, never from data


def html_table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell | str]],
    *,
    highlight: Sequence[int] = (),
    divide_before: Sequence[int] = (),
) -> str:
    """Return a table as HTML.

    `caption` is for screen readers. The first cell of a row is its heading; the rows in
    `highlight` stand out, those in `divide_before` begin a new group.
    """
    head = "".join(_head(column) for column in columns)
    body = "".join(
        _row(columns, row, _classes(index, highlight, divide_before))
        for index, row in enumerate(rows)
    )
    return (
        f'<div class="mr-scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="mr-table"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _classes(index: int, highlight: Sequence[int], divide_before: Sequence[int]) -> str:
    names = {"mr-on": index in highlight, "mr-divide": index in divide_before}
    return " ".join(name for name, on in names.items() if on)


def _head(column: Column) -> str:
    numeric = ' class="mr-num"' if column.numeric else ""
    hint = f' title="{escape(column.hint)}"' if column.hint else ""
    return f'<th scope="col"{numeric}{hint}>{escape(column.label)}</th>'


def _row(columns: Sequence[Column], row: Sequence[Cell | str], classes: str) -> str:
    cells = [
        _cell(cell if isinstance(cell, Cell) else Cell(cell), column.numeric, first=index == 0)
        for index, (column, cell) in enumerate(zip(columns, row, strict=True))
    ]
    return f'<tr class="{classes}">{"".join(cells)}</tr>'


def _cell(cell: Cell, numeric: bool, *, first: bool) -> str:
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    classes = " ".join(c for c, on in (("mr-num", numeric), ("mr-best", cell.best)) if on)
    swatch = f'<i class="mr-swatch" style="background:{cell.swatch}"></i>' if cell.swatch else ""
    star = '<span class="mr-star" title="best">★</span>' if cell.best else ""
    note = f'<span class="mr-note">{escape(cell.note)}</span>' if cell.note else ""
    return f'<{tag}{scope} class="{classes}">{swatch}{star}{escape(cell.text)}{note}</{tag}>'
