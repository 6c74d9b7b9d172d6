"""Of very many test users a sample is ranked: who, what they get, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from movierec.comparison.comparability import obstacles
from movierec.comparison.slices import slice_diffs
from movierec.data.splits import SplitSpec, make_split
from movierec.evaluation import evaluate, protocols
from movierec.registry.archive.content import check_contents
from movierec.registry.archive.layout import RefusedError
from movierec.store import open_store
from tests.conftest import refuse_user_paths
from tests.support.eval_oracle import random_model
from tests.support.kept_versions import DATA, Kept, Settings, guess

SAMPLE = 25  # of the 60 test users
KEYS = {"rmse": "rmse", "ndcg_full": "ndcg_at_10", "recall_full": "recall_at_10"}
SPLIT = make_split(DATA, SplitSpec())


@pytest.fixture
def few_cells(monkeypatch):
    monkeypatch.setattr(protocols, "MOST_CELLS", SAMPLE * DATA.n_movies + 7)


@pytest.fixture(scope="module")
def whole():
    return evaluate(random_model(DATA), DATA, SPLIT)


@pytest.fixture
def sampled(whole, few_cells):
    return evaluate(random_model(DATA), DATA, SPLIT)


def ranking_columns(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if name.startswith(("full", "rated"))]


def ranked_users(found) -> list[int]:
    return found.per_user.loc[found.per_user["full_mrr"].notna(), "user_index"].tolist()


def test_the_sample_has_what_it_has_when_everybody_is_ranked(whole, sampled):
    users = ranked_users(sampled)
    assert len(users) == SAMPLE < len(whole.per_user)
    is_ranked = sampled.per_user["user_index"].isin(users)
    pd.testing.assert_frame_equal(sampled.per_user[is_ranked], whole.per_user[is_ranked])
    others = sampled.per_user[~is_ranked]
    assert others[ranking_columns(others)].isna().all(axis=None)
    rest = [name for name in others if name not in ranking_columns(others)]
    pd.testing.assert_frame_equal(others[rest], whole.per_user.loc[~is_ranked, rest])


def test_errors_are_those_of_all_ratings(whole, sampled):
    assert (sampled.rmse, sampled.mae, sampled.n_ratings) == (
        whole.rmse, whole.mae, whole.n_ratings,
    )  # fmt: skip


def test_means_are_over_the_sample(sampled):
    for protocol in ("full", "full_4", "rated"):
        column = sampled.per_user[f"{protocol}_ndcg_at_10"]
        summary = getattr(sampled, protocol)
        assert summary["ndcg_at_10"] == pytest.approx(column.mean())
        assert summary["users"] == column.notna().sum() <= SAMPLE


def test_who_is_ranked_hangs_on_the_split_alone(sampled):
    other = evaluate(guess(noise=0.1), DATA, SPLIT)
    assert ranked_users(other) == ranked_users(sampled)
    users = np.array(ranked_users(sampled))
    assert len(set(np.diff(users))) > 1  # neither the first ones nor every so-manieth


def test_the_protocol_says_so_and_else_says_nothing(whole, sampled):
    words = f"{SAMPLE} of {len(whole.per_user)} test users, drawn with a fixed seed"
    assert sampled.protocol == {**whole.protocol, "users_ranked": words}


def test_a_rating_of_others_is_in_no_list_and_not_missed_either(sampled):
    frame = sampled.per_rating
    theirs = frame["user_index"].isin(ranked_users(sampled))
    assert frame["recommended"].isna().tolist() == (~theirs).tolist()
    table = sampled.slices
    for genre in table.loc[table["slice"] == "genre", "value"]:
        movies = DATA.movie_frame.index[DATA.movie_frame["genres"].str.contains(genre)]
        own = frame[theirs & frame["movie_index"].isin(movies)]
        (row,) = table[table["value"] == genre].to_dict("records")
        assert row["recall_at_10"] == pytest.approx(own["recommended"].astype(float).mean())


def test_groups_of_users_have_the_means_of_their_sample(sampled):
    women = DATA.user_frame.index[DATA.user_frame["gender"] == "F"]
    own = sampled.per_user[sampled.per_user["user_index"].isin(women)]
    (row,) = sampled.slices[sampled.slices["value"] == "F"].to_dict("records")
    assert row["ndcg_at_10"] == pytest.approx(own["full_ndcg_at_10"].mean())
    assert row["users"] == len(own)


@pytest.fixture
def kept(tmp_path) -> Iterator[Kept]:
    settings = refuse_user_paths(Settings(home=tmp_path, device="cpu"), tmp_path)
    with open_store(settings) as store:
        yield Kept(settings, store)


def test_versions_with_the_same_sample_are_compared(kept, few_cells):
    one, other = kept.evidence(kept.keep(1.0), kept.keep(0.2, seed=2))
    assert not obstacles(one, other)
    diffs = slice_diffs(one, other, DATA, resamples=200)
    rows = {(r.slice, r.value): r.as_dict() for r in other.record.metadata.slices}
    assert {diff.metric for diff in diffs} == set(KEYS)
    for diff in diffs:
        expected = rows[diff.slice, diff.value][KEYS[diff.metric]]
        assert diff.difference.b == pytest.approx(expected, abs=1e-9)


def test_a_sample_is_not_compared_with_everybody(kept, monkeypatch):
    everybody = kept.keep()
    monkeypatch.setattr(protocols, "MOST_CELLS", SAMPLE * DATA.n_movies)
    (found,) = obstacles(*kept.evidence(everybody, kept.keep()))
    assert found.message == (
        "Who is ranked differs: all test users for v1.0.0, 25 of 59 test users, drawn with a "
        "fixed seed for v1.1.0."
    )


def test_the_files_of_a_sample_are_taken_from_an_archive(kept, few_cells):
    folder = kept.folder(kept.keep())
    # a model made by hand is of no kind that archives hold, but its tables are in order
    with pytest.raises(RefusedError, match="do not make a table"):
        check_contents(folder, ["per_user.parquet", "per_rating.parquet"], "table")
