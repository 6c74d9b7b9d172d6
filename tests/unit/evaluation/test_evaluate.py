"""The whole evaluation of a model on a split, against plain loops and Surprise's accuracy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from surprise import accuracy
from surprise.prediction_algorithms.predictions import Prediction

from movierec.data.splits import SplitSpec, make_split
from movierec.errors import EvaluationError
from movierec.evaluation import evaluate, protocols, ratings
from movierec.evaluation.ranking import METRICS
from tests.support.eval_oracle import TableModel, naive_full, naive_rated, random_model
from tests.support.factories import make_dataset

SPLITS = ("random", "temporal", "leave-last-n", "cold-users")


def split_of(dataset, name="random", **numbers):
    return make_split(dataset, SplitSpec(name=name, **numbers))


def tables(dataset, split):
    """Known ratings and test ratings as dense (n_users, n_movies) tables; 0 is no rating."""
    parts = (split.known, split.test)
    return [
        dataset.ratings.take(part).matrix(dataset.n_users, dataset.n_movies).toarray()
        for part in parts
    ]


@pytest.mark.parametrize("name", SPLITS)
def test_full_protocol_equals_plain_loops(planted, name):
    split = split_of(planted, name, last_n=2)
    model = random_model(planted)
    found = evaluate(model, planted, split, k=5).per_user
    known, test = tables(planted, split)
    for protocol, relevant in (("full", test > 0), ("full_4", test >= 4)):
        rows = naive_full(model.scores, known > 0, relevant, 5)
        for metric in METRICS:
            column = f"{protocol}_{metric}" + ("" if metric == "mrr" else "_at_5")
            expected = [rows[user][metric] for user in found["user_index"]]
            np.testing.assert_allclose(found[column], expected)


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("k", [3, 10])
def test_rated_protocol_equals_plain_loops(planted, name, k):
    split = split_of(planted, name, last_n=2)
    model = random_model(planted)
    model.predictions[::3] = np.nan  # every third user is ranked by score
    found = evaluate(model, planted, split, k=k).per_user.set_index("user_index")
    for user, row in naive_rated(model, planted, split, k).items():
        for metric in METRICS:
            column = f"rated_{metric}" + ("" if metric == "mrr" else f"_at_{k}")
            np.testing.assert_allclose(found.loc[user, column], row[metric])


@pytest.mark.parametrize("name", SPLITS)
def test_errors_equal_surprise(planted, name):
    split = split_of(planted, name, last_n=2)
    model = random_model(planted)
    found = evaluate(model, planted, split)
    test = planted.ratings.take(split.test)
    clipped = np.clip(model.predict(test.user, test.movie), 1, 5)
    triples = zip(test.user, test.movie, test.rating, clipped, strict=True)
    theirs = [Prediction(u, m, float(r), float(p), {}) for u, m, r, p in triples]
    assert found.rmse == pytest.approx(accuracy.rmse(theirs, verbose=False))
    assert found.mae == pytest.approx(accuracy.mae(theirs, verbose=False))
    assert found.n_ratings == len(split.test)


def test_errors_by_hand():
    assert ratings.rmse([3.0, 5.0], [4.0, 5.0]) == pytest.approx(0.5**0.5)
    assert ratings.mae([3.0, 5.0], [4.0, 5.0]) == 0.5
    assert np.isnan(ratings.rmse([], []))
    assert np.isnan(ratings.mae([np.nan, 1.0], [1.0, 1.0]))


def test_the_means_are_those_of_the_users(planted):
    found = evaluate(random_model(planted), planted, split_of(planted), k=5)
    for protocol in ("full", "full_4", "rated"):
        summary = getattr(found, protocol)
        column = found.per_user[f"{protocol}_ndcg_at_5"]
        assert summary["ndcg_at_5"] == pytest.approx(column.mean())
        assert summary["users"] == column.notna().sum()
    user = found.per_user.iloc[0]
    own = found.per_rating[found.per_rating["user_index"] == user["user_index"]]
    assert user["rmse"] == pytest.approx(((own["prediction"] - own["rating"]) ** 2).mean() ** 0.5)
    errors = found.per_user[["sq_error_sum", "abs_error_sum", "n_test"]].sum()
    assert found.rmse == pytest.approx((errors["sq_error_sum"] / errors["n_test"]) ** 0.5)
    assert found.mae == pytest.approx(errors["abs_error_sum"] / errors["n_test"])


def test_known_movies_are_never_candidates(planted):
    split = split_of(planted, "cold-users", given=3)
    known, _ = tables(planted, split)
    memory = TableModel(known + 0.001 * random_model(planted).scores)
    ranked = protocols.Ranked.of(planted, split, protocols.HeldOut.of(planted, split))
    lists = protocols.rank_full(memory, ranked, planted.n_movies).lists
    for user, movies in zip(ranked.users, lists, strict=True):
        shown = movies[movies >= 0]
        assert sorted(shown) == np.flatnonzero(known[user] == 0).tolist()


@pytest.mark.parametrize("cells", [1, 95, 10**9])
def test_the_size_of_the_blocks_changes_nothing(planted, monkeypatch, cells):
    split, model = split_of(planted), random_model(planted)
    whole = evaluate(model, planted, split)
    monkeypatch.setattr(protocols, "CELLS_AT_ONCE", cells)
    monkeypatch.setattr(ratings, "PAIRS_AT_ONCE", cells)
    blocks = evaluate(model, planted, split)
    assert blocks.per_user.equals(whole.per_user)
    assert blocks.per_rating.equals(whole.per_rating)


def test_new_users_are_shown_to_the_model_first(planted):
    split = split_of(planted, "cold-users", given=2)
    told = []

    class Listener(TableModel):
        def with_interactions(self, ratings):
            told.append(ratings)
            return TableModel(self.scores)

    evaluate(Listener(random_model(planted).scores), planted, split)
    (support,) = told
    assert len(support) == len(split.support)
    np.testing.assert_array_equal(support.movie, planted.ratings.movie[split.support])


def test_a_model_without_ratings_is_ranked_by_score_and_not_measured(planted):
    found = evaluate(TableModel(random_model(planted).scores), planted, split_of(planted))
    assert np.isnan(found.rmse)
    assert np.isnan(found.mae)
    assert found.protocol["rated_ranked_by"] == "score"
    assert found.rated["users"] > 0
    assert found.as_dict()["rmse"] is None


def test_predictions_are_clipped_to_the_scale(planted):
    split = split_of(planted)
    far = TableModel(random_model(planted).scores, np.full((40, 30), 99.0))
    assert evaluate(far, planted, split).per_rating["prediction"].eq(5.0).all()


def test_the_result_is_plain_json_with_its_protocol(planted):
    split = split_of(planted)
    found = evaluate(random_model(planted), planted, split, k=7)
    text = json.dumps([found.as_dict(), found.slice_rows()], allow_nan=False)
    stored = json.loads(text)[0]
    keys = ["precision_at_7", "recall_at_7", "ndcg_at_7", "hit_rate_at_7", "map_at_7", "mrr"]
    assert list(stored["full"]) == [*keys, "users"]
    assert stored["protocol"]["k"] == 7
    assert stored["protocol"]["test_sha256"] == split.sha256
    assert stored["protocol"]["split"] == "random 80/20, seed 42"
    assert stored["protocol"]["n_test"] == len(split.test) == stored["n_ratings"]


def test_the_data_set_is_left_as_it_was(planted):
    before = planted.user_frame.copy(), planted.movie_frame.copy()
    evaluate(random_model(planted), planted, split_of(planted))
    assert planted.user_frame.equals(before[0])
    assert planted.movie_frame.equals(before[1])


def test_a_list_longer_than_the_catalogue(planted):
    found = evaluate(random_model(planted), planted, split_of(planted), k=50)
    assert found.full["recall_at_50"] == 1.0
    assert 0 < found.beyond["personalisation"] < 1


def test_a_data_set_without_features_or_times():
    bare = make_dataset(timestamps=False, features=False)
    found = evaluate(random_model(bare), bare, split_of(bare))
    assert set(found.slices["slice"]) == {"activity", "popularity"}
    assert found.as_dict()["beyond"]["intra_list_diversity"] is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (TableModel(np.zeros((40, 29))), "knows 40 users and 29 movies"),
        (TableModel(np.full((40, 30), np.nan)), "score is NaN"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(planted, model, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate(model, planted, split_of(planted))


def test_answers_of_the_wrong_shape_are_refused(planted):
    model = random_model(planted)
    split = split_of(planted)
    model.score = lambda users: np.zeros((len(users), 3))
    with pytest.raises(EvaluationError, match=r"score\(\) returned shape"):
        evaluate(model, planted, split)
    model.predict = lambda *pairs: np.zeros(len(pairs))
    with pytest.raises(EvaluationError, match=r"predict\(\) returned shape"):
        evaluate(model, planted, split)


def test_a_list_of_nothing_is_refused(planted):
    with pytest.raises(EvaluationError, match="k = 0"):
        evaluate(random_model(planted), planted, split_of(planted), k=0)
