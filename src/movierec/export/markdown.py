"""Markdown from facts: text that stays text, tables, and blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["code_block", "code_span", "markdown_table", "plain_text"]

# What starts an element anywhere in a line. A colon before a word makes links and, in Streamlit,
# pictures; an underscore does something only at a word's end, an @ only at its beginning.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>|~$&]|(?<!\w)_|_(?!\w)|:(?=\S)|(?<!\w)@)")


def plain_text(text: object) -> str:
    """Return Markdown that shows the text as it is, on one line.

    It is meant to stand behind other text: a mark that starts a list is not escaped.
    """
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: int = 1) -> str:
    """Return a table of cells that are Markdown; columns from `right` on hold numbers."""
    marks = ["---" if place < right else "---:" for place in range(len(head))]
    lines = [head, marks, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code_block(code: str, language: str) -> str:
    """Return code in a fence that nothing in it can end."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


def code_span(code: object) -> str:
    """Return code within a line; a vertical bar would end a table's cell."""
    text = " ".join(str(code).split())
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    inner = f" {text} " if longest or not text else text
    return f"{fence}{inner}{fence}".replace("|", "\\|")
