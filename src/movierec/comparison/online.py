"""What people say of the lists: the share of thumbs that are up, by version and over time.

A user who gives twenty thumbs says much of one taste and little of others', so thumbs are no
independent draws. What the share varies by when one user at a time is left out (the jackknife)
says how many independent thumbs would tell as much; Wilson's score interval is taken of that
number, with Student's t of users - 1 degrees of freedom. Two shares differ by Newcombe's hybrid
of their intervals (Statistics in Medicine 17, 1998, method 10). How often these hold what they
should is measured in docs/LOG.md.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

import numpy as np
from scipy.special import stdtrit

from movierec.comparison.online_results import Gap, Online, Period, Rate, Span
from movierec.data.dataset import IntArray
from movierec.evaluation.significance import LEVEL, Verdict
from movierec.store.records import FeedbackRecord, ServedRecord

__all__ = ["measure_online", "newcombe", "share_of", "wilson"]

DAYS, WEEKS = 31, 26  # the most that are drawn one by one
Ends: TypeAlias = tuple[float, float]
# thumbs given and liked, by user of a data set
Tally: TypeAlias = dict[tuple[str, str], list[int]]


def measure_online(
    thumbs: Sequence[FeedbackRecord],
    served: Sequence[ServedRecord],
    versions: Sequence[str] | None = None,
    baseline: str | None = None,
) -> Online:
    """Return each version's share of thumbs up, against the baseline and over time.

    Without `versions` they are all that served a list or got a thumb. `baseline` is the first of
    the versions unless it is given; one that is not among them is left out.
    """
    names = _ordered(_seen(thumbs, served) if versions is None else versions, baseline)
    kept = [thumb for thumb in thumbs if thumb.version in names]
    lists = _lists(served)
    tallies: dict[str, Tally] = {name: {} for name in names}
    for thumb in kept:
        _count(tallies[thumb.version], thumb)
    rates = {name: _rate(name, tallies[name], lists[name]) for name in names}
    span = _span([thumb.at for thumb in kept])
    return Online(
        rates,
        {name: gap(rates[names[0]], rates[name]) for name in names[1:]},
        {name: _periods(name, kept, served, span) for name in names},
        span,
    )


def gap(baseline: Rate, version: Rate) -> Gap:
    """Return a version's share minus the baseline's."""
    low, high = newcombe(
        (baseline.share, baseline.low, baseline.high), (version.share, version.low, version.high)
    )
    verdict: Verdict = "better" if low > 0 else "worse" if high < 0 else "can't tell"
    return Gap(baseline, version, version.share - baseline.share, low, high, verdict)


def share_of(given: IntArray, liked: IntArray) -> tuple[float, float, float]:
    """Return the share liked with its 95 % interval; NaN where nothing was given.

    Shapes: given, liked: (n_users,) thumbs of each user, at least one given.
    """
    if not len(given):
        return math.nan, math.nan, math.nan
    share = float(liked.sum() / given.sum())
    quantile = float(stdtrit(max(1, len(given) - 1), 1 - LEVEL / 2))
    return share, *wilson(share, _independent(given, liked, share), quantile)


def wilson(share: float, size: float, quantile: float) -> Ends:
    """Return Wilson's score interval of a share of `size` draws."""
    grown = quantile**2 / size
    centre = (share + grown / 2) / (1 + grown)
    reach = math.sqrt(grown * share * (1 - share) + grown**2 / 4) / (1 + grown)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def newcombe(a: tuple[float, float, float], b: tuple[float, float, float]) -> Ends:
    """Return the interval of B's share minus A's, each given with the ends of its own."""
    delta = b[0] - a[0]
    return (
        delta - math.hypot(b[0] - b[1], a[2] - a[0]),
        delta + math.hypot(b[2] - b[0], a[0] - a[1]),
    )


def _independent(given: IntArray, liked: IntArray, share: float) -> float:
    """Return how many independent thumbs tell as much as these, from 1 to all of them.

    Where all thumbs are alike nothing tells how alike a user's own are, so a user counts as one
    thumb, or less where a few gave most of them (Kish's number).
    """
    users, total = len(given), int(given.sum())
    if users == 1 or share in (0.0, 1.0):
        return float(total**2 / (given**2).sum())
    without = (liked.sum() - liked) / (total - given)
    variance = float((users - 1) / users * ((without - share) ** 2).sum())
    alone = share * (1 - share)
    return float(total) if variance * total <= alone else max(1.0, alone / variance)


def _rate(name: str, tally: Tally, lists: int) -> Rate:
    pairs = np.array([*tally.values()], np.int64).reshape(-1, 2)
    given, liked = pairs[:, 0], pairs[:, 1]
    share, low, high = share_of(given, liked)
    return Rate(name, lists, int(given.sum()), int(liked.sum()), len(pairs), share, low, high)


def _count(tally: Tally, thumb: FeedbackRecord) -> None:
    pair = tally.setdefault((thumb.fingerprint, thumb.user_id), [0, 0])
    pair[0] += 1
    pair[1] += thumb.is_liked


def _periods(
    name: str, thumbs: Iterable[FeedbackRecord], served: Iterable[ServedRecord], span: Span
) -> tuple[Period, ...]:
    tallies: dict[date, Tally] = defaultdict(dict)
    for thumb in thumbs:
        if thumb.version == name:
            _count(tallies[_start(_day(thumb.at), span)], thumb)
    lists: dict[date, int] = defaultdict(int)
    for each in served:
        if each.version == name:
            lists[_start(each.day, span)] += each.lists
    return tuple(
        Period(start, _rate(name, tallies[start], lists[start])) for start in sorted(tallies)
    )


def _span(times: Sequence[datetime]) -> Span:
    """Return the shortest steps of which there are not too many."""
    days = [_day(time) for time in times]
    covered = (max(days) - min(days)).days if days else 0
    return "day" if covered < DAYS else "week" if covered < 7 * WEEKS else "month"


def _start(day: date, span: Span) -> date:
    if span == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if span == "week" else day


def _day(time: datetime) -> date:
    return time.astimezone(UTC).date()


def _lists(served: Iterable[ServedRecord]) -> Mapping[str, int]:
    found: dict[str, int] = defaultdict(int)
    for each in served:
        found[each.version] += each.lists
    return found


def _seen(thumbs: Iterable[FeedbackRecord], served: Iterable[ServedRecord]) -> list[str]:
    return sorted({*(t.version for t in thumbs), *(s.version for s in served)}, key=_by_number)


def _by_number(name: str) -> tuple[list[int], str]:
    return [int(part) for part in name.lstrip("v").split(".") if part.isdigit()], name


def _ordered(names: Sequence[str], baseline: str | None) -> list[str]:
    """Return the names once each, the baseline first."""
    first = [baseline] if baseline in names and baseline is not None else []
    return list(dict.fromkeys([*first, *names]))
