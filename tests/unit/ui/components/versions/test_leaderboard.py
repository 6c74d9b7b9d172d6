from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from movierec.metadata import VersionMetadata
from movierec.store import VersionRecord
from movierec.ui.components.versions import leaderboard
from tests.support.states import metadata


def version(facts: dict[str, Any], dataset: str = "ml-100k") -> VersionRecord:
    return VersionRecord(
        "v1.0.0", "sage", "default", dataset, "f", "random 80/20, seed 42",
        datetime.now(UTC), True, None, 1, 1, VersionMetadata.of(facts),
    )  # fmt: skip


def test_the_version_comes_first_then_baselines_then_published() -> None:
    table = leaderboard.rows(version(metadata("v1.0.0", "u1", history=True, rmse=0.92)))
    kinds = [row.kind for row in table]
    assert kinds == ["version", *["baseline"] * 4, *["published"] * 8]
    assert table[0].value("rmse") == 0.92
    assert table[0].value("ndcg_full") == 0.402


def test_published_numbers_stand_only_beside_their_own_split() -> None:
    random = leaderboard.rows(version(metadata("v", "random", history=True, rmse=0.9)))
    assert [r.system for r in random if r.kind == "published"] == ["first report"]
    temporal = leaderboard.rows(version(metadata("v", "temporal", history=True, rmse=0.9)))
    assert not [r for r in temporal if r.kind == "published"]
    other = leaderboard.rows(version(metadata("v", "u1", history=True, rmse=0.9), "my-ratings"))
    assert not [r for r in other if r.kind == "published"]


def test_the_best_baseline_follows_the_direction_of_the_metric() -> None:
    table = leaderboard.rows(version(metadata("v", "random", history=True, rmse=0.9)))
    rmse, ndcg = (
        leaderboard.best_baseline(table, "rmse"),
        leaderboard.best_baseline(table, "ndcg_full"),
    )
    assert rmse is not None
    assert rmse.system == "averages"
    assert ndcg is not None
    assert ndcg.system == "most popular"
    assert leaderboard.best_in(table, "rmse") == 0.9


@pytest.mark.parametrize("facts", [{}, {"evaluation": None, "floors": None, "split": None}])
def test_absent_metadata_is_not_measured(facts: dict[str, Any]) -> None:
    table = leaderboard.rows(version(facts))
    assert [row.kind for row in table] == ["version"]
    assert math.isnan(table[0].value("rmse"))
    assert leaderboard.best_baseline(table, "rmse") is None
    assert math.isnan(leaderboard.best_in(table, "rmse"))
    assert "held-out ratings of ml-100k" in leaderboard.protocol(version(facts))
