"""What people say of served lists: a part of the Compare page and of the Recommend page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from movierec.comparison.online import measure_online
from movierec.comparison.online_results import Gap, Online, Rate, points_text, share_text
from movierec.ui.compare.data import Compared
from movierec.ui.components import cache, widgets
from movierec.ui.components.feedback import charts, join
from movierec.ui.components.tables import Bar, Cell, Change, Column, Tone, html_table
from movierec.ui.components.text import NOT_MEASURED, integer
from movierec.ui.components.theme import VersionStyle, version_style

__all__ = ["beside", "online"]

LEGEND = (
    "A thumb counts for the version that recommended the movie, a user's last one on a movie "
    "alone. Intervals are 95 % and take a user's thumbs together, as they come from one taste; "
    "▲ more, ▼ less, = can't tell. Decide how long a test runs before it begins: whoever looks "
    "every day and stops at the first clear difference finds some where there is none."
)
_TONES: Mapping[str, Tone] = {"better": "good", "worse": "bad", "can't tell": "same"}
_MARKS: Mapping[str, str] = {"better": "▲", "worse": "▼", "can't tell": "="}


def beside(side: Compared) -> None:
    """Draw the Compare page's view of the versions that are compared."""
    online([*side.records], key="compare", baseline=side.found.baseline)
    if side.dataset is not None:
        join.join(side.dataset)


def online(versions: Sequence[str] | None, *, key: str, baseline: str | None = None) -> None:
    """Draw what people said of lists of some versions, or of all that served any.

    `key` begins the keys of what is drawn; the first version is the baseline unless one is given.
    """
    store = cache.store()
    found = measure_online(
        store.feedback.list(versions=versions), store.served.by_day(versions), versions, baseline
    )
    widgets.section(found.headline)
    if not found.thumbs:
        _lead_on(found)
        return
    ever = store.versions.names_ever()
    styles = {name: version_style(name, ever) for name in found.rates}
    if len(found.gaps) > 1:
        widgets.html(f'<ul class="mr-verdicts">{"".join(map(_verdict, found.gaps.values()))}</ul>')
    widgets.figure(charts.liked_over_time(found, styles), f"{key}-liked")
    widgets.html(_table(found, styles))
    widgets.mute(LEGEND)


def _lead_on(found: Online) -> None:
    served = sum(rate.lists for rate in found.rates.values())
    with st.container(border=True, key="no-thumbs"):
        widgets.html(
            '<p class="mr-step">Thumbs up and down say which lists people like</p>'
            f'<p class="mr-mute">{integer(served)} lists were served so far. A thumb is given '
            "below a recommendation, or over the API (POST /feedback). Each counts for the "
            "version that recommended the movie.</p>"
        )
        st.page_link(
            "pages/Recommend.py", label="Give thumbs on the Recommend page",
            icon=":material/thumbs_up_down:",
            query_params=[("version", name) for name in [*found.rates][:1]],
        )  # fmt: skip


def _verdict(gap: Gap) -> str:
    tone = _TONES[gap.verdict] if gap.version.thumbs and gap.baseline.thumbs else "none"
    mark = _MARKS[gap.verdict] if tone != "none" else "✕"
    return f'<li class="mr-{tone}"><b>{mark}</b><span>{escape(gap.sentence)}</span></li>'


def _table(found: Online, styles: Mapping[str, VersionStyle]) -> str:
    columns = [
        Column("Version"),
        Column("Lists", numeric=True, hint="Lists served, on the page and over the API"),
        Column("Thumbs", numeric=True, hint="Thumbs on movies that this version recommended"),
        Column("Per 100 lists", numeric=True, hint="Thumbs given for 100 lists served"),
        Column("Users", numeric=True, hint="Users who gave at least one thumb"),
        Column("Thumbs up", numeric=True, hint="Share of the thumbs that are up"),
        Column("95 % interval", numeric=True),
        Column("Change (points)", numeric=True, hint="Percentage points above the baseline"),
    ]
    rows = [_row(found, rate, styles[name].colour) for name, rate in found.rates.items()]
    return html_table("Thumbs by version", columns, rows, highlight=[0] * bool(found.gaps))


def _row(found: Online, rate: Rate, colour: str) -> list[Cell | str]:
    gap = found.gaps.get(rate.version)
    note = "baseline" if gap is None and found.gaps else ""
    per = NOT_MEASURED if math.isnan(rate.per_list) else f"{100 * rate.per_list:.1f}"
    between = f"{share_text(rate.low)} to {share_text(rate.high)}" if rate.thumbs else NOT_MEASURED
    return [
        Cell(rate.version, note=note, swatch=colour),
        integer(rate.lists),
        integer(rate.thumbs),
        per,
        integer(rate.users),
        Cell(share_text(rate.share), note=f"{rate.liked:,} up" if rate.thumbs else ""),
        between,
        Cell("", change=_change(found, gap)) if gap is not None else "",
    ]


def _change(found: Online, gap: Gap) -> Change | None:
    if math.isnan(gap.delta):
        return None
    ends = [abs(end) for each in found.gaps.values() for end in (each.low, each.high)]
    scale = max((end for end in ends if math.isfinite(end)), default=0.0)
    bar = Bar(gap.delta, gap.low, gap.high, scale)
    return Change(points_text(gap.delta), _TONES[gap.verdict], bar, gap.sentence)
