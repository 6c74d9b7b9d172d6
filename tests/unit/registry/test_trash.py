"""The trash: deleted versions keep everything until they are restored or their time is over."""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime, timedelta

import pytest

from movierec.errors import ArtifactError, NotFoundError, StoreError
from movierec.jobs.retention import drop_expired_versions
from movierec.metadata import VersionMetadata
from movierec.registry import Registry, VersionDraft
from movierec.store import open_store

DRAFT = VersionDraft(
    model="sage",
    preset="report",
    dataset_name="ml-100k",
    fingerprint="f" * 64,
    split_label="u1",
    metadata=VersionMetadata.of({"evaluation": {"rmse": 0.9}, "notes": "in the file"}),
    files={"graphsage_model.pth": b"weights" * 100},
)


@pytest.fixture
def settings(settings, database_url):
    return settings.model_copy(update={"database_url": database_url})


@pytest.fixture
def store(settings):
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def registry(settings, store):
    """Two versions, the first one current; the second has words."""
    made = Registry(settings, store)
    made.save(DRAFT)
    made.save(dataclasses.replace(DRAFT, run_id=store.runs.add("train", request={}).id))
    made.tag("v1.1.0", ["good", "kept"])
    made.annotate("v1.1.0", "Ünïcode\nand lines")
    return made


def names_in(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_deleted_version_goes_to_the_trash_and_comes_back_as_it_was(settings, store, registry):
    before = registry.get("v1.1.0")
    registry.delete("v1.1.0")
    assert [record.name for record in registry.list()] == ["v1.0.0"]
    assert [record.name for record in registry.summaries()] == ["v1.0.0"]
    assert names_in(settings.models_path) == {"v1.0.0", "current", ".lock", ".trash"}
    (kept,) = registry.trash()
    assert (kept.name, kept.tags, kept.notes) == ("v1.1.0", before.tags, before.notes)
    age = kept.trashed_until - kept.trashed_at
    assert abs(age - timedelta(days=settings.trash_days)) < timedelta(minutes=5)
    assert registry.restore("v1.1.0") == before
    assert registry.verify("v1.1.0") == []
    assert registry.trash() == []
    assert names_in(settings.models_path) == {"v1.0.0", "v1.1.0", "current", ".lock"}
    assert registry.reconcile() == []


def test_the_trash_says_how_much_disk_it_holds(settings, registry):
    size = registry.get("v1.1.0").size_bytes
    assert registry.trash_bytes() == 0
    registry.delete("v1.1.0")
    assert registry.trash_bytes() == size
    (settings.models_path / ".trash" / "v1.1.0" / "more").write_bytes(b"12345")
    assert registry.trash_bytes() == size + 5
    assert [record.name for record in registry.empty_trash()] == ["v1.1.0"]
    assert registry.trash_bytes() == 0


def test_what_is_in_the_trash_is_not_found_but_says_how_to_bring_it_back(registry):
    registry.delete("v1.1.0")
    for method in (
        registry.get,
        registry.path,
        registry.promotion.promote,
        registry.delete,
        registry.tag,
    ):
        with pytest.raises(NotFoundError, match=r"v1\.1\.0 is in the trash.*versions restore"):
            method("v1.1.0")


def test_a_name_in_the_trash_stays_taken(store, registry):
    registry.delete("v1.1.0")
    assert registry.save(DRAFT).name == "v1.2.0"
    with pytest.raises(ArtifactError, match=r"already is a version v1\.1\.0"):
        registry.save(dataclasses.replace(DRAFT, name="v1.1.0"))
    kept = registry.trash()[0]
    with pytest.raises(StoreError, match=r"already is a version v1\.1\.0 in the trash"):
        store.versions.add(kept)


def test_deleting_now_frees_the_disk_at_once(settings, store, registry):
    registry.delete("v1.1.0", now=True)
    assert registry.trash() == []
    assert names_in(settings.models_path) == {"v1.0.0", "current", ".lock"}
    assert "v1.1.0" in store.versions.names_ever()
    with pytest.raises(NotFoundError, match=r"'v1\.1\.0' is not in the trash.*trash is empty"):
        registry.restore("v1.1.0")


def test_without_days_in_the_trash_every_deletion_is_at_once(settings, store, registry):
    Registry(settings.model_copy(update={"trash_days": 0.0}), store).delete("v1.1.0")
    assert registry.trash() == []
    assert names_in(settings.models_path) == {"v1.0.0", "current", ".lock"}


def test_the_current_version_is_spared_either_way(registry):
    for now in (False, True):
        with pytest.raises(ArtifactError, match="is the current one"):
            registry.delete("current", now=now)
    assert registry.get().name == "v1.0.0"


def test_a_version_whose_folder_is_gone_is_deleted_for_good(settings, registry):
    (settings.models_path / "v1.1.0").rename(settings.home / "aside")
    registry.delete("v1.1.0")
    assert registry.trash() == []


@pytest.mark.parametrize("how", ["reconcile", "worker", "command"])
def test_what_was_in_the_trash_for_its_time_is_removed(settings, store, registry, how, caplog):
    registry.save(DRAFT)
    registry.delete("v1.1.0")
    registry.delete("v1.2.0")
    store.versions.trash("v1.1.0", datetime.now(UTC) - timedelta(seconds=1))
    if how == "reconcile":
        assert registry.reconcile() == ["Deleted v1.1.0: its time in the trash was over."]
    elif how == "worker":
        caplog.set_level(logging.INFO)
        assert drop_expired_versions(settings, store) == ["v1.1.0"]
        assert "v1.1.0" in caplog.text
    else:
        assert [r.name for r in registry.empty_trash(expired_only=True)] == ["v1.1.0"]
    assert [record.name for record in registry.trash()] == ["v1.2.0"]
    assert names_in(settings.models_path / ".trash") == {"v1.2.0"}
    assert registry.reconcile() == []


def test_a_worker_works_though_the_trash_cannot_be_emptied(settings, store, registry, caplog):
    registry.delete("v1.1.0")
    store.versions.trash("v1.1.0", datetime.now(UTC))
    lock = settings.models_path / ".lock"
    lock.unlink()
    lock.mkdir()
    assert drop_expired_versions(settings, store) == []
    assert "the trash cannot be emptied" in caplog.text
    assert len(registry.trash()) == 1


def test_files_lost_from_the_trash_are_said(settings, registry):
    registry.delete("v1.1.0")
    kept = settings.models_path / ".trash" / "v1.1.0"
    kept.rename(settings.home / "aside")
    assert registry.reconcile() == ["The folder of v1.1.0 is missing."]
    with pytest.raises(ArtifactError, match=r"no longer in the trash.*from a backup"):
        registry.restore("v1.1.0")
    assert registry.trash()[0].is_missing
    kept.parent.mkdir()
    (settings.home / "aside").rename(kept)
    assert registry.reconcile() == ["The folder of v1.1.0 is there again."]
    assert registry.restore("v1.1.0").tags == ("good", "kept")


def test_a_folder_in_the_way_is_left_alone(settings, registry):
    registry.delete("v1.1.0")
    mine = settings.models_path / "v1.1.0"
    mine.mkdir()
    (mine / "mine.txt").write_text("precious")
    with pytest.raises(ArtifactError, match="in the way"):
        registry.restore("v1.1.0")
    assert (mine / "mine.txt").read_text() == "precious"
    assert len(registry.trash()) == 1


def test_files_that_cannot_be_moved_leave_the_version_listed(settings, registry):
    (settings.models_path / ".trash").write_text("a file in the folder's place")
    with pytest.raises(ArtifactError, match="cannot be written"):
        registry.delete("v1.1.0")
    assert registry.get("v1.1.0").trashed_at is None
    assert registry.verify("v1.1.0") == []


def test_a_lost_database_finds_the_trash_again(settings, store, registry):
    registry.delete("v1.1.0")
    store.versions.delete("v1.1.0")  # as if the row had never been
    assert registry.reconcile() == ["Found v1.1.0 in the trash."]
    assert registry.restore("v1.1.0").metadata.evaluation.as_dict() == {"rmse": 0.9}
    assert registry.reconcile() == []


def test_a_broken_folder_in_the_trash_is_not_taken_up(settings, store, registry):
    registry.delete("v1.1.0")
    store.versions.delete("v1.1.0")
    (settings.models_path / ".trash" / "v1.1.0" / "graphsage_model.pth").write_bytes(b"")
    (line,) = registry.reconcile()
    assert line.startswith("v1.1.0 in the trash is not taken up: graphsage_model.pth has 0 bytes")
    assert registry.trash() == []


def test_a_link_in_the_trash_is_never_followed(settings, registry):
    registry.delete("v1.1.0")
    outside = settings.home / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    kept = settings.models_path / ".trash" / "v1.1.0"
    kept.rename(settings.home / "aside")
    kept.symlink_to(outside)
    with pytest.raises(ArtifactError, match="no longer in the trash"):
        registry.restore("v1.1.0")
    registry.empty_trash()
    assert (outside / "precious.txt").read_text() == "precious"
    assert not (settings.models_path / ".trash").exists()
