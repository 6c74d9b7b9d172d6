"""What commands print: numbers, tables in any width, JSON, curves."""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from movierec.cli.output import number, progress_bar, table, to_json
from movierec.cli.runs import sparkline

COLUMNS = ("Movie", "RMSE", "NDCG@10 full", "Hit rate")


def drawn(width: int) -> str:
    rows = table("Test part of u1", *COLUMNS, right=COLUMNS[1:])
    rows.add_row(Text("Adventures of [Priscilla]"), "0.9123", "0.4567", "0.9876")
    stream = io.StringIO()
    Console(file=stream, width=width).print(rows)
    return stream.getvalue()


@pytest.mark.parametrize("width", [200, 80, 48, 40, 24, 20])
def test_no_width_cuts_or_splits_a_number(width):
    text = drawn(width)
    for value in ("0.9123", "0.4567", "0.9876"):
        assert value in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= max(width, len("Test part of u1"))


def test_a_narrow_terminal_gets_a_line_per_cell():
    lines = [line.split() for line in drawn(24).splitlines()]
    assert ["RMSE", "0.9123"] in lines


def test_a_table_tells_its_title_and_what_data_says_literally():
    text = drawn(80)
    assert text.startswith("Test part of u1")
    assert "[Priscilla]" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.91234, "0.9123"),
        (1234.5, "1,234.5000"),
        (12345, "12,345"),
        (8.25e27, "8.2500e+27"),
        (math.nan, "–"),
        (math.inf, "–"),
        (None, "–"),
        ("x", "–"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


@dataclass(frozen=True)
class Fact:
    at: datetime
    path: Path
    values: tuple[float, ...]


def test_json_has_no_nan_and_keeps_letters():
    fact = Fact(datetime(2026, 1, 2, tzinfo=UTC), Path("a/b"), (1.5, math.nan, math.inf))
    text = to_json({"fact": fact, 3: "Amélie"})
    assert "Amélie" in text
    assert json.loads(text) == {
        "fact": {"at": "2026-01-02T00:00:00+00:00", "path": "a/b", "values": [1.5, None, None]},
        "3": "Amélie",
    }


def test_a_file_never_sees_the_bar(capsys):
    with progress_bar("Training [x]") as tell:
        tell("epoch [1]", 0.5)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_curve_falls_from_the_highest_block_to_the_lowest():
    assert sparkline([3.0, 2.0, 1.0]) == "█▅▁"
    assert sparkline([1.0, math.nan, 1.0]) == "▁ ▁"
    assert sparkline([]) == ""
    assert len(sparkline([float(x) for x in range(500)])) == 60
