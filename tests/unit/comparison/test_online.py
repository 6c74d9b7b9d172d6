"""Thumbs by version: numbers by hand, intervals that hold, what is said of them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import binomtest

from movierec.comparison.online import measure_online, newcombe, share_of, wilson
from movierec.comparison.online_results import points_text
from movierec.store import FeedbackRecord, ServedRecord

START = datetime(2026, 11, 2, 12, tzinfo=UTC)  # a Monday


def thumb(version="v1.0.0", user="1", *, up=True, day=0, fingerprint="f", movie="1"):
    at = START + timedelta(days=day)
    return FeedbackRecord(0, at, version, fingerprint, user, movie, up, None, "api")


def many(version: str, users: int, up: int, *, of: int = 1, first: int = 0):
    """Thumbs of users who give `of` each, of which the first `up` users' are up."""
    return [
        thumb(version, str(first + user), up=user < up) for user in range(users) for _ in range(of)
    ]


@pytest.mark.parametrize(("liked", "of"), [(0, 5), (3, 7), (50, 80), (9, 9)])
def test_the_score_interval_is_wilsons(liked, of):
    expected = binomtest(liked, of).proportion_ci(0.95, method="wilson")
    assert wilson(liked / of, of, 1.959963985) == pytest.approx((expected.low, expected.high))


def test_two_shares_differ_by_newcombes_hybrid():
    # table II (a) of Newcombe 1998: 56/70 against 48/80, method 10
    a, b = ((k / n, *wilson(k / n, n, 1.959963985)) for k, n in ((48, 80), (56, 70)))
    assert newcombe(a, b) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_a_users_thumbs_count_as_what_they_tell_of_others():
    alone = share_of(np.ones(40, int), np.repeat([1, 0], 20))
    alike = share_of(np.full(40, 10), np.repeat([10, 0], 20))
    assert alike == pytest.approx(alone)  # ten thumbs of one mind are one
    up = share_of(np.full(20, 10), np.full(20, 10))
    assert up == pytest.approx(share_of(np.ones(20, int), np.ones(20, int)))
    mixed = share_of(np.full(40, 10), np.full(40, 5))
    assert mixed[2] - mixed[1] < 0.4 * (alone[2] - alone[1])


@pytest.mark.parametrize(
    ("given", "liked"), [([3], [3]), ([3], [1]), ([5, 5], [5, 5]), ([9, 1], [9, 1])]
)
def test_few_users_are_no_evidence(given, liked):
    share, low, high = share_of(np.array(given), np.array(liked))
    assert low <= share <= high
    assert high - low > 0.5


def test_the_intervals_hold_the_truth_as_often_as_they_should():
    """Users of different tastes and different zeal; thumbs taken one by one would miss it."""
    rng = np.random.default_rng(7)
    truth, held, naive, apart = 0.7, 0, 0, 0
    rounds = 600
    for _ in range(rounds):
        (share, low, high), other = (share_of(*crowd(rng, truth)) for _ in range(2))
        held += low <= truth <= high
        total = 30 * 6
        narrow = wilson(share, total, 1.96)
        naive += narrow[0] <= truth <= narrow[1]
        ends = newcombe((share, low, high), other)
        apart += ends[0] <= 0 <= ends[1]
    assert held / rounds > 0.92
    assert apart / rounds > 0.92
    assert naive / rounds < 0.85


def crowd(rng, truth, users=30):
    given = rng.geometric(1 / 6, users)
    tastes = rng.beta(2.5 * truth, 2.5 * (1 - truth), users)
    return given, rng.binomial(given, tastes)


def test_rates_are_counted_by_hand():
    thumbs = [
        thumb("v1.0.0", "1"), thumb("v1.0.0", "1", up=False), thumb("v1.0.0", "2"),
        thumb("v1.0.0", "2", fingerprint="other"), thumb("v1.1.0", "1", up=False),
    ]  # fmt: skip
    served = [
        ServedRecord(START.date(), "v1.0.0", "api", 7),
        ServedRecord(START.date(), "v1.0.0", "page", 1),
        ServedRecord(START.date(), "v1.10.0", "api", 5),
    ]
    found = measure_online(thumbs, served)
    assert [*found.rates] == ["v1.0.0", "v1.1.0", "v1.10.0"]
    rate = found.rates["v1.0.0"]
    assert (rate.lists, rate.thumbs, rate.liked, rate.users) == (8, 4, 3, 3)
    assert (rate.share, rate.per_list) == (0.75, 0.5)
    empty = found.rates["v1.10.0"]
    assert (empty.lists, empty.thumbs) == (5, 0)
    assert math.isnan(empty.share)
    assert math.isnan(found.rates["v1.1.0"].per_list)
    assert found.thumbs == 5


def test_the_baseline_comes_first_and_others_are_left_out():
    thumbs = many("v1.0.0", 40, 10) + many("v1.1.0", 40, 30, first=40) + many("v1.2.0", 3, 1)
    found = measure_online(thumbs, [], ["v1.0.0", "v1.1.0"], "v1.1.0")
    assert [*found.rates] == ["v1.1.0", "v1.0.0"]
    gap = found.gaps["v1.0.0"]
    assert gap.delta == pytest.approx(-0.5)
    assert gap.low < gap.delta < gap.high < 0
    assert gap.verdict == "worse"
    assert found.headline.startswith(
        "v1.0.0 is liked less than v1.1.0: 25 % of 40 thumbs by 40 users are up against 75 % of 40"
    )
    assert "(−50 points, 95 % interval −" in found.headline


def test_what_cannot_be_told_is_not_told():
    found = measure_online(many("v1.0.0", 40, 20) + many("v1.1.0", 40, 23, first=40), [])
    assert found.gaps["v1.1.0"].verdict == "can't tell"
    assert "v1.1.0 can't be told apart from v1.0.0" in found.headline
    nothing = measure_online([], [], ["v1.0.0", "v1.1.0"])
    assert nothing.headline == "Nobody has given v1.0.0 or v1.1.0 a thumb yet"
    assert nothing.gaps["v1.1.0"].verdict == "can't tell"
    assert "no thumb for v1.1.0 or v1.0.0" in nothing.gaps["v1.1.0"].sentence
    assert measure_online([], []).rates == {}
    assert measure_online([], []).headline == "There is no thumb yet"


def test_of_several_versions_the_best_is_named():
    thumbs = many("v1.0.0", 40, 10) + many("v1.1.0", 40, 30) + many("v1.2.0", 40, 20)
    assert measure_online(thumbs, [], ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"]).headline == (
        "75 % of v1.1.0's 40 thumbs by 40 users are up, the largest share of 3 versions"
    )


def test_one_version_alone_has_its_interval():
    found = measure_online(many("v1.0.0", 50, 30), [])
    assert found.headline == (
        "60 % of v1.0.0's 50 thumbs by 50 users are up (95 % interval 46 to 73 %)"
    )
    assert "1 thumb by 1 user is up" in measure_online([thumb()], []).headline


@pytest.mark.parametrize(
    ("days", "span", "starts"),
    [
        ((0, 0, 30), "day", [(11, 2), (12, 2)]),
        ((0, 6, 31), "week", [(11, 2), (11, 30)]),
        ((0, 20, 200), "month", [(11, 1), (5, 1)]),
    ],
)
def test_shares_over_time_go_by_days_weeks_or_months(days, span, starts):
    found = measure_online([thumb(day=day, user=str(day)) for day in days], [])
    assert found.span == span
    periods = found.periods["v1.0.0"]
    assert [(p.start.month, p.start.day) for p in periods] == starts
    assert [p.rate.thumbs for p in periods] == [2, 1]


def test_lists_are_counted_in_their_period():
    served = [ServedRecord(date(2026, 11, 2 + day), "v1.0.0", "api", 10) for day in (0, 0, 1)]
    found = measure_online([thumb(), thumb(day=1, user="2")], served)
    assert [p.rate.lists for p in found.periods["v1.0.0"]] == [20, 10]


def test_points_have_a_sign_unless_they_are_none():
    assert [points_text(x) for x in (0.071, -0.071, 0.001, -0.001, math.nan)] == [
        "+7", "−7", "0", "0", "–",
    ]  # fmt: skip
