"""Slices: who is in which group, and what is measured there."""

from __future__ import annotations

import numpy as np
import pytest

from movierec.columns import Columns
from movierec.data.splits import SplitSpec, make_split
from movierec.evaluation import evaluate
from movierec.evaluation.slices import activity_labels, popularity_labels
from tests.support.eval_oracle import random_model


@pytest.fixture
def evaluation(planted):
    return evaluate(random_model(planted), planted, make_split(planted, SplitSpec()), k=5)


def row(evaluation, name, value):
    slices = evaluation.slices
    (found,) = slices[(slices["slice"] == name) & (slices["value"] == value)].to_dict("records")
    return found


def test_head_mid_and_tail_hold_their_share_of_the_ratings():
    labels = popularity_labels(np.array([50, 20, 20, 5, 5, 0]))
    groups = [labels.names[code] for code in labels.codes]
    assert groups == ["head", "mid", "mid", "tail", "tail", "tail"]


def test_equally_popular_movies_are_in_the_same_group():
    assert set(popularity_labels(np.array([3, 3, 3, 3])).codes) == {0}
    assert popularity_labels(np.array([0, 0])).codes.tolist() == [2, 2]


def test_activity_quartiles():
    labels = activity_labels(np.array([1, 2, 3, 4, 5, 6, 7, 8]))
    assert labels.names == ("1-2 ratings", "3-4 ratings", "5-6 ratings", "7-8 ratings")
    assert labels.codes.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_quartiles_that_fall_together_are_one_group():
    labels = activity_labels(np.array([0, 0, 0, 0, 0, 9]))
    assert labels.names == ("0 ratings", "9 ratings")
    assert labels.codes.tolist() == [0, 0, 0, 0, 0, 1]
    assert activity_labels(np.array([5, 5])).names == ("5 ratings",)


@pytest.mark.parametrize("name", ["activity", "age", "gender", "popularity", "decade"])
def test_disjoint_slices_add_up_to_the_whole(evaluation, name):
    slices = evaluation.slices[evaluation.slices["slice"] == name]
    assert slices["ratings"].sum() == evaluation.n_ratings
    squared = (slices["rmse"] ** 2 * slices["ratings"]).sum() / evaluation.n_ratings
    assert squared**0.5 == pytest.approx(evaluation.rmse)
    assert (slices["mae"] * slices["ratings"]).sum() == pytest.approx(
        evaluation.mae * evaluation.n_ratings
    )


def test_a_slice_of_users_equals_a_filter(planted, evaluation):
    women = planted.user_frame.index[planted.user_frame[Columns.GENDER] == "F"]
    users = evaluation.per_user[evaluation.per_user["user_index"].isin(women)]
    ratings = evaluation.per_rating[evaluation.per_rating["user_index"].isin(women)]
    error = ratings["prediction"] - ratings["rating"]
    assert row(evaluation, "gender", "F") == {
        "slice": "gender",
        "value": "F",
        "users": len(users),
        "ratings": len(ratings),
        "rmse": pytest.approx((error**2).mean() ** 0.5),
        "mae": pytest.approx(error.abs().mean()),
        "ndcg_at_5": pytest.approx(users["full_ndcg_at_5"].mean()),
        "recall_at_5": pytest.approx(users["full_recall_at_5"].mean()),
    }


@pytest.mark.parametrize("genre", ["Action", "Horror"])
def test_a_slice_of_movies_equals_a_filter(planted, evaluation, genre):
    movies = planted.movie_frame.index[planted.movie_frame[Columns.GENRES].str.contains(genre)]
    ratings = evaluation.per_rating[evaluation.per_rating["movie_index"].isin(movies)]
    found = row(evaluation, "genre", genre)
    assert found["ratings"] == len(ratings)
    assert found["users"] == ratings["user_index"].nunique()
    assert found["recall_at_5"] == pytest.approx(ratings["recommended"].mean())
    error = ratings["prediction"] - ratings["rating"]
    assert found["rmse"] == pytest.approx((error**2).mean() ** 0.5)
    assert np.isnan(found["ndcg_at_5"])


def test_recall_of_all_movies_is_the_share_of_ratings_in_the_lists(evaluation):
    slices = evaluation.slices[evaluation.slices["slice"] == "popularity"]
    hits = (slices["recall_at_5"] * slices["ratings"]).sum()
    assert hits == pytest.approx(evaluation.per_rating["recommended"].sum())


def test_age_bands_and_decades(planted):
    planted.user_frame[Columns.AGE] = [17, 18, 24, 25, 34, 35, 45, 50, 56, np.nan] * 4
    planted.movie_frame[Columns.YEAR] = [1939, 1940, np.nan] * 10
    found = evaluate(random_model(planted), planted, make_split(planted, SplitSpec()))
    bands = found.slices.loc[found.slices["slice"] == "age", "value"].tolist()
    known = ["under 18", "18-24", "25-34", "35-44", "45-49", "50-55", "56+"]
    assert bands == [*known, "unknown"]
    decades = found.slices.loc[found.slices["slice"] == "decade", "value"].tolist()
    assert decades == ["1930s", "1940s", "unknown"]


def test_movies_without_a_genre_are_a_slice_too(planted):
    planted.movie_frame[Columns.GENRES] = ["Drama|War", "", None] * 10
    found = evaluate(random_model(planted), planted, make_split(planted, SplitSpec()))
    genres = found.slices[found.slices["slice"] == "genre"].set_index("value")["ratings"]
    assert list(genres.index) == ["Drama", "War", "unknown"]
    assert genres["War"] + genres["unknown"] == found.n_ratings


def test_a_column_that_is_empty_makes_no_slice(planted):
    planted.user_frame[Columns.AGE] = np.nan
    planted.user_frame[Columns.GENDER] = None
    planted.movie_frame[Columns.GENRES] = ""
    found = evaluate(random_model(planted), planted, make_split(planted, SplitSpec()))
    assert not {"age", "gender", "genre"} & set(found.slices["slice"])
