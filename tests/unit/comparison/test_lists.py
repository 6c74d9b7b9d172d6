"""The same user's lists in several versions, and for whom most has changed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from movierec.columns import Columns
from movierec.comparison.lists import (
    changed_users,
    held_out_of,
    rank_biased_overlap,
    user_lists,
)
from movierec.data.dataset import Dataset, Interactions
from movierec.data.splits import SplitSpec, make_split
from movierec.errors import EvaluationError, NotFoundError
from movierec.inference import LoadedVersion
from movierec.metadata import VersionMetadata
from movierec.models.factory import make_baseline
from tests.support.factories import assemble, make_dataset

SPLIT = SplitSpec(name="random", seed=3)
COLUMNS = (Columns.USER, Columns.USER_INDEX, "n_train", "n_test", "rmse", "full_ndcg_at_10")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="module")
def versions(dataset: Dataset) -> dict[str, LoadedVersion]:
    return {f"v1.{i}.0": loaded(dataset, m) for i, m in enumerate(("ease", "popular", "svd"))}


def loaded(dataset: Dataset, model: str) -> LoadedVersion:
    known = dataset.ratings.take(make_split(dataset, SPLIT).known)
    fitted = make_baseline(model, {}).fit(dataset, known, seed=1)
    metadata = VersionMetadata.of({"split": SPLIT.model_dump()})
    return LoadedVersion(f"{model} version", fitted, dataset, known, metadata)


@pytest.mark.parametrize("user", ["u0", "u5", "u39"])
@pytest.mark.parametrize("k", [1, 10, 100])
def test_the_lists_are_what_each_version_recommends(dataset, versions, user, k) -> None:
    shown = user_lists(versions, held_out_of(versions["v1.0.0"]), user, k)
    for name, version in versions.items():
        expected = version.recommend(user, k)
        told = [(x.rank, x.movie_id, x.title, x.year, x.genres, x.predicted)
                for x in shown.lists[name]]  # fmt: skip
        assert told == [(x.rank, x.movie_id, x.title, x.year, x.genres, x.predicted_rating)
                        for x in expected]  # fmt: skip
    assert (shown.baseline, shown.k, shown.user_id) == ("v1.0.0", k, user)


def test_hits_are_the_held_out_ratings_and_no_known_ones(dataset, versions) -> None:
    test = dataset.ratings.take(make_split(dataset, SPLIT).test)
    found = held_out_of(versions["v1.0.0"])
    np.testing.assert_array_equal(found.user, test.user)
    counted = 0
    for user in range(dataset.n_users):
        own = test.user == user
        stars = {f"m{m}": r for m, r in zip(test.movie[own], test.rating[own], strict=True)}
        shown = user_lists(versions, found, f"u{user}")
        for name, lines in shown.lists.items():
            assert all(line.stars == stars.get(line.movie_id) for line in lines)
            assert shown.hits(name) == sum(line.movie_id in stars for line in lines)
            counted += shown.hits(name)
        assert shown.facts["Held-out ratings"] == str(len(stars))
    assert counted > 20


def test_the_history_is_what_is_known_best_first_then_newest() -> None:
    rating, time = [3, 5, 4, 5, 5], [50, 10, 40, 30, 20]
    small = assemble([0] * 5, range(5), rating, time, 2, 8, np.random.default_rng(0))
    version = LoadedVersion(
        "v1.0.0", make_baseline("popular", {}).fit(small, small.ratings, seed=0), small,
        small.ratings.take(np.arange(4)),
    )  # fmt: skip
    shown = user_lists({"v1.0.0": version}, small.ratings.take(np.array([4])), "u0")
    assert [(line.movie_id, line.stars) for line in shown.history] == [
        ("m3", 5.0), ("m1", 5.0), ("m2", 4.0), ("m0", 3.0),
    ]  # fmt: skip
    assert shown.facts["Known ratings"] == "4"
    hit = next(line for line in shown.lists["v1.0.0"] if line.is_hit)
    assert (hit.movie_id, hit.stars) == ("m4", 5.0)


def test_moves_say_the_rank_in_every_version_below_the_list_too(versions) -> None:
    shown = user_lists(versions, held_out_of(versions["v1.0.0"]), "u5", k=4)
    listed = [line.movie_id for lines in shown.lists.values() for line in lines]
    assert [move.movie_id for move in shown.moves] == list(dict.fromkeys(listed))
    whole = {n: [r.movie_id for r in v.recommend("u5", 1000)] for n, v in versions.items()}
    for move in shown.moves:
        assert move.ranks == {n: ids.index(move.movie_id) + 1 for n, ids in whole.items()}
    assert any(rank > 4 for move in shown.moves for rank in move.ranks.values())


def test_a_movie_that_one_version_knows_has_no_rank_there(dataset, versions) -> None:
    first = versions["v1.0.0"]
    best = first.recommend("u5", 1)[0].movie_id
    row = [5, dataset.movies.index(best), 4.0]
    known = Interactions(
        np.append(first.known.user, row[0]).astype(np.int64),
        np.append(first.known.movie, row[1]).astype(np.int64),
        np.append(first.known.rating, row[2]).astype(np.float32),
    )
    knowing = replace(first, known=known)
    shown = user_lists({"a": first, "b": knowing}, held_out_of(first), "u5")
    assert shown.moves[0].ranks == {"a": 1, "b": None}
    assert shown.moves[1].ranks == {"a": 2, "b": 1}


def test_overlap_counts_and_weighs_the_top(versions) -> None:
    same = user_lists({"a": versions["v1.0.0"], "b": versions["v1.0.0"]},
                      held_out_of(versions["v1.0.0"]), "u5")  # fmt: skip
    assert [(o.version, o.shared, o.of) for o in same.overlaps] == [("b", 10, 10)]
    assert same.overlaps[0].rank_biased == pytest.approx(1)
    shown = user_lists(versions, held_out_of(versions["v1.0.0"]), "u5")
    ids = {name: {line.movie_id for line in lines} for name, lines in shown.lists.items()}
    assert [o.shared for o in shown.overlaps] == [
        len(ids["v1.0.0"] & ids[name]) for name in ("v1.1.0", "v1.2.0")
    ]


def test_rank_biased_overlap_by_hand() -> None:
    # p = 0.5, overlap at depths 1 and 2: 0, 1 -> 1/2² · 1 + 1 · (0/2 + 1/4)
    assert rank_biased_overlap("ab", "ba", 0.5) == pytest.approx(0.25 + 0.25)
    assert rank_biased_overlap("abc", "abc") == pytest.approx(1)
    assert rank_biased_overlap("abc", "xyz") == 0
    assert math.isnan(rank_biased_overlap("", "abc"))
    # a swap at the top costs more than one at the end
    assert rank_biased_overlap("abcd", "bacd") < rank_biased_overlap("abcd", "abdc")


def test_facts_are_those_there_are(dataset, versions) -> None:
    shown = user_lists(versions, held_out_of(versions["v1.0.0"]), "u7")
    row = dataset.user_frame.iloc[7]
    assert shown.facts["Age"] == f"{row[Columns.AGE]:.0f} years"
    assert (shown.facts["Gender"], shown.facts["Occupation"]) == (row["gender"], row["occupation"])
    plain = make_dataset(features=False)
    version = loaded(plain, "popular")
    assert [*user_lists({"a": version}, held_out_of(version), "u7").facts] == [
        "Known ratings", "Held-out ratings",
    ]  # fmt: skip


def test_what_cannot_be_shown_says_why(versions) -> None:
    held_out = held_out_of(versions["v1.0.0"])
    with pytest.raises(NotFoundError, match="nobody"):
        user_lists(versions, held_out, "nobody")
    with pytest.raises(EvaluationError, match="No version"):
        user_lists({}, held_out, "u1")
    with pytest.raises(EvaluationError, match="list length"):
        user_lists(versions, held_out, "u1", 0)
    with pytest.raises(EvaluationError, match="how its data was split"):
        held_out_of(replace(versions["v1.0.0"], metadata=VersionMetadata()))


def frame(rmse: list[float], ndcg: list[float]) -> pd.DataFrame:
    n = len(rmse)
    users = [f"u{i}" for i in range(n)]
    rows = zip(users, range(n), [10] * n, [2] * n, rmse, ndcg, strict=True)
    return pd.DataFrame(rows, columns=COLUMNS).assign(abs_error_sum=rmse)


A = frame([1.0, 1.0, 1.0, 1.0, np.nan], [0.1, 0.2, 0.3, 0.4, 0.5])
B = frame([0.5, 1.5, 0.5, 1.0, 1.0], [0.3, 0.2, 0.2, 0.6, np.nan])


def test_who_gained_comes_first_who_lost_last() -> None:
    changes = changed_users(A, B, "ndcg_full")
    assert [c.user_id for c in changes] == ["u0", "u3", "u2"]  # u1 is as before
    assert [c.gain for c in changes] == pytest.approx([0.2, 0.2, -0.1])
    first = changes[0]
    assert (first.index, first.n_train, first.n_test, first.a, first.b) == (0, 10, 2, 0.1, 0.3)


def test_lower_errors_are_a_gain_and_equal_ones_keep_their_order() -> None:
    changes = changed_users(A, B, "rmse")
    assert [(c.user_id, c.delta, c.gain) for c in changes] == [
        ("u0", -0.5, 0.5), ("u2", -0.5, 0.5), ("u1", 0.5, -0.5),
    ]  # fmt: skip
    assert [c.delta for c in changed_users(A, B, "mae")] == [-0.25, -0.25, 0.25]
    turned = changed_users(A.iloc[::-1], B.sample(frac=1, random_state=0), "rmse")
    assert [(c.user_id, c.gain) for c in turned] == [(c.user_id, c.gain) for c in changes]


def test_as_many_as_asked_and_only_users_measured_in_both() -> None:
    everybody = changed_users(A, B, "ndcg_full", n=None)
    assert [c.user_id for c in everybody] == ["u0", "u3", "u1", "u2"]
    assert [c.user_id for c in changed_users(A, B, "rmse", n=1)] == ["u0", "u1"]
    assert changed_users(A, B.assign(rmse=np.nan), "rmse") == []
    turned = changed_users(B, A, "rmse", n=1)
    assert [c.user_id for c in turned] == ["u1", "u2"]
    deeper = B.assign(rmse=[0.5, 1.5, 0.5, 2.5, 1.0])
    assert [c.user_id for c in changed_users(A, deeper, "rmse", n=1)] == ["u0", "u3"]


def test_a_metric_of_the_whole_test_part_has_no_users() -> None:
    with pytest.raises(EvaluationError, match="Coverage has no value per user"):
        changed_users(A, B, "coverage")
