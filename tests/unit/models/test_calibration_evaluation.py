"""Measuring probabilities: by hand, against plain loops, and inside a whole evaluation."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec.data.dataset import Interactions, RatingScale
from movierec.data.splits import SplitSpec, make_split
from movierec.errors import EvaluationError
from movierec.evaluation import calibration, evaluate
from movierec.evaluation.calibration import calibration_error, measure_calibration
from movierec.models.factors import FactorModel
from movierec.models.protocol import PredictsDistribution
from tests.support.eval_oracle import TableModel, random_model

STARS = RatingScale(1.0, 5.0, 1.0)
THREE = RatingScale(1.0, 3.0, 1.0)


class Told(TableModel):
    """A recommender whose distributions are looked up, (n_users, n_movies, L)."""

    has_distribution = True

    def __init__(self, probabilities):
        super().__init__(np.zeros(probabilities.shape[:2]))
        self.probabilities = np.asarray(probabilities, np.float32)

    def rating_distribution(self, user, movie):
        return self.probabilities[user, movie]


def rated(stars) -> Interactions:
    """User i rated movie 0 with stars[i]."""
    place = np.arange(len(stars))
    return Interactions(place, place * 0, np.asarray(stars, np.float32))


def random_case(n: int = 400, scale: RatingScale = STARS, seed: int = 0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(len(scale.levels), 0.7), n)[:, None, :]
    return Told(probabilities), rated(rng.choice(scale.levels, n))


def naive(probabilities, stars, levels) -> dict[str, float]:
    """Every number a second time, one rating and one threshold at a time."""
    errors = {}
    for k, threshold in enumerate(levels[:-1]):
        bins: dict[int, list[tuple[float, float]]] = {}
        for row, rating in zip(probabilities, stars, strict=True):
            above = sum(float(c) for c in row[k + 1 :])
            place = min(int(above * 10), 9)
            bins.setdefault(place, []).append((above, float(rating > threshold)))
        gaps = [abs(sum(p for p, _ in b) - sum(y for _, y in b)) for b in bins.values()]
        errors[f"{threshold:g}"] = sum(gaps) / len(stars)
    inside = claimed = width = loss = 0.0
    for row, rating in zip(probabilities.astype(float), stars, strict=True):
        low = next(i for i in range(len(row)) if row[: i + 1].sum() >= 0.1)
        high = next(i for i in range(len(row)) if row[: i + 1].sum() >= 0.9)
        inside += levels[low] <= rating <= levels[high]
        claimed += row[low : high + 1].sum()
        width += levels[high] - levels[low]
        loss -= math.log(row[list(levels).index(rating)])
    n = len(stars)
    parts = {"nll": loss, "coverage_80": inside, "claimed_80": claimed, "width_80": width}
    ece = sum(errors.values()) / len(errors)
    return {"ece": ece, "per": errors} | {name: value / n for name, value in parts.items()}


def test_the_error_by_hand():
    # bin 0.2-0.3: said 0.25 on average, happened 1 of 2; bin 0.9-1: said 0.95, happened both
    assert calibration_error([0.2, 0.3 - 1e-9, 0.9, 1.0], [0, 1, 1, 1]) == pytest.approx(
        2 / 4 * abs(0.25 - 0.5) + 2 / 4 * abs(0.95 - 1)
    )
    assert calibration_error([0.5, 0.5], [1, 0]) == 0
    assert calibration_error([1.0], [0]) == 1
    assert math.isnan(calibration_error([], []))


def test_a_distribution_by_hand():
    model = Told(np.array([[[0.05, 0.75, 0.2]], [[0.0, 0.05, 0.95]]]))
    found = measure_calibration(model, THREE, rated([2, 1])).numbers
    assert found["ece_per_threshold"] == pytest.approx(
        {"1": (0.95 + 1.0 - 1) / 2, "2": (0.2 + 0.95) / 2}
    )
    assert found["ece"] == pytest.approx((0.475 + 0.575) / 2)
    impossible = np.finfo(np.float32).eps
    assert found["nll"] == pytest.approx(-(math.log(0.75) + math.log(impossible)) / 2)
    assert found["coverage_80"] == 0.5  # 2-3 holds the 2, 3-3 does not hold the 1
    assert found["claimed_80"] == pytest.approx(0.95)
    assert found["width_80"] == 0.5
    assert found["n"] == 2


@pytest.mark.parametrize("scale", [STARS, RatingScale(0.5, 5.0, 0.5)], ids=["stars", "halves"])
@pytest.mark.parametrize("seed", range(3))
def test_everything_equals_plain_loops(scale, seed):
    model, ratings = random_case(scale=scale, seed=seed)
    found = measure_calibration(model, scale, ratings).numbers
    expected = naive(model.probabilities[:, 0], ratings.rating, scale.levels)
    assert found["ece_per_threshold"] == pytest.approx(expected.pop("per"), abs=1e-6)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


def test_the_reliability_table_holds_what_the_error_is_made_of():
    model, ratings = random_case()
    found = measure_calibration(model, STARS, ratings)
    table = found.reliability
    assert table.groupby("threshold")["count"].sum().eq(400).all()
    gap = (table["predicted"] - table["observed"]).abs() * table["count"] / 400
    per_threshold = gap.groupby(table["threshold"]).sum()
    assert [f"{stars:g}" for stars in per_threshold.index] == ["1", "2", "3", "4"]
    assert list(per_threshold) == pytest.approx(list(found.numbers["ece_per_threshold"].values()))
    inside = table["predicted"].between(table["bin"] / 10, (table["bin"] + 1) / 10)
    assert inside.all()


@settings(deadline=None)
@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    seed=st.integers(0, 99),
)
def test_the_error_is_a_share_and_knows_no_order(pairs, seed):
    said, came = (np.array(side, float) for side in zip(*pairs, strict=True))
    found = calibration_error(said, came)
    assert 0 <= found <= 1
    order = np.random.default_rng(seed).permutation(len(pairs))
    assert calibration_error(said[order], came[order]) == pytest.approx(found, abs=1e-12)
    assert found >= abs(said.mean() - came.mean()) - 1e-9


def test_probabilities_that_ratings_were_drawn_from_have_a_small_error():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), 20_000)
    drawn = (rng.random((20_000, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1) + 1
    honest = measure_calibration(Told(probabilities[:, None]), STARS, rated(drawn)).numbers
    sure = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    boasting = measure_calibration(Told(sure[:, None]), STARS, rated(drawn)).numbers
    assert honest["ece"] < 0.01
    assert honest["coverage_80"] == pytest.approx(honest["claimed_80"], abs=0.01)
    assert boasting["ece"] > 0.1
    assert boasting["coverage_80"] < boasting["claimed_80"] - 0.1
    assert boasting["nll"] > honest["nll"]


def test_the_size_of_the_blocks_changes_nothing(monkeypatch):
    model, ratings = random_case()
    whole = measure_calibration(model, STARS, ratings)
    monkeypatch.setattr(calibration, "CELLS_AT_ONCE", 35)
    blocks = measure_calibration(model, STARS, ratings)
    np.testing.assert_allclose(blocks.reliability, whole.reliability, atol=1e-9)
    assert blocks.numbers["ece"] == pytest.approx(whole.numbers["ece"])
    assert blocks.numbers["n"] == 400


def test_a_fine_scale_is_asked_at_twenty_thresholds():
    scale = RatingScale(0.0, 10.0, 0.01)
    model, ratings = random_case(50, scale)
    found = measure_calibration(model, scale, ratings)
    names = list(found.numbers["ece_per_threshold"])
    assert len(names) == 20
    assert (names[0], names[-1]) == ("0", "9.99")


def test_a_model_without_probabilities_is_not_measured(planted):
    split = make_split(planted, SplitSpec())
    plain = FactorModel(
        40, 30, STARS, rating_user=np.zeros((40, 0)), rating_movie=np.zeros((30, 0)), offset=3.0
    )
    assert isinstance(plain, PredictsDistribution)
    for model in (random_model(planted), plain):
        found = evaluate(model, planted, split)
        assert found.calibration["n"] == 0
        assert np.isnan([found.calibration[name] for name in ("ece", "nll", "coverage_80")]).all()
        assert found.reliability.empty
        stored = json.loads(json.dumps(found.as_dict(), allow_nan=False))
        assert stored["calibration"]["ece"] is None


def test_an_evaluation_carries_the_calibration_of_its_test_part(planted):
    split = make_split(planted, SplitSpec())
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), (40, 30))
    found = evaluate(Told(probabilities), planted, split)
    test = planted.ratings.take(split.test)
    expected = naive(probabilities[test.user, test.movie], test.rating, STARS.levels)
    assert found.calibration["ece"] == pytest.approx(expected["ece"], abs=1e-6)
    assert found.calibration["n"] == len(split.test)
    stored = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert stored["calibration"]["nll"] == found.calibration["nll"]
    assert "calibration" not in found.metrics()
    (first, *_), rows = found.reliability_rows(), found.reliability
    assert set(first) == {"threshold", "bin", "predicted", "observed", "count"}
    json.dumps(found.reliability_rows(), allow_nan=False)
    assert len(found.reliability_rows()) == len(rows)


def test_distributions_of_the_wrong_shape_are_refused():
    model, ratings = random_case()
    with pytest.raises(EvaluationError, match=r"returned shape \(400, 5\)"):
        measure_calibration(model, THREE, rated(ratings.rating.clip(1, 3)))
