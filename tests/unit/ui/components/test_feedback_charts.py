"""The figure of thumbs: what it draws of each version, and what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from movierec.comparison.online import measure_online
from movierec.comparison.online_results import Online
from movierec.store import FeedbackRecord
from movierec.ui.components.feedback import liked_over_time
from movierec.ui.components.theme import version_style

NAMES = ("v1.0.0", "v1.1.0", "v1.2.0")
STYLES = {name: version_style(name, NAMES) for name in NAMES}
START = datetime(2026, 11, 2, 12, tzinfo=UTC)


def thumbs(version: str, day: int, up: int, of: int) -> list[FeedbackRecord]:
    at = START + timedelta(days=day)
    return [
        FeedbackRecord(0, at, version, "f", f"{version}-{n}", "1", n < up, None, "api")
        for n in range(of)
    ]


def found(*given: list[FeedbackRecord], versions=NAMES[:2]) -> Online:
    return measure_online([thumb for some in given for thumb in some], [], versions)


def test_each_version_has_its_style_shares_and_intervals() -> None:
    online = found(thumbs("v1.0.0", 0, 3, 4), thumbs("v1.0.0", 2, 1, 4), thumbs("v1.1.0", 0, 2, 2))
    first, second = liked_over_time(online, STYLES).data
    assert (first.name, list(first.y), second.name, list(second.y)) == (
        "v1.0.0", [75, 25], "v1.1.0", [100],
    )  # fmt: skip
    style = STYLES["v1.0.0"]
    assert (first.line.color, first.line.dash, first.marker.symbol) == (
        style.colour, style.dash, style.symbol,
    )  # fmt: skip
    for trace in (first, second):
        rates = [period.rate for period in online.periods[trace.name]]
        high = [y + up for y, up in zip(trace.y, trace.error_y.array, strict=True)]
        low = [y - down for y, down in zip(trace.y, trace.error_y.arrayminus, strict=True)]
        assert high == pytest.approx([100 * rate.high for rate in rates])
        assert low == pytest.approx([100 * rate.low for rate in rates])
    assert first.x[0] < second.x[0]  # beside each other, on the same day
    assert second.x[0] - first.x[0] < timedelta(hours=12)


def test_its_title_and_text_say_what_is_drawn() -> None:
    online = found(thumbs("v1.0.0", 0, 1, 4), thumbs("v1.1.0", 3, 3, 4))
    figure = liked_over_time(online, STYLES)
    title = str(figure.layout.title.text)
    assert title == "Over 2 days 75 % of v1.1.0's thumbs are up, 25 % of v1.0.0's"
    alt = str(figure.layout.meta["alt"])
    assert "v1.0.0: 2 Nov 2026 25 % of 4; v1.1.0: 5 Nov 2026 75 % of 4" in alt
    assert list(figure.layout.xaxis.ticktext) == ["2 Nov 2026", "5 Nov 2026"]
    assert figure.layout.xaxis.title.text == "day (UTC)"
    assert figure.layout.yaxis.title.text == "thumbs up (%)"


@pytest.mark.parametrize(
    ("day", "span", "named"), [(60, "week", "week from 28 Dec 2026"), (300, "month", "August 2027")]
)
def test_longer_times_are_drawn_in_longer_steps(day: int, span: str, named: str) -> None:
    online = found(thumbs("v1.0.0", 0, 1, 4), thumbs("v1.0.0", day, 2, 4), versions=["v1.0.0"])
    figure = liked_over_time(online, STYLES)
    assert f"Over 2 {span}s" in str(figure.layout.title.text)
    assert named in figure.data[0].text[1]


def test_a_version_without_thumbs_is_not_drawn() -> None:
    figure = liked_over_time(found(thumbs("v1.0.0", 0, 1, 1)), STYLES)
    assert [trace.name for trace in figure.data] == ["v1.0.0"]
    assert str(figure.layout.title.text) == "In one day 100 % of v1.0.0's thumbs are up"
    nothing = liked_over_time(found(), STYLES)
    assert not nothing.data
    assert "No thumb" in str(nothing.layout.title.text)
