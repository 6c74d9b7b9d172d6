"""The gate before `current`: what it looks at, what it refuses, and what a reason can change."""

from __future__ import annotations

import copy
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from movierec.comparison.metrics import PAIRED
from movierec.errors import ArtifactError, NotFoundError, PromotionError, SettingsError
from movierec.metadata import VersionMetadata
from movierec.registry import Registry, VersionDraft
from movierec.registry.files import Content
from movierec.runtime import own_user
from movierec.settings import Settings, load_settings
from movierec.store import VersionRecord, open_store
from movierec.workflows.promote import check_promotion, promote
from tests.support.project import movierec, one_line, train_version


@pytest.fixture(scope="module")
def biases(project: Settings) -> Settings:
    """v1.0.0 is current; v1.1.0 is of another seed of the split."""
    train_version(project, "biases")
    train_version(project, "biases", split={"name": "random", "seed": 7})
    return project


@pytest.fixture
def settings(biases: Settings, tmp_path: Path) -> Settings:
    """Settings of this test's own copy of the project."""
    home = tmp_path / "copy"
    shutil.copytree(biases.home, home, symlinks=True)
    return biases.model_copy(update={"home": home})


@pytest.fixture
def registry(settings: Settings):
    with open_store(settings) as store:
        yield Registry(settings, store)


def variant(
    registry: Registry,
    *,
    error: float = 1.0,
    lists: float = 1.0,
    has_stars: bool = True,
    **changes: Any,
) -> VersionRecord:
    """Keep v1.0.0 once more, with errors `error` times and NDCG `lists` times as large."""
    record = registry.get("v1.0.0")
    facts: dict[str, Any] = copy.deepcopy(record.metadata.as_dict())
    users = pd.read_parquet(registry.file("v1.0.0", "per_user.parquet"))
    users["sq_error_sum"] *= error**2 if has_stars else np.nan
    users["full_ndcg_at_10"] *= lists
    facts["evaluation"]["rmse"] *= error if has_stars else np.nan
    facts["evaluation"]["full"]["ndcg_at_10"] *= lists
    files: dict[str, Content] = {
        name: registry.file("v1.0.0", name).read_bytes()
        for name in facts["files"]
        if "/" not in name
    }
    table = io.BytesIO()
    users.to_parquet(table)
    draft = {
        "model": record.model, "preset": record.preset, "dataset_name": record.dataset_name,
        "fingerprint": record.fingerprint, "split_label": record.split_label, 
        "metadata": VersionMetadata.of(facts),
        "files": {**files, "per_user.parquet": table.getvalue()},
        "arrays": registry.arrays("v1.0.0", mmap=False), "make_current": False,
    }  # fmt: skip
    return registry.save(VersionDraft(**{**draft, **changes}))


def failed(registry: Registry, name: str, **options: Any) -> dict[str, str]:
    gate = check_promotion(registry, name, **options)
    return {check.name: check.detail for check in gate.failed}


def test_a_version_that_loses_nothing_becomes_current(registry):
    better = variant(registry, error=0.9)
    gate = check_promotion(registry, better.name)
    assert gate.passed
    assert [check.name for check in gate.checks] == [
        "files whole", "same data set", "comparable", "no loss in RMSE",
        "no loss in NDCG@10 full",
    ]  # fmt: skip
    assert gate.checks[3].detail.endswith(": better for sure.")
    assert gate.checks[4].detail.endswith(": no sure difference.")
    assert promote(registry, better.name).is_current
    move = registry.promotion.history()[0]
    assert (move.version, move.previous, move.who, move.reason) == (
        better.name, "v1.0.0", own_user(), "",
    )  # fmt: skip
    assert [check["name"] for check in move.checks] == [check.name for check in gate.checks]
    assert all(check["passed"] for check in move.checks)


def test_the_first_version_has_nothing_to_lose(settings, registry):
    record = variant(registry, error=9.0)
    (settings.models_path / "current").unlink()
    with open_store(settings) as store:
        store.versions.set_current(None)
    gate = check_promotion(registry, record.name)
    assert (gate.current, gate.passed, len(gate.checks)) == (None, True, 1)
    assert promote(registry, record.name).is_current


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"error": 1.2}, "no loss in RMSE"),
        ({"lists": 0.5}, "no loss in NDCG@10 full"),
        ({"has_stars": False}, "no loss in RMSE"),
    ],
)
def test_a_version_that_is_worse_for_sure_is_refused_but_for_a_reason(registry, change, name):
    worse = variant(registry, **change)
    assert list(failed(registry, worse.name)) == [name]
    before = registry.promotion.history()
    with pytest.raises(PromotionError, match=rf"in place of v1\.0\.0.*{worse.name} --override"):
        promote(registry, worse.name)
    for blank in ("", "  \n "):
        with pytest.raises(SettingsError, match="A reason has"):
            promote(registry, worse.name, override=blank)
    assert registry.get().name == "v1.0.0"
    assert registry.promotion.history() == before
    assert promote(registry, worse.name, override=" a demo\n today ", who="ada").is_current
    move = registry.promotion.history()[0]
    assert (move.who, move.reason) == ("ada", "a demo today")
    assert [check["name"] for check in move.checks if not check["passed"]] == [name]


def test_what_was_not_measured_before_cannot_be_lost(registry):
    without = variant(registry, has_stars=False)
    promote(registry, without.name, override="only lists count")
    assert failed(registry, "v1.0.0") == {}
    gate = check_promotion(registry, "v1.0.0")
    assert gate.checks[3].detail == (
        f"RMSE was not measured for {without.name}, so none can be lost."
    )


def test_only_the_chosen_guards_count(registry):
    worse = variant(registry, error=1.2)
    assert failed(registry, worse.name, guards=["ndcg_full", "ndcg_full", "mae"]) == {}
    assert failed(registry, worse.name, guards=[]) == {}
    with pytest.raises(SettingsError, match=r"'speed' is no metric.*rmse, mae, ndcg_full"):
        check_promotion(registry, worse.name, guards=["rmse", "speed"])


def test_with_every_guard_it_says_what_the_comparison_says(registry):
    worse = variant(registry, error=1.03, lists=0.97)
    gate = check_promotion(registry, worse.name, guards=[metric.key for metric in PAIRED])
    assert gate.pair is not None
    passed = {check.name: check.passed for check in gate.checks}
    for metric in PAIRED:
        verdict = gate.pair.difference(metric.key).verdict
        assert passed[f"no loss in {metric.label}"] == (verdict != "worse"), metric.label
    assert not gate.passed


def test_another_data_set_is_refused(registry):
    other = variant(registry, fingerprint="e" * 64)
    assert failed(registry, other.name) == {
        "same data set": "Both are of a data set tiny, but not of the same ratings."
    }
    named = variant(registry, fingerprint="e" * 64, dataset_name="large")
    assert failed(registry, named.name)["same data set"] == (
        f"{named.name} is of large, v1.0.0 of tiny."
    )
    assert promote(registry, other.name, override="the data grew").is_current


def test_another_split_is_refused_with_what_differs(registry):
    found = failed(registry, "v1.1.0")
    assert list(found) == ["comparable"]
    assert "seed" in found["comparable"]
    assert promote(registry, "v1.1.0", override="looked at both").name == "v1.1.0"


@pytest.mark.parametrize("override", [None, "I trust it"])
def test_broken_files_cannot_be_overridden(registry, override):
    record = variant(registry, error=0.9)
    (registry.path(record.name) / "serving" / "rating_user_bias.npy").write_bytes(b"")
    gate = check_promotion(registry, record.name)
    assert not gate.passed
    assert not gate.can_be_overridden
    with pytest.raises(ArtifactError, match=r"cannot become current: serving/rating_user_bias"):
        promote(registry, record.name, override=override)
    assert registry.get().name == "v1.0.0"


def test_the_current_version_stays_current_without_a_new_line(registry):
    before = registry.promotion.history()
    assert promote(registry, "current").name == "v1.0.0"
    assert registry.promotion.history() == before
    with pytest.raises(NotFoundError):
        promote(registry, "v9.0.0")


def test_the_command_refuses_in_one_line_and_takes_a_reason(settings, registry):
    worse = variant(registry, error=1.2)
    said = movierec(settings, "versions", "promote", worse.name)
    assert said.code == 7
    line = one_line(said)
    assert "RMSE +" in line
    assert line.endswith(f"`movierec versions promote {worse.name} --override REASON`.")
    guarded = ["versions", "promote", worse.name, "--guard", "ndcg_full"]
    assert movierec(settings, *guarded).out == f"{worse.name} is current.\n"
    refused = movierec(settings, "versions", "promote", "v1.0.0", "--guard", "speed")
    assert refused.code == 2
    assert "no metric that can guard" in one_line(refused)


def test_guards_come_from_the_settings(settings, registry, monkeypatch):
    worse = variant(registry, error=1.2)
    monkeypatch.setenv("MOVIEREC_PROMOTION_GUARDS", " ndcg_full , recall_full,")
    assert load_settings().promotion_guards == ("ndcg_full", "recall_full")
    assert movierec(settings, "versions", "promote", worse.name).code == 0
    monkeypatch.setenv("MOVIEREC_PROMOTION_GUARDS", "")
    assert load_settings().promotion_guards == ()
    monkeypatch.delenv("MOVIEREC_PROMOTION_GUARDS")
    assert load_settings().promotion_guards == ("rmse", "ndcg_full")
