"""The same numbers everywhere: page, command line, report, table and `metadata.json`."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from movierec.comparison.metrics import BY_KEY, METRICS, values_of
from movierec.comparison.sentences import delta_text, interval_text, value_text
from movierec.metadata import VersionMetadata
from movierec.settings import Settings
from tests.support.pages import opened_page, shown
from tests.support.project import movierec

NAMES = ("v1.0.0", "v1.2.0", "v1.3.0")
BASELINE = "v1.0.0"


@dataclass(frozen=True)
class Told:
    """One comparison, as each place tells it."""

    facts: dict[str, Any]
    plain: str
    rows: list[dict[str, str]]
    report: str
    page: str


@pytest.fixture
def told(trained: Settings) -> Told:
    home = trained.home
    asked = ("compare", *NAMES, "--baseline", BASELINE)
    files = "--csv", home / "table.csv", "--html", home / "report.html"
    said = movierec(trained, *asked, *files, "--json")
    assert said.code == 0, said.err
    with (home / "table.csv").open(encoding="utf-8") as table:
        rows = [*csv.DictReader(table)]
    return Told(
        facts=said.facts,
        plain=movierec(trained, *asked, width=120).out,
        rows=rows,
        report=(home / "report.html").read_text("utf-8"),
        page=shown(opened_page("pages/Compare.py", versions=[*NAMES], baseline=BASELINE)),
    )


def stored(home: Path, name: str) -> dict[str, float]:
    """A version's metrics as they are in its own file."""
    facts = json.loads((home / "models" / name / "metadata.json").read_text("utf-8"))
    return values_of(VersionMetadata.of(facts).evaluation)


def tables_of(html: str) -> str:
    """The two tables of metrics, the same text wherever they are drawn."""
    found = re.findall(r'<table class="mr-table mr-dense"><caption>(?:Acc|Bes).*?</table>', html)
    assert len(found) == 2
    return "".join(found)


def cells_of(html: str, name: str) -> list[str]:
    rows = re.findall(rf"<tr[^>]*><th[^>]*>(?:<i[^>]*></i>)?{name}(.*?)</tr>", html)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", "".join(rows))
    return [unescape(re.sub(r"<[^>]+>", " ", cell)) for cell in cells]


def test_the_page_and_the_report_draw_the_very_same_table(told: Told) -> None:
    assert tables_of(told.page) == tables_of(told.report)


def test_every_value_is_that_of_metadata_json(told: Told, trained: Settings) -> None:
    by_row = {(row["version"], row["metric"]): row for row in told.rows}
    drawn = [m for m in METRICS if any(not math.isnan(stored(trained.home, n)[m.key])
                                       for n in NAMES)]  # fmt: skip
    for name in NAMES:
        values, cells = stored(trained.home, name), cells_of(tables_of(told.report), name)
        assert len(cells) == len(drawn)
        for metric, cell in zip(drawn, cells, strict=True):
            key, value = metric.key, values[metric.key]
            given = told.facts["values"][name][key]
            assert given == (None if math.isnan(value) else value)  # every digit of it
            assert by_row[name, key]["value"] == ("" if math.isnan(value) else str(value))
            assert cell.replace("★", "").split()[0] == value_text(key, value)
            assert value_text(key, value) in told.plain


def test_every_change_and_interval_is_told_alike(told: Told) -> None:
    report, page = unescape(told.report), unescape(told.page)
    by_row = {(row["version"], row["metric"]): row for row in told.rows}
    compared = 0
    for name, pair in told.facts["pairs"].items():
        assert pair["sentence"] in report
        assert pair["sentence"] in page
        assert pair["sentence"] in " ".join(told.plain.split())
        for tested in pair["differences"]:
            key, row = tested["metric"], by_row[name, tested["metric"]]
            assert [float(row[end]) for end in ("delta", "low", "high")] == [
                tested["delta"], tested["low"], tested["high"],
            ]  # fmt: skip
            assert (row["verdict"], float(row["p_holm"])) == (tested["verdict"], tested["p_holm"])
            change = delta_text(key, tested["delta"])
            interval = interval_text(key, tested["low"], tested["high"])
            hint = f"{BY_KEY[key].label} {change}, 95 % interval {interval}: {tested['verdict']}"
            assert hint in report
            assert hint in page
            assert f"{change} {interval} {tested['verdict']}" in " ".join(told.plain.split())
            compared += 1
    assert compared >= 8


def test_groups_are_told_alike(told: Told) -> None:
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", told.report)))
    groups = [diff for diffs in told.facts["slices"].values() for diff in diffs
              if diff["difference"]["delta"] is not None]  # fmt: skip
    assert len(groups) > 10
    for diff in groups:
        key, found = diff["metric"], diff["difference"]
        low, high = (math.nan if found[end] is None else found[end] for end in ("low", "high"))
        row = [
            f"{diff['users']:,}", f"{diff['ratings']:,}", value_text(key, found["a"]),
            value_text(key, found["b"]), delta_text(key, found["delta"]),
            interval_text(key, low, high),
        ]  # fmt: skip
        assert " ".join(row) in text
