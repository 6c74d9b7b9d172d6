from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from movierec.ui.components import text

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.84, "0.8 s"),
        (31.5, "31.5 s"),
        (59.97, "1 min 00 s"),
        (192, "3 min 12 s"),
        (3599.6, "1 h 00 min"),
        (3840, "1 h 04 min"),
        (-3600, "0.0 s"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("past", "shown"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=3, minutes=50), "3 h ago"),
        (timedelta(days=2), "2 d ago"),
        (timedelta(days=45), "15 Jan 2026"),
    ],
)
def test_times_are_told_as_distance(past: timedelta, shown: str) -> None:
    assert text.ago(NOW - past, NOW) == shown
    assert text.ago((NOW - past).replace(tzinfo=None), NOW) == shown


def test_what_was_not_measured_is_a_dash() -> None:
    assert {text.decimal(None), text.decimal(math.nan), text.integer(None), text.ago(None)} == {"–"}
    assert text.percent(math.nan) == "–"


def test_numbers_have_aligned_digits_and_units() -> None:
    assert text.decimal(0.91449) == "0.914"
    assert text.decimal(-0.5, 1) == "−0.5"
    assert text.integer(100_000) == "100,000"
    assert text.percent(0.0630) == "6.3\u00a0%"
    assert [text.size(n) for n in (12, 312_000, 4_560_000, 2_000_000_000)] == [
        "12 B", "312 kB", "4.56 MB", "2.0 GB",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "foreign", ["**x**", "$a$", "<b>", "[l](http://x)", "`c`", "# h", ":red[x]"]
)
def test_markdown_in_foreign_text_is_escaped(foreign: str) -> None:
    escaped = text.literal(foreign)
    plain = escaped.replace("\\", "").replace("\u2060", "")
    assert plain == foreign
    marks = [i for i, c in enumerate(escaped) if c in "*$<>[]()`#:"]
    assert all(escaped[i - 1] == "\\" for i in marks)


def test_line_breaks_cannot_start_a_block() -> None:
    assert text.literal("a\n\n# b") == "a \\# b"


def test_plotly_sees_neither_tags_nor_formulas() -> None:
    assert text.plotly_text("<b>$a$ & c") == "&lt;b&gt;&#36;a&#36; &amp; c"
