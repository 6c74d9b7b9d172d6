"""Numbers, times and foreign text as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

__all__ = [
    "NOT_MEASURED",
    "ago",
    "day",
    "decimal",
    "duration",
    "hits",
    "integer",
    "literal",
    "percent",
    "plotly_text",
    "signed",
    "size",
    "spoken",
]

NOT_MEASURED = "–"
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_WORDS = re.compile(r"\w+")
_WORD_JOINER = "\u2060"


def literal(text: str) -> str:
    """Return Markdown that shows the text as it is.

    Every ASCII punctuation mark is escaped. The word joiner after a colon keeps Streamlit from
    reading `:smile:` or `:material/…:`, which it looks for after the escapes are gone.
    """
    escaped = _PUNCTUATION.sub(r"\\\1", " ".join(text.split()))
    return escaped.replace("\\:", "\\:" + _WORD_JOINER)


def spoken(text: str) -> str:
    """Return the words of a text alone, for labels that are read out and never drawn."""
    return " ".join(_WORDS.findall(text)) or "it"


def plotly_text(text: str) -> str:
    """Return text that Plotly shows as it is: no tags, no formulas."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("$", "&#36;")


def integer(number: float | None) -> str:
    """Return 100000 as "100,000"."""
    return NOT_MEASURED if _missing(number) else f"{number:,.0f}"


def decimal(number: float | None, digits: int = 3) -> str:
    """Return 0.91449 as "0.914"; a dash for what was not measured."""
    return NOT_MEASURED if _missing(number) else _minus(f"{number:,.{digits}f}")


def signed(number: float | None, digits: int = 3) -> str:
    """Return -0.0461 as "−0.046"; the sign is always there."""
    return NOT_MEASURED if _missing(number) else _minus(f"{number:+,.{digits}f}")


def percent(share: float | None, digits: int = 1) -> str:
    """Return 0.063 as "6.3 %"."""
    return NOT_MEASURED if _missing(share) else f"{100 * (share or 0):.{digits}f}\u00a0%"


def duration(seconds: float | None) -> str:
    """Return 0.84 as "0.8 s", 192 as "3 min 12 s", 3840 as "1 h 04 min".

    A negative one, which a clock that was set back leaves, is no time at all.
    """
    if seconds is None or not math.isfinite(seconds):
        return NOT_MEASURED
    seconds = max(0.0, seconds)
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago a moment was, "5 min ago"; the date once it is over a month."""
    if moment is None:
        return NOT_MEASURED
    seconds = ((now or datetime.now(UTC)) - _utc(moment)).total_seconds()
    if seconds < 60:
        return "just now"
    for limit, unit, name in ((3600, 60, "min"), (86_400, 3600, "h"), (2_592_000, 86_400, "d")):
        if seconds < limit:
            return f"{seconds // unit:.0f} {name} ago"
    return day(moment)


def day(moment: datetime | None) -> str:
    """Return "23 Nov 2026", in UTC."""
    if moment is None:
        return NOT_MEASURED
    moment = _utc(moment)
    return f"{moment.day} {moment:%b %Y}"


def hits(stars: Sequence[float], of: int, highest: float) -> str:
    """Return how many movies of a list were rated in the held-out part, and how many well.

    `stars`: what those were given; well is from 80 % of the scale's highest level on.
    """
    found, good = f"{len(stars)} of {of} were rated later", 0.8 * highest
    liked = sum(each >= good for each in stars)
    return f"{found}, {liked} of them with {good:g}★ or more" if stars else found


def size(n_bytes: float) -> str:
    """Return 312000 as "312 kB"."""
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.1f} GB"


def _missing(number: float | None) -> bool:
    return number is None or not math.isfinite(number)


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
