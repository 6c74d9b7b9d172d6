"""Every way in which two kept versions may not be compared, each named for what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from movierec.comparison.comparability import obstacles
from movierec.comparison.evidence import read_evidence
from movierec.comparison.pairs import compare_pair
from movierec.data.splits import SplitSpec
from movierec.store import open_store
from tests.conftest import refuse_user_paths
from tests.support.factories import make_dataset
from tests.support.kept_versions import DATA, Kept, Settings

OTHER_RATINGS = make_dataset(60, 40, 0.4, seed=1)
OTHER_NAME = replace(OTHER_RATINGS, name="elsewhere")
COLD, LAST, NEWEST = (SplitSpec(name=name) for name in ("cold-users", "leave-last-n", "temporal"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    root = tmp_path_factory.mktemp("kept")
    settings = refuse_user_paths(Settings(home=root, device="cpu"), root)
    with open_store(settings) as store:
        project = Kept(settings, store)
        assert project.keep() == "v1.0.0"
        yield project


def protocol(**values: Any) -> Callable[[dict[str, Any]], object]:
    """Have another protocol recorded; None takes a word out."""

    def change(metadata: dict[str, Any]) -> None:
        recorded = metadata["evaluation"]["protocol"]
        for key, value in values.items():
            recorded[key] = {**recorded[key], **value} if isinstance(value, dict) else value

    return change


def with_users(edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Kept], str]:
    return lambda kept: kept.keep(users=edit)


def broken(kept: Kept, how: Callable[[Kept, str], object]) -> str:
    name = kept.keep(noise=0.5)
    how(kept, name)
    return name


def without_folder(kept: Kept, name: str) -> None:
    shutil.rmtree(kept.folder(name))


def without_file(kept: Kept, name: str) -> None:
    (kept.folder(name) / "per_user.parquet").unlink()


def with_another_byte(kept: Kept, name: str) -> None:
    path = kept.folder(name) / "per_user.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def with_torn_metadata(kept: Kept, name: str) -> None:
    path = kept.folder(name) / "metadata.json"
    path.write_text(path.read_text()[:-40])


WAYS: list[tuple[str, str, str, str, Callable[[Kept], str]]] = [
    # key, a word of the baseline's value, a word of the other's, what helps, the other version
    ("folder", "there", "missing", "restore", lambda k: broken(k, without_folder)),
    ("file", "there", "unusable", "restore", lambda k: broken(k, without_file)),
    ("file", "there", "unusable", "restore", lambda k: broken(k, with_another_byte)),
    ("file", "there", "unusable", "restore", lambda k: broken(k, with_torn_metadata)),
    ("file", "there", "unusable", "restore", lambda k: k.keep(content=b"no table")),
    ("protocol", "recorded", "not recorded", "again", lambda k: k.keep(evaluation=None)),
    ("fingerprint", "planted", "elsewhere", "retrain", lambda k: k.keep(dataset=OTHER_NAME)),
    ("fingerprint", DATA.fingerprint[:10], OTHER_RATINGS.fingerprint[:10], "retrain",
     lambda k: k.keep(dataset=OTHER_RATINGS)),
    ("split", "random", "temporal", "common", lambda k: k.keep(split=NEWEST)),
    ("seed", "42", "7", "common", lambda k: k.keep(split=SplitSpec(seed=7))),
    ("parameters", "test_fraction 0.2", "test_fraction 0.3", "common",
     lambda k: k.keep(split=SplitSpec(test_fraction=0.3))),
    ("test part", "…", "…", "common", lambda k: k.keep(change=protocol(test_sha256="0" * 64))),
    ("support", "0", "9", "common", lambda k: k.keep(change=protocol(n_support=9))),
    ("k", "10", "5", "again", lambda k: k.keep(k=5)),
    ("predictions", "clipped to 1-5", "clipped to 0.5-5", "again",
     lambda k: k.keep(change=protocol(predictions="clipped to 0.5-5"))),
    ("thresholds", "full_4 4", "full_4 3.5", "again",
     lambda k: k.keep(change=protocol(thresholds={"full_4": 3.5}))),
    ("candidates", "all movies but", "100 sampled movies", "again",
     lambda k: k.keep(change=protocol(candidates={"full": "100 sampled movies"}))),
    ("definitions", "ties one fixed random order", "ties not recorded", "again",
     lambda k: k.keep(change=protocol(ties=None))),
    ("users", "59, 1 only here", "58, 0 only here", "common", with_users(lambda f: f.iloc[1:])),
    ("ratings", "207, ", "208, ", "common",
     with_users(lambda f: f.assign(n_test=f["n_test"] + (f.index == 3)))),
    ("known", "811, ", "870, ", "common",
     with_users(lambda f: f.assign(n_train=f["n_train"] + 1))),
    ("fit", "fits", "RMSE differs", "again",
     with_users(lambda f: f.assign(sq_error_sum=f["sq_error_sum"] * 1.001))),
]  # fmt: skip
IDS = [f"{way[0]}-{place}" for place, way in enumerate(WAYS)]


@pytest.mark.parametrize(("key", "before", "after", "remedy", "other"), WAYS, ids=IDS)
def test_each_way_is_named_alone(kept, key, before, after, remedy, other):
    baseline, version = kept.evidence("v1.0.0", other(kept))
    (found,) = obstacles(baseline, version)
    assert (found.key, found.remedy) == (key, remedy)
    assert before in found.baseline
    assert after in found.version
    assert found.baseline != found.version
    assert found.message.endswith(".")
    assert found.what in compare_pair(baseline, version).sentence
    (back,) = obstacles(version, baseline)
    assert (back.key, back.baseline, back.version) == (key, found.version, found.baseline)


def test_as_many_users_need_not_be_the_same(kept):
    name = kept.keep(users=lambda f: f.assign(user_id=f["user_id"].replace("u5", "u99")))
    (found,) = obstacles(*kept.evidence("v1.0.0", name))
    assert (found.key, found.baseline) == ("users", "59, 1 only here")


def test_as_many_ratings_need_not_be_of_the_same_users(kept):
    name = kept.keep(
        users=lambda f: f.assign(n_test=f["n_test"] + (f.index == 0) - (f.index == 1) * 1)
    )
    (found,) = obstacles(*kept.evidence("v1.0.0", name))
    assert found.key == "ratings"
    assert found.baseline != found.version


def test_at_least_twelve_ways_are_told_apart():
    assert len({way[0] for way in WAYS}) >= 12


@pytest.mark.parametrize(
    ("one", "other", "key"),
    [
        (COLD, COLD.model_copy(update={"given": 3}), "parameters"),
        (COLD, COLD.model_copy(update={"seed": 1}), "seed"),
        (LAST, LAST.model_copy(update={"last_n": 2}), "parameters"),
        (NEWEST, NEWEST.model_copy(update={"test_fraction": 0.1}), "parameters"),
    ],
)
def test_what_holds_out_of_each_split_counts(kept, one, other, key):
    sides = kept.evidence(kept.keep(split=one), kept.keep(split=other))
    assert [found.key for found in obstacles(*sides)] == [key]


ALIKE = [
    SplitSpec(validation_fraction=0.2),  # measured on the same ratings, whatever it learnt from
    SplitSpec(given=1, last_n=1),  # which a random split does not heed
]


@pytest.mark.parametrize("split", ALIKE)
def test_what_does_not_change_the_test_part_is_no_obstacle(kept, split):
    assert obstacles(*kept.evidence("v1.0.0", kept.keep(noise=0.4, split=split))) == ()


def test_the_seed_of_a_temporal_split_draws_no_test_part(kept):
    names = [kept.keep(split=NEWEST), kept.keep(split=NEWEST.model_copy(update={"seed": 1}))]
    assert obstacles(*kept.evidence(*names)) == ()


def test_equal_versions_meet_no_obstacle(kept):
    name = kept.keep()
    assert obstacles(*kept.evidence("v1.0.0", name)) == ()
    assert obstacles(*kept.evidence("v1.0.0", "v1.0.0")) == ()


def test_two_rules_that_differ_are_both_named(kept):
    name = kept.keep(change=protocol(ties="by id", predictions="not clipped"))
    found = obstacles(*kept.evidence("v1.0.0", name))
    assert {obstacle.key for obstacle in found} == {"definitions", "predictions"}
    sentence = compare_pair(*kept.evidence("v1.0.0", name)).sentence
    assert all(obstacle.what in sentence for obstacle in found)


def test_an_incomparable_pair_shows_no_difference(kept):
    pair = compare_pair(*kept.evidence("v1.0.0", kept.keep(split=SplitSpec(seed=3))))
    assert not pair.is_comparable
    assert (pair.differences, pair.deltas) == ((), {})
    assert pair.sentence.endswith("can't be compared with v1.0.0: the split's seed")


def test_a_folder_that_comes_back_is_seen_at_once(kept):
    name, aside = kept.keep(), kept.settings.models_path / "aside"
    kept.folder(name).rename(aside)
    assert read_evidence(kept.registry, name).record.is_missing
    aside.rename(kept.folder(name))
    assert obstacles(*kept.evidence("v1.0.0", name)) == ()


def test_a_model_that_heeds_time_is_compared_and_said_to(kept):
    def heeds(metadata: dict[str, Any]) -> None:
        metadata["evaluation"]["protocol"]["rating_time"] = "known to the predicted rating"
        metadata["evaluation"]["without_time"] = {"rmse": 0.98765}

    baseline, timed = kept.evidence("v1.0.0", kept.keep(change=heeds))
    assert obstacles(baseline, timed) == ()
    (said,) = compare_pair(baseline, timed).caveats
    assert f"Only {timed.record.name} knows when" in said
    assert "0.9877" in said
    assert compare_pair(timed, baseline).caveats == (said,)
    assert compare_pair(timed, timed).caveats == ()


def test_lists_ranked_by_something_else_are_said_to_be(kept):
    name = kept.keep(change=protocol(rated_ranked_by="score"))
    pair = compare_pair(*kept.evidence("v1.0.0", name))
    assert pair.is_comparable
    assert pair.caveats == (
        f"The user's own movies (rated) are ranked for v1.0.0 by its prediction and {name} by its "
        "score.",
    )


def test_metadata_of_another_make_are_no_crash(kept):
    """What an archive from elsewhere may hold."""
    for odd in ([], "text", 7, {"protocol": []}, {"protocol": {"thresholds": [1]}}):
        name = kept.keep(evaluation=odd)
        assert obstacles(*kept.evidence("v1.0.0", name))
    record = kept.evidence("v1.0.0")[0].record
    assert (
        json.loads((kept.folder("v1.0.0") / "metadata.json").read_text())
        == record.metadata.as_dict()
    )
