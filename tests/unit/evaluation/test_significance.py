"""The paired bootstrap against hand-made cases and SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from movierec.errors import EvaluationError
from movierec.evaluation.significance import compare_users, holm

METRIC = "full_ndcg_at_10"


def frame(values, *, n_test=None, squared=None):
    n = len(values)
    sizes = np.full(n, 4) if n_test is None else np.asarray(n_test)
    return pd.DataFrame(
        {
            "user_id": [f"u{i:04}" for i in range(n)],
            "n_test": sizes,
            "sq_error_sum": np.ones(n) if squared is None else squared,
            "abs_error_sum": np.ones(n),
            METRIC: values,
        }
    )


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    a, noise = rng.beta(2, 5, 200), rng.normal(0, 0.08, 200)
    return a, a + noise - noise.mean() + 0.012


def test_interval_equals_scipy(pair):
    a, b = pair
    (found,) = compare_users(frame(a), frame(b), [METRIC], resamples=20_000)
    theirs = stats.bootstrap(
        (b - a,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.delta == pytest.approx((b - a).mean())
    assert (found.low, found.high) == pytest.approx(tuple(theirs), abs=4e-4)


def test_p_value_is_near_the_paired_t_test(pair):
    a, b = pair
    (found,) = compare_users(frame(a), frame(b), [METRIC], resamples=20_000)
    assert found.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.015)
    assert 0.01 < found.p_value < 0.05, "the case must be clear, but not too clear"


def test_rmse_interval_equals_scipy():
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 40, 150)
    a, b = (rng.gamma(sizes, scale) for scale in (0.9, 0.85))

    def delta(a, b, sizes, axis=-1):
        total = sizes.sum(axis=axis)
        return np.sqrt(b.sum(axis=axis) / total) - np.sqrt(a.sum(axis=axis) / total)

    theirs = stats.bootstrap(
        (a, b, sizes), delta, paired=True, n_resamples=20_000, method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    frames = (frame(np.zeros(150), n_test=sizes, squared=values) for values in (a, b))
    (found,) = compare_users(*frames, ["rmse"], resamples=20_000)
    assert found.delta == pytest.approx(delta(a, b, sizes))
    assert (found.low, found.high) == pytest.approx(tuple(theirs), abs=2e-3)


def test_verdicts_know_which_way_is_better():
    flat = np.full(50, 0.3)
    better = frame(flat + np.linspace(0.05, 0.1, 50), squared=np.full(50, 0.8))
    metrics = ["rmse", "mae", METRIC]
    found = compare_users(frame(flat), better, metrics)
    assert [d.verdict for d in found] == ["better", "can't tell", "better"]
    back = compare_users(better, frame(flat), metrics)
    assert [d.verdict for d in back] == ["worse", "can't tell", "worse"]
    assert [d.delta for d in back] == [-d.delta for d in found]


def test_a_model_is_not_better_than_itself(pair):
    a, _ = pair
    (found,) = compare_users(frame(a), frame(a), [METRIC])
    assert (found.delta, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert found.verdict == "can't tell"


def test_sums_in_another_order_are_no_difference():
    """As of one model that was measured with more threads: every user a hair above."""
    squared = np.linspace(1.0, 2.0, 50)
    (found,) = compare_users(
        frame(np.zeros(50), squared=squared),
        frame(np.zeros(50), squared=squared + np.geomspace(1e-15, 4e-15, 50)),
        ["rmse"],
    )
    assert found.delta > 0
    assert (found.p_value, found.verdict) == (1.0, "can't tell")


def test_of_a_few_users_the_interval_is_that_of_the_paired_t_test():
    a, b = np.array([0.1, 0.3, 0.2, 0.5]), np.array([0.2, 0.35, 0.4, 0.52])
    (found,) = compare_users(frame(a), frame(b), [METRIC], resamples=20_000)
    theirs = stats.ttest_rel(b, a).confidence_interval()
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.05)


def test_noise_is_called_better_or_worse_about_one_time_in_twenty():
    rng = np.random.default_rng(5)
    called = 0
    for _ in range(200):
        a, b = rng.normal(size=(2, 60))
        (found,) = compare_users(frame(a), frame(b), [METRIC], resamples=400)
        called += found.verdict != "can't tell"
    assert 2 <= called <= 24


def test_users_who_lack_the_metric_in_either_are_left_out():
    a = frame([0.1, 0.2, np.nan, 0.4])
    b = frame([0.2, np.nan, 0.3, 0.5])
    (found,) = compare_users(a, b, [METRIC])
    assert found.users == 2
    assert (found.a, found.b) == pytest.approx((0.25, 0.35))


def test_what_was_not_measured_cannot_be_compared():
    nothing = frame(np.full(5, np.nan))
    (found,) = compare_users(nothing, frame(np.ones(5)), [METRIC])
    assert np.isnan([found.delta, found.low, found.p_value, found.p_holm]).all()
    assert (found.users, found.verdict) == (0, "can't tell")


def test_the_order_of_the_rows_does_not_matter(pair):
    a, b = (frame(values) for values in pair)
    assert compare_users(a, b, [METRIC]) == compare_users(a[::-1], b.sample(frac=1), [METRIC])


def test_the_seed_settles_the_draws(pair):
    a, b = (frame(values) for values in pair)
    assert compare_users(a, b, [METRIC], seed=1) == compare_users(a, b, [METRIC], seed=1)
    assert compare_users(a, b, [METRIC], seed=1) != compare_users(a, b, [METRIC], seed=2)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    corrected = holm([np.nan, 0.01, 0.02])
    assert np.isnan(corrected[0])
    assert corrected[1:] == pytest.approx([0.02, 0.02])
    assert holm([]).size == 0


def test_the_verdict_is_the_corrected_one(pair):
    metrics = [f"full_{i}" for i in range(30)]
    frames = [frame(v).assign(**dict.fromkeys(metrics, v)) for v in pair]
    (alone,) = compare_users(*frames, [METRIC])
    together = compare_users(*frames, metrics)
    assert alone.verdict == "better"
    assert {d.verdict for d in together} == {"can't tell"}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (frame([0.1, 0.2]), "different test users"),
        (frame([0.1, 0.2, 0.3], n_test=[4, 4, 5]), "different test ratings"),
    ],
)
def test_other_test_parts_are_not_compared(other, message):
    with pytest.raises(EvaluationError, match=message):
        compare_users(frame([0.1, 0.2, 0.3]), other, [METRIC])


def test_an_unknown_metric_is_named():
    with pytest.raises(EvaluationError, match=r"'full_magic'.*rmse, mae, full_ndcg_at_10"):
        compare_users(frame([0.1, 0.2]), frame([0.1, 0.2]), ["full_magic"])


def test_too_few_resamples_are_refused():
    with pytest.raises(EvaluationError, match="too few"):
        compare_users(frame([0.1]), frame([0.1]), [METRIC], resamples=10)
