"""The report of a comparison: whole, safe, and with the numbers of the comparison."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest

from movierec.comparison.metrics import METRICS
from movierec.comparison.results import Comparison, SettingDiff
from movierec.comparison.sentences import delta_text, interval_text, value_text
from movierec.errors import SettingsError
from movierec.metadata import VersionMetadata
from movierec.ui.compare.facts import LEGEND, command, headline, metrics_table
from movierec.ui.compare.report import report_html, write_report
from tests.support.comparisons import (
    NAMES,
    OBSTACLE,
    STYLES,
    apart,
    comparison,
    records,
    slice_diff,
)

HOSTILE = "</script><script>document.title='hit'</script><b>$x$</b>"
ERRORS = {
    "v1.0.0": pd.DataFrame({"level": [1.0], "rmse": [1.5], "bias": [1.2], "ratings": [9]}),
}
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def body_of(html: str) -> str:
    """The page without styles, scripts and the data of figures."""
    return re.sub(r"<(script|style)[^>]*>.*?</\1>", "", html, flags=re.DOTALL)


def text_of(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body_of(html))))


def data_of(html: str) -> list[str]:
    return re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)


def figures_of(html: str) -> list[dict]:
    return [json.loads(data) for data in data_of(html)]


@pytest.fixture(scope="module")
def html() -> str:
    made = datetime(2026, 11, 25, tzinfo=UTC)
    return report_html(comparison(), records(), ERRORS, made_at=made)


def test_every_number_of_the_comparison_is_in_the_report(html) -> None:
    found, text = comparison(), text_of(html)
    assert metrics_table(found, STYLES) in html  # the very table of the page
    for name in NAMES:
        for metric in METRICS:
            assert value_text(metric.key, found.values[name][metric.key]) in text
    for pair in found.pairs.values():
        assert f"{pair.sentence}." in text
        for tested in pair.differences:
            interval = interval_text(tested.metric, tested.low, tested.high)
            assert f"{delta_text(tested.metric, tested.delta)}, 95 % interval {interval}" in html
    for diff in found.slices["v1.1.0"]:
        tested = diff.difference
        values = f"{value_text('rmse', tested.a)} {value_text('rmse', tested.b)}"
        change = delta_text("rmse", tested.delta)
        assert f"{values} {change} {interval_text('rmse', tested.low, tested.high)}" in text


def test_its_parts_are_there(html) -> None:
    text = text_of(html)
    assert headline(comparison()) in text
    assert "25 Nov 2026" in text
    for title in (
        "Every metric", "How they were trained", "What differs in them", "Accuracy against cost",
        "For whom", "Predicted and true stars", "Beside accuracy", "How it was measured",
        "How to repeat it",
    ):  # fmt: skip
        assert f'<h2 class="mr-section">{title}</h2>' in html
    assert text_of(LEGEND) in text
    assert "movierec compare v1.0.0 v1.1.0 v1.2.0 --baseline v1.0.0 --html report.html" in text
    assert "hidden_dim hyperparameters 64 128 –" in text
    assert "v1.1.0 40.0 s 2,000 – 20 kB" in text
    assert "held-out ratings of 4 stars or more" in text


def test_figures_have_titles_texts_and_data(html) -> None:
    drawn = figures_of(html)
    assert len(drawn) == html.count("<figcaption") > 8
    assert all(figure["data"] for figure in drawn)
    assert all("<" not in data for data in data_of(html))  # "</script" would end it
    assert all("template" not in figure["layout"] for figure in drawn)
    alts = re.findall(r'role="img" aria-label="([^"]+)" data-figure', html)
    assert len(alts) == len(drawn)
    assert any("has the best validation RMSE" in unescape(alt) for alt in alts)
    titles = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", html)
    assert any(title == "RMSE in 2 groups: worse in 1, better in 1" for title in titles)


def test_nothing_is_asked_of_a_network_and_only_its_own_scripts_may_run(html) -> None:
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", html)
    assert "@import" not in html.split("</style>")[0]
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1])
    assert "default-src 'none'" in policy
    scripts = SCRIPT.findall(html)
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert len(scripts) == 2
    assert "'unsafe-inline'" not in policy.split("style-src")[0]


def hostile() -> Comparison:
    found = comparison()
    return replace(
        found,
        measured_on=HOSTILE,
        pairs={
            name: replace(pair, sentence=HOSTILE, caveats=(HOSTILE,))
            for name, pair in apart(found, "v1.2.0").pairs.items()
        },
        slices={"v1.1.0": (slice_diff(HOSTILE, 0.05, kind=HOSTILE),)},
        groups=(replace(found.groups[0], label=HOSTILE),),
        settings=(SettingDiff("training", HOSTILE, {"v1.0.0": HOSTILE}),),
    )


def test_text_of_data_is_text_everywhere() -> None:
    html = report_html(hostile(), records())
    assert len(SCRIPT.findall(html)) == 2
    body = body_of(html)
    assert "<script" not in body
    assert "<b>$x$" not in body
    assert body.count("&lt;/script&gt;") > 5
    # in the data of figures too, where Plotly would take it for markup
    assert "<b>" not in json.dumps(figures_of(html))
    assert "$x$" not in json.dumps(figures_of(html))


def test_what_cannot_be_compared_says_why_and_has_no_change() -> None:
    html = report_html(apart(comparison(), "v1.1.0"), records())
    text = text_of(html)
    assert "Why v1.1.0 is not compared with v1.0.0" in text
    assert f"The split's seed {OBSTACLE.baseline} {OBSTACLE.version}" in text
    assert OBSTACLE.message in text
    assert "NDCG@10 full +0.030" not in html
    both = apart(apart(comparison(), "v1.1.0"), "v1.2.0")
    assert headline(both) == "None of these versions can be compared with the baseline"
    assert "Beside accuracy</h2>" not in report_html(both, records())


def test_a_comparison_of_next_to_nothing() -> None:
    found = comparison()
    bare = replace(
        found,
        values={name: {} for name in NAMES},
        floors={}, slices={}, groups=(), settings=(), costs=(),
        pairs={n: replace(p, differences=(), deltas={}) for n, p in found.pairs.items()},
    )  # fmt: skip
    plain = {
        name: replace(record, metadata=VersionMetadata()) for name, record in records().items()
    }
    html = report_html(bare, plain)
    assert figures_of(html) == []
    assert "No headline metric was measured" in text_of(html)
    assert "they have the same settings" in text_of(html)


def test_the_headline_of_one_pair_is_its_sentence() -> None:
    found = comparison()
    one = replace(found, pairs={"v1.1.0": found.pairs["v1.1.0"]})
    assert headline(one) == "v1.1.0 differs from v1.0.0"
    assert text_of(report_html(one, records())).count("v1.1.0 differs from v1.0.0") == 1
    best = value_text("rmse", found.values["v1.2.0"]["rmse"])
    assert headline(found).startswith(f"v1.2.0 has the best RMSE, {best}, and v1.1.0 has")
    gone = {**found.values, "v1.2.0": {**found.values["v1.2.0"], "rmse": math.nan}}
    assert headline(replace(found, values=gone)).startswith("v1.0.0 has the best RMSE")
    assert command(found).startswith("movierec compare v1.0.0 v1.1.0")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_report(tmp_path / "new" / "report.html", comparison(), records())
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    folder = tmp_path / "taken"
    folder.mkdir()
    with pytest.raises(SettingsError, match="taken cannot be written"):
        write_report(folder, comparison(), records())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "taken"]
    with pytest.raises(SettingsError, match="cannot be written"):
        write_report(path / "below-a-file.html", comparison(), records())


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: read.append(pipe.read_text("utf-8")), daemon=True)
    reader.start()
    write_report(pipe, comparison(), records())
    reader.join(timeout=30)
    assert read[0].endswith("</html>\n")
    assert pipe.is_fifo()
