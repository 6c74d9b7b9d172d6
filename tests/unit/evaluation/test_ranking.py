"""Ranking metrics against hand-made fractions, loops, scikit-learn and torch-geometric."""

from __future__ import annotations

import warnings
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import ndcg_score

from movierec.errors import EvaluationError
from movierec.evaluation.ranking import METRICS, place_within_users, ranking_at_k, tie_order
from tests.support.eval_oracle import naive_full

BOUNDED = settings(max_examples=60, deadline=None)


def csr(dense) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.asarray(dense, np.float32))


def measure(scores, seen, relevant, k):
    return ranking_at_k(np.asarray(scores, np.float32), csr(seen), csr(relevant), k)


def case(seed: int, n_users=25, n_movies=40, *, levels=None):
    """Scores, seen and relevant tables; no equal scores unless there are only a few levels."""
    rng = np.random.default_rng(seed)
    shape = n_users, n_movies
    steps = np.linspace(-2, 2, n_movies, dtype=np.float32)
    scores = rng.permuted(np.tile(steps, (n_users, 1)), axis=1)
    if levels:
        scores = rng.integers(-levels, levels, size=shape).astype(np.float32)
    seen = rng.random(shape) < 0.3
    relevant = (rng.random(shape) < 0.15) & ~seen
    return scores, seen, relevant


def test_fractions_by_hand():
    # the list is 4, 2, 0, 1; movie 3 is seen and 5 has the lowest score
    scores = [[0.5, 0.4, 0.8, 9.0, 1.0, -1.0]]
    seen = [[0, 0, 0, 1, 0, 0]]
    relevant = [[0, 1, 1, 0, 0, 1]]
    found = measure(scores, seen, relevant, 4).summary()
    ideal = 1 + 1 / log2(3) + 1 / log2(4)
    assert found == {
        "precision_at_4": 2 / 4,
        "recall_at_4": pytest.approx(2 / 3),
        "ndcg_at_4": pytest.approx((1 / log2(3) + 1 / log2(5)) / ideal),
        "hit_rate_at_4": 1.0,
        "map_at_4": pytest.approx((1 / 2 + 2 / 4) / 3),
        "mrr": 1 / 2,
        "users": 1,
    }


def test_reciprocal_rank_looks_beyond_the_list():
    found = measure([[6.0, 5.0, 4.0, 3.0, 2.0]], [[1, 0, 0, 0, 0]], [[0, 0, 0, 0, 1]], 2).summary()
    assert found["hit_rate_at_2"] == 0.0
    assert found["mrr"] == 1 / 4


def test_more_relevant_movies_than_places_can_still_be_perfect():
    found = measure([[5.0, 4.0, 3.0, 2.0]], [[0, 0, 0, 0]], [[1, 1, 1, 0]], 2).summary()
    assert (found["ndcg_at_2"], found["map_at_2"], found["recall_at_2"]) == (1.0, 1.0, 2 / 3)


def test_users_without_a_relevant_movie_are_not_counted():
    found = measure(np.ones((3, 2)), np.zeros((3, 2)), [[0, 0], [1, 1], [0, 0]], 2)
    assert found.summary()["users"] == 1
    assert found.summary()["recall_at_2"] == 1.0
    assert np.isnan(found.values["ndcg"]).tolist() == [True, False, True]


def test_a_metric_over_nobody_is_not_measured():
    found = measure(np.ones((2, 3)), np.zeros((2, 3)), np.zeros((2, 3)), 2).summary()
    assert found.pop("users") == 0
    assert all(np.isnan(value) for value in found.values())


@pytest.mark.parametrize("levels", [None, 2], ids=["no ties", "many ties"])
@pytest.mark.parametrize("k", [1, 5, 10, 60])
def test_equals_plain_loops(k, levels):
    scores, seen, relevant = case(k, levels=levels)
    found = measure(scores, seen, relevant, k)
    expected = naive_full(scores, seen, relevant, k)
    for name in METRICS:
        np.testing.assert_allclose(found.values[name], [row[name] for row in expected], rtol=1e-12)


@pytest.mark.parametrize("levels", [None, 1, 40], ids=["no ties", "nearly all tied", "some tied"])
@pytest.mark.parametrize("k", [1, 3, 10])
def test_long_catalogues_equal_plain_loops(k, levels):
    """More scores are near the top than are sorted, for some users or for all."""
    scores, seen, relevant = case(k, n_users=6, n_movies=900, levels=levels)
    scores[0] = 1.0
    found = measure(scores, seen, relevant, k)
    expected = naive_full(scores, seen, relevant, k)
    for name in METRICS:
        np.testing.assert_allclose(found.values[name], [row[name] for row in expected], rtol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_ndcg_equals_scikit_learn(k):
    scores, _, relevant = case(1)
    some = relevant.any(axis=1)
    found = measure(scores, np.zeros_like(relevant), relevant, k).summary()
    assert found[f"ndcg_at_{k}"] == pytest.approx(ndcg_score(relevant[some], scores[some], k=k))


@pytest.fixture(scope="module")
def link_prediction():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # its import scripts a class with torch.jit
        from torch_geometric import metrics
    return metrics


@pytest.mark.parametrize("k", [1, 5, 10])
def test_equals_torch_geometric(link_prediction, k):
    import torch

    scores, _, relevant = case(2)
    relevant[3] = False  # both leave out a user without a relevant movie
    found = measure(scores, np.zeros_like(relevant), relevant, k).summary()
    order = torch.from_numpy(np.argsort(-scores, axis=1))
    truth = torch.from_numpy(np.array(np.nonzero(relevant)))
    names = {"Precision": "precision", "Recall": "recall", "NDCG": "ndcg", "MAP": "map"}
    for theirs, ours in names.items():
        metric = getattr(link_prediction, f"LinkPred{theirs}")(k=k)
        metric.update(order[:, :k], truth)
        assert found[f"{ours}_at_{k}"] == pytest.approx(float(metric.compute()), rel=1e-5)
    whole = link_prediction.LinkPredMRR(k=scores.shape[1])
    whole.update(order, truth)
    assert found["mrr"] == pytest.approx(float(whole.compute()), rel=1e-5)


@BOUNDED
@given(seed=st.integers(0, 10_000), k=st.integers(1, 45))
def test_every_value_is_between_0_and_1(seed, k):
    found = measure(*case(seed, levels=3), k)
    for values in found.values.values():
        counted = values[found.n_relevant > 0]
        assert ((counted >= 0) & (counted <= 1 + 1e-12)).all()


@BOUNDED
@given(seed=st.integers(0, 10_000), k=st.integers(1, 39))
def test_recall_and_hit_rate_grow_with_k(seed, k):
    short, longer = (measure(*case(seed), size).summary() for size in (k, k + 1))
    assert short[f"recall_at_{k}"] <= longer[f"recall_at_{k + 1}"] + 1e-12
    assert short[f"hit_rate_at_{k}"] <= longer[f"hit_rate_at_{k + 1}"]
    assert short["mrr"] == longer["mrr"]


@BOUNDED
@given(seed=st.integers(0, 10_000))
def test_order_of_users_and_names_of_movies_do_not_matter(seed):
    tables = case(seed)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(25), rng.permutation(40)
    before, after = measure(*tables, 5), measure(*(t[rows][:, columns] for t in tables), 5)
    for name in METRICS:
        np.testing.assert_allclose(before.values[name][rows], after.values[name])


@BOUNDED
@given(seed=st.integers(0, 10_000))
def test_a_last_and_irrelevant_movie_changes_nothing(seed):
    scores, seen, relevant = case(seed)
    column = np.zeros((25, 1))
    wider = [
        np.hstack([t, c]) for t, c in ((scores, column - 99), (seen, column), (relevant, column))
    ]
    assert measure(*wider, 5).summary() == measure(scores, seen, relevant, 5).summary()


@BOUNDED
@given(seed=st.integers(0, 10_000), factor=st.floats(0.1, 10), offset=st.floats(-5, 5))
def test_only_the_order_of_the_scores_counts(seed, factor, offset):
    scores, seen, relevant = case(seed, levels=8)
    moved = scores.astype(np.float64) * factor + offset
    assert (
        measure(moved, seen, relevant, 5).summary() == measure(scores, seen, relevant, 5).summary()
    )


def test_equal_scores_do_not_favour_low_or_high_indices():
    relevant = np.zeros((1, 400))
    relevant[0, :40] = 1
    for tables in (relevant, relevant[:, ::-1]):
        found = measure(np.ones((1, 400)), np.zeros((1, 400)), tables, 40).summary()
        assert found["precision_at_40"] < 0.3  # chance is 0.1; index order would give 1 or 0


def test_negative_zero_and_infinite_scores_have_their_place():
    scores = [[-np.inf, -0.0, 0.0, np.inf, -1.0]]
    winner = 1 + int(np.argmax(tie_order(5)[1:3]))
    for k, movies in ((1, [3]), (2, [3, winner]), (4, [1, 2, 3, 4])):
        relevant = np.isin(np.arange(5), movies)[None]
        assert measure(scores, np.zeros((1, 5)), relevant, k).summary()[f"recall_at_{k}"] == 1.0


def test_a_relevant_movie_that_is_no_candidate_is_a_miss():
    found = measure([[3.0, 2.0]], [[1, 0]], [[1, 0]], 2).summary()
    assert (found["recall_at_2"], found["mrr"], found["users"]) == (0.0, 0.0, 1)


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(EvaluationError, match="NaN"):
        measure([[1.0, np.nan]], [[0, 0]], [[1, 0]], 1)


def test_tables_of_other_sizes_are_refused():
    with pytest.raises(EvaluationError, match=r"relevant has shape \(1, 3\), expected \(1, 2\)"):
        measure([[1.0, 2.0]], [[0, 0]], [[1, 0, 0]], 1)


def test_places_within_users():
    row = np.array([1, 0, 1, 0, 1])
    score = np.array([0.1, 5.0, 0.9, 7.0, 0.9], np.float32)
    order = np.array([0, 0, 3, 0, 4])
    assert place_within_users(row, score, order).tolist() == [2, 1, 1, 0, 0]
