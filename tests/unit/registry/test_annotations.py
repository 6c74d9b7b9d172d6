"""Tags, notes, how `current` moved, and where a version comes from."""

from __future__ import annotations

import dataclasses
import os
import pwd

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.errors import ArtifactError, NotFoundError, SettingsError
from movierec.metadata import VersionMetadata
from movierec.registry import Registry, VersionDraft
from movierec.registry.annotations import changed_tags, checked_notes
from movierec.registry.lineage import lineage
from movierec.registry.promotion import previous_of
from movierec.runtime import own_user
from movierec.store import PromotionRecord, open_store
from tests.support.factories import make_dataset

DRAFT = VersionDraft("sage", "report", "planted", "f" * 64, "u1", files={"a.pth": b"weights"})


@pytest.fixture
def settings(settings, database_url):
    return settings.model_copy(update={"database_url": database_url})


@pytest.fixture
def store(settings):
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def registry(settings, store):
    made = Registry(settings, store)
    for _ in range(3):
        made.save(DRAFT)
    return made


def test_tags_are_kept_in_the_order_they_came(registry):
    assert registry.tag("v1.1.0", ["Good", " baseline "]).tags == ("Good", "baseline")
    assert registry.tag("v1.1.0", ["GOOD", "new"], ["Baseline", "never there"]).tags == (
        "Good", "new",
    )  # fmt: skip
    assert registry.get("v1.1.0").tags == registry.summaries()[1].tags == ("Good", "new")
    assert registry.tag("current", ["straße", "STRASSE"]).tags == ("straße",)
    assert registry.tag("v1.1.0", remove=["good", "NEW"]).tags == ()


@pytest.mark.parametrize(
    ("tag", "cause"),
    [
        ("", "has 0"),
        ("   ", "has 0"),
        ("x" * 41, "has 41"),
        ("a\nb", "control characters"),
        ("a\0b", "control characters"),
        ("a\u202eb", "control characters"),  # turns the text around that follows
        ("\udc80", "control characters"),
    ],
)
def test_a_tag_that_cannot_be_used(registry, tag, cause):
    with pytest.raises(SettingsError, match=cause):
        registry.tag("v1.0.0", ["fine", tag])
    assert registry.get("v1.0.0").tags == ()


def test_at_most_twenty_tags(registry):
    registry.tag("v1.0.0", [f"t{number}" for number in range(20)])
    with pytest.raises(SettingsError, match="at most 20 tags, not 21"):
        registry.tag("v1.0.0", ["one more"])
    assert len(registry.tag("v1.0.0", ["one more"], ["t0"]).tags) == 20


@given(st.lists(st.text(max_size=40)), st.lists(st.text(max_size=40)))
def test_tags_stay_apart_whatever_is_added(first, then):
    try:
        tags = changed_tags(changed_tags((), first), then, remove=first)
    except SettingsError:
        return
    assert len({tag.casefold() for tag in tags}) == len(tags) <= 20
    assert all(1 <= len(tag) <= 40 and tag.isprintable() for tag in tags)
    assert changed_tags(tags, tags) == tags


def test_notes_are_replaced_and_removed(registry):
    assert registry.annotate("v1.0.0", "a\r\nb\tü \n").notes == "a\nb\tü"
    assert registry.get("v1.0.0").notes == "a\nb\tü"
    assert registry.annotate("current", "").notes == ""
    with pytest.raises(SettingsError, match="10,001"):
        registry.annotate("v1.0.0", "x" * 10_001)
    for bad in ("a\0", "\x1b[31m", "\udc80"):
        with pytest.raises(SettingsError, match="control character"):
            registry.annotate("v1.0.0", bad)
    assert len(checked_notes("x" * 10_000)) == 10_000


def test_each_move_of_current_is_remembered(registry):
    registry.promotion.promote(
        "v1.2.0", who="ada", reason="it is Friday", checks=[{"name": "files"}]
    )
    registry.promotion.promote("v1.2.0")  # it is already
    registry.save(dataclasses.replace(DRAFT, make_current=True))
    moves = registry.promotion.history()
    assert [(m.version, m.previous, m.how) for m in moves] == [
        ("v1.3.0", "v1.2.0", "saved"),
        ("v1.2.0", "v1.0.0", "promoted"),
        ("v1.0.0", None, "saved"),
    ]
    assert (moves[1].who, moves[1].reason, moves[1].checks) == (
        "ada", "it is Friday", ({"name": "files"},),
    )  # fmt: skip
    assert moves[0].who == own_user()
    assert moves[0].at >= moves[1].at


def test_a_promotion_that_fails_leaves_no_line(registry):
    (registry.path("v1.1.0") / "a.pth").write_bytes(b"other")
    with pytest.raises(ArtifactError):
        registry.promotion.promote("v1.1.0", reason="never")
    registry.promotion.promote("v1.2.0")
    assert [move.version for move in registry.promotion.history()] == ["v1.2.0", "v1.0.0"]
    assert registry.promotion.history()[0].reason == ""


def test_current_that_moved_meanwhile_is_not_replaced(registry):
    registry.promotion.promote("v1.1.0")
    with pytest.raises(ArtifactError, match=r"Meanwhile v1\.1\.0 became current"):
        registry.promotion.promote("v1.2.0", replaces=["v1.0.0"])
    assert registry.get().name == "v1.1.0"
    assert registry.promotion.promote("v1.2.0", replaces=["v1.1.0"]).is_current


def test_rolling_back_leads_further_back_each_time(registry):
    registry.promotion.promote("v1.1.0")
    registry.promotion.promote("v1.2.0")
    assert registry.promotion.previous() == "v1.1.0"
    assert registry.promotion.rollback(who="ada", reason="slow").name == "v1.1.0"
    assert (registry.promotion.history()[0].how, registry.promotion.history()[0].reason) == (
        "rolled back",
        "slow",
    )
    assert registry.promotion.rollback().name == "v1.0.0"
    with pytest.raises(NotFoundError, match=r"no version to roll back to.*versions history"):
        registry.promotion.rollback()
    registry.promotion.promote("v1.2.0")
    assert registry.promotion.rollback().name == "v1.0.0"


def test_rolling_back_skips_what_is_no_longer_there(registry):
    registry.promotion.promote("v1.1.0")
    registry.promotion.promote("v1.2.0")
    registry.delete("v1.1.0")
    assert registry.promotion.previous() == "v1.0.0"
    registry.restore("v1.1.0")
    assert registry.promotion.previous() == "v1.1.0"
    registry.delete("v1.1.0", now=True)
    assert registry.promotion.rollback().name == "v1.0.0"


def test_rolling_back_to_a_broken_version_is_refused(registry):
    registry.promotion.promote("v1.1.0")
    (registry.path("v1.0.0") / "a.pth").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"v1\.0\.0 cannot become current: a\.pth"):
        registry.promotion.rollback()
    assert registry.get().name == "v1.1.0"


@pytest.mark.parametrize(
    ("moves", "there", "expected"),
    [
        ("", "ABC", None),
        ("A", "ABC", None),
        ("AB", "ABC", "A"),
        ("ABA", "ABC", "B"),
        ("ABCb", "ABC", "A"),
        ("ABCba", "ABC", None),
        ("ABCbC", "ABC", "B"),
        ("ABC", "C", None),
        ("ABC", "AC", "A"),
    ],
)
def test_where_a_rollback_leads(moves, there, expected):
    """Capital letters are promotions, small ones rollbacks."""
    records, before = [], None
    for move in moves:
        how = "rolled back" if move.islower() else "promoted"
        records.insert(0, PromotionRecord(0, None, move.upper(), before, "", how))
        before = move.upper()
    assert previous_of(records, before, there) == expected


def test_the_version_before_the_history_began_can_be_rolled_back_to():
    first = PromotionRecord(1, None, "B", "A", "", "promoted")
    assert previous_of([first], "B", {"A", "B"}) == "A"


def test_a_user_without_a_name_is_a_number(monkeypatch):
    assert own_user()

    def unknown(number):
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert own_user() == f"user {os.getuid()}"


def test_lineage_of_clones(store, registry):
    ids = [store.runs.add("train", request={}, parent_id=None).id]
    for _ in range(2):
        ids.append(store.runs.add("train", request={}, parent_id=ids[-1]).id)
    record = registry.save(dataclasses.replace(DRAFT, run_id=ids[-1]))
    found = lineage(store, record)
    assert (found.run_id, found.parents, found.sweep) == (ids[2], (ids[1], ids[0]), "")
    assert found.facts() == {
        "Data set": "planted; not in this database",
        "Run": f"{ids[2]}, queued",
        "Cloned from": f"run {ids[1]}, which is a clone of run {ids[0]}",
    }


def test_lineage_of_what_a_sweep_found(store, registry):
    dataset = make_dataset()
    store.datasets.add(dataset, {})
    sweep = store.runs.add("sweep", request={"name": "tune"})
    run = store.runs.add("train", request={}, parent_id=sweep.id)
    store.runs.add_facts(run.id, {"trial": 7})
    facts = {"data_source": "GroupLens"}
    draft = dataclasses.replace(
        DRAFT, run_id=run.id, fingerprint=dataset.fingerprint, metadata=VersionMetadata.of(facts)
    )
    found = lineage(store, registry.save(draft))
    assert (found.sweep, found.trial, found.is_data_here) == ("tune", 7, True)
    assert found.facts() == {
        "Data set": "planted, from GroupLens",
        "Run": f"{run.id}, queued",
        "Sweep": "tune, trial 7",
    }


def test_lineage_of_what_came_in_an_archive(store, registry):
    origin = {
        "archive": "x.movierec.zip", "name": "v7.0.0", "imported_at": "2026-11-25T01:02:03+00:00",
    }  # fmt: skip
    record = dataclasses.replace(registry.get("v1.1.0"), origin=origin)
    assert lineage(store, record).facts() == {
        "Data set": "planted; not in this database",
        "Imported": "from x.movierec.zip, where it was v7.0.0",
        "Imported at": "2026-11-25 01:02",
    }


def test_summaries_hold_of_the_metadata_what_lists_show(store, registry):
    facts = {"evaluation": {"rmse": 0.5, "full": {"ndcg_at_10": None}}, "slices": [1] * 99}
    registry.save(dataclasses.replace(DRAFT, metadata=VersionMetadata.of(facts)))
    full, short = registry.list(), registry.summaries()
    assert short[0].metadata.as_dict() == {"evaluation": facts["evaluation"]}
    assert [dataclasses.replace(r, metadata=VersionMetadata()) for r in full] == [
        dataclasses.replace(r, metadata=VersionMetadata()) for r in short
    ]
    assert short[1].metadata.as_dict() == {}
    picked = store.versions.summaries(["slices", "model_version"])[0].metadata
    assert picked.as_dict() == {"slices": [1] * 99, "model_version": "v1.3.0"}
