"""What the thumbs on served lists come to: plain frozen facts, and the sentences about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from movierec.evaluation.significance import Verdict

__all__ = ["Gap", "Online", "Period", "Rate", "Span", "points_text", "share_text"]

Span = Literal["day", "week", "month"]
_NAMED = 3  # versions in a sentence
_SAID: Mapping[Verdict, str] = {
    "better": "is liked more than",
    "worse": "is liked less than",
    "can't tell": "can't be told apart from",
}


@dataclass(frozen=True)
class Rate:
    """The thumbs that a version's lists got: the share of them that is up, 0 to 1.

    `low` and `high` are the ends of its 95 % interval; all three are NaN without a thumb.
    """

    version: str
    lists: int
    thumbs: int
    liked: int
    users: int
    share: float
    low: float
    high: float

    @property
    def per_list(self) -> float:
        """Thumbs given for each list served; NaN where no list was counted."""
        return self.thumbs / self.lists if self.lists else math.nan

    def __str__(self) -> str:
        if not self.thumbs:
            return f"{self.version} has no thumb yet"
        return f"{share_text(self.share)} of {self.version}'s {_thumbs(self)} {_are(self)} up"


@dataclass(frozen=True)
class Period:
    """A day, a week from its Monday or a month from its first, in UTC, and its thumbs."""

    start: date
    rate: Rate


@dataclass(frozen=True)
class Gap:
    """A version's share minus the baseline's, with its 95 % interval, in shares."""

    baseline: Rate
    version: Rate
    delta: float
    low: float
    high: float
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """What can be said, without a full stop."""
        a, b = self.version, self.baseline
        missing = [rate.version for rate in (a, b) if not rate.thumbs]
        if missing:
            return f"{a.version} can't be compared with {b.version}: no thumb for " + " or ".join(
                missing
            )
        interval = f"{points_text(self.low)} to {points_text(self.high)}"
        return (
            f"{a.version} {_SAID[self.verdict]} {b.version}: {share_text(a.share)} of {_thumbs(a)} "
            f"{_are(a)} up against {share_text(b.share)} of {_thumbs(b)} "
            f"({points_text(self.delta)} points, 95 % interval {interval})"
        )


@dataclass(frozen=True)
class Online:
    """Versions by what people said of their lists; the baseline is the first.

    `gaps` holds every other version against the baseline, `periods` each version's shares over
    time, in steps of one `span`, without those in which nobody gave it a thumb.
    """

    rates: Mapping[str, Rate]
    gaps: Mapping[str, Gap]
    periods: Mapping[str, tuple[Period, ...]]
    span: Span

    @property
    def thumbs(self) -> int:
        """The thumbs of all versions."""
        return sum(rate.thumbs for rate in self.rates.values())

    @property
    def headline(self) -> str:
        """What they come to, in one sentence without a full stop."""
        given = [rate for rate in self.rates.values() if rate.thumbs]
        if not given:
            named = " or ".join(self.rates) if len(self.rates) <= _NAMED else "these versions"
            return f"Nobody has given {named} a thumb yet" if named else "There is no thumb yet"
        if len(given) == 1:
            (only,) = given
            return f"{only} (95 % interval {_interval(only)})"
        if len(self.gaps) == 1:
            return next(iter(self.gaps.values())).sentence
        best = max(given, key=lambda rate: rate.share)
        return f"{best}, the largest share of {len(given)} versions"


def share_text(share: float) -> str:
    """Return 0.617 as "62 %"; a dash for what was not measured."""
    return f"{100 * share:.0f} %" if math.isfinite(share) else "–"


def points_text(delta: float) -> str:
    """Return a difference of shares in percentage points, "+7"."""
    if not math.isfinite(delta):
        return "–"
    text = f"{100 * delta:+.0f}"
    return text.replace("-", "−") if float(text) else "0"


def _thumbs(rate: Rate) -> str:
    users = "1 user" if rate.users == 1 else f"{rate.users:,} users"
    return f"{rate.thumbs:,} thumb{'s' * (rate.thumbs != 1)} by {users}"


def _are(rate: Rate) -> str:
    return "is" if rate.thumbs == 1 else "are"


def _interval(rate: Rate) -> str:
    return f"{100 * rate.low:.0f} to {share_text(rate.high)}"
