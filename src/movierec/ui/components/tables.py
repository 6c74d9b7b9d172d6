"""Small tables of numbers as HTML: aligned decimals, the best value marked, all text escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

__all__ = ["TONES", "Bar", "Cell", "Change", "Column", "html_table"]

Tone = Literal["good", "bad", "same"]
TONES: Mapping[str, Tone] = {"better": "good", "worse": "bad", "can't tell": "same"}
_SIGNS: dict[Tone, str] = {"good": "▲", "bad": "▼", "same": "="}


@dataclass(frozen=True)
class Column:
    """Head of a column. `hint` explains it on hover and to screen readers."""

    label: str
    numeric: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Bar:
    """An interval and the point in it, on an axis from −`scale` to +`scale`; right is better."""

    point: float
    low: float
    high: float
    scale: float


@dataclass(frozen=True)
class Change:
    """A change: a signed number, better or worse by sign and colour, and its interval.

    Without a tone nothing is said about it. `hint` says the whole to those who point at it or
    cannot see it.
    """

    text: str
    tone: Tone | None = None
    bar: Bar | None = None
    hint: str = ""


@dataclass(frozen=True)
class Cell:
    """One value. `best` draws it bold with a star; `note` follows in small letters."""

    text: str
    best: bool = False
    note: str = ""
    swatch: str = ""  # a colour from `theme`, never from data
    change: Change | None = None


def html_table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell | str]],
    *,
    highlight: Sequence[int] = (),
    divide_before: Sequence[int] = (),
    dense: bool = False,
    wrap: bool = False,
) -> str:
    """Return a table as HTML.

    `caption` is for screen readers. The first cell of a row is its heading; the rows in
    `highlight` stand out, those in `divide_before` begin a new group. A `dense` one has many
    columns: they stand closer, and their heads wrap. With `wrap` long headings of rows take several
    lines.
    """
    head = "".join(_head(column) for column in columns)
    body = "".join(
        _row(columns, row, _classes(index, highlight, divide_before))
        for index, row in enumerate(rows)
    )
    classes = "mr-table" + " mr-dense" * dense + " mr-wrap" * wrap
    return (
        f'<div class="mr-scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="{classes}"><caption>{escape(caption)}</caption>'
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
    change = _change(cell.change) if cell.change else ""
    text = escape(cell.text)
    return f'<{tag}{scope} class="{classes}">{swatch}{star}{text}{note}{change}</{tag}>'


def _change(change: Change) -> str:
    hint = escape(change.hint or change.text)
    bar = _bar(change.bar) if change.bar else ""
    sign = f"<b>{_SIGNS[change.tone]}</b> " if change.tone else ""
    return (
        f'<span class="mr-change mr-{change.tone or "same"}" role="img" aria-label="{hint}" '
        f'title="{hint}">{sign}{escape(change.text)}{bar}</span>'
    )


def _bar(bar: Bar) -> str:
    """Return the interval as a line with a dot; Streamlit lets no SVG through, so plain boxes."""
    low, point, high = (_percent(at, bar.scale) for at in (bar.low, bar.point, bar.high))
    return (
        f'<span class="mr-bar"><i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<u style="left:{point:.1f}%"></u></span>'
    )


def _percent(at: float, scale: float) -> float:
    """Return a place on the bar in per cent of its width, the ends where it lies beyond."""
    share = at / scale if scale > 0 and math.isfinite(at) else 0.0
    return 50 + 50 * max(-1.0, min(1.0, share))
