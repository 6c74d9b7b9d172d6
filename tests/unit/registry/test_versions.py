"""Versions: saved whole, found by name, checked, promoted, deleted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import threading

import numpy as np
import pytest

from movierec.errors import ArtifactError, MovierecError, NotFoundError, StoreError
from movierec.metadata import VersionMetadata
from movierec.registry import Registry, VersionDraft
from movierec.registry.files import problems_of
from movierec.store import open_store

DRAFT = VersionDraft(
    model="sage",
    preset="report",
    dataset_name="ml-100k",
    fingerprint="f" * 64,
    split_label="random 80/20, seed 42",
    metadata=VersionMetadata.of(
        {"metrics": {"val_rmse": np.float32(0.5), "ndcg": float("nan")}, "zeta": 1}
    ),
    files={
        "graphsage_model.pth": b"weights",
        "preprocessor.pkl": b"names",
        "per_user.parquet": lambda path: path.write_bytes(b"rows") and None,
    },
    arrays={"user_factors": np.arange(6.0).reshape(3, 2), "none": np.zeros((0, 4), np.float32)},
    parameters=28_000,
)


SQLITE_ALONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings, database_url):
    return settings.model_copy(update={"database_url": database_url})


@pytest.fixture
def store(settings):
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def registry(settings, store):
    return Registry(settings, store)


def test_a_saved_version_is_a_folder_and_a_row(settings, store, registry):
    run = store.runs.add("train", request={})
    record = registry.save(dataclasses.replace(DRAFT, run_id=run.id))
    assert record == registry.get("v1.0.0") == registry.list()[0]
    assert (record.model, record.preset, record.run_id) == ("sage", "report", run.id)
    assert (record.dataset_name, record.fingerprint) == ("ml-100k", "f" * 64)
    assert record.split_label == "random 80/20, seed 42"
    assert record.parameters == 28_000
    folder = settings.models_path / "v1.0.0"
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files == {
        "graphsage_model.pth",
        "preprocessor.pkl",
        "per_user.parquet",
        "metadata.json",
        "serving/user_factors.npy",
        "serving/none.npy",
    }
    assert record.size_bytes == sum((folder / name).stat().st_size for name in files)
    assert registry.verify("v1.0.0") == []


def test_metadata_is_strict_sorted_json_with_a_hash_of_every_file(registry):
    record = registry.save(DRAFT)
    text = (registry.path("v1.0.0") / "metadata.json").read_text()
    facts = json.loads(text)
    assert text == json.dumps(facts, indent=2, sort_keys=True) + "\n"
    assert facts == record.metadata.as_dict()
    assert facts["metrics"] == {"val_rmse": 0.5, "ndcg": None}
    assert (facts["model_version"], facts["zeta"]) == ("v1.0.0", 1)
    assert facts["files"]["preprocessor.pkl"] == {
        "bytes": 5,
        "sha256": hashlib.sha256(b"names").hexdigest(),
    }
    assert "metadata.json" not in facts["files"]
    assert len(facts["files"]) == 5


@pytest.mark.parametrize("mmap", [True, False])
def test_arrays_come_back(registry, mmap):
    registry.save(DRAFT)
    found = registry.arrays("v1.0.0", mmap=mmap)
    assert set(found) == set(DRAFT.arrays)
    for name, array in DRAFT.arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert found["user_factors"].flags.writeable is not mmap


def test_numbers_go_on_and_are_not_given_again(registry):
    names = [registry.save(DRAFT).name for _ in range(3)]
    assert names == ["v1.0.0", "v1.1.0", "v1.2.0"]
    registry.delete("v1.2.0", now=True)
    assert registry.save(DRAFT).name == "v1.3.0"
    assert registry.save(dataclasses.replace(DRAFT, name="v2.0.0")).name == "v2.0.0"
    assert registry.save(DRAFT).name == "v2.1.0"
    assert registry.save(dataclasses.replace(DRAFT, name="v1.2.0")).name == "v1.2.0"


def test_two_digits_count_as_numbers(registry):
    registry.save(dataclasses.replace(DRAFT, name="v1.9.0"))
    assert [registry.save(DRAFT).name for _ in range(2)] == ["v1.10.0", "v1.11.0"]


def test_a_taken_name_is_refused_and_nothing_left(settings, registry):
    registry.save(DRAFT)
    with pytest.raises(ArtifactError, match=r"already is a version v1\.0\.0"):
        registry.save(dataclasses.replace(DRAFT, name="v1.0.0"))
    names = {p.name for p in settings.models_path.iterdir()}
    assert names == {"v1.0.0", "current", ".lock"}


def test_the_first_version_becomes_current_and_others_when_asked(settings, registry):
    assert registry.save(DRAFT).is_current
    assert not registry.save(DRAFT).is_current
    assert registry.get("current").name == "v1.0.0"
    assert registry.save(dataclasses.replace(DRAFT, make_current=True)).is_current
    assert registry.get().name == "v1.2.0"
    assert str((settings.models_path / "current").readlink()) == "v1.2.0"


def test_a_version_may_be_kept_without_becoming_current(registry):
    assert not registry.save(dataclasses.replace(DRAFT, make_current=False)).is_current
    with pytest.raises(NotFoundError, match=r"no current version.*movierec train"):
        registry.get()


def test_promoting_and_rolling_back(settings, registry):
    registry.save(DRAFT)
    registry.save(DRAFT)
    for name in ("v1.1.0", "v1.0.0"):
        assert registry.promotion.promote(name).is_current
        assert [r.name for r in registry.list() if r.is_current] == [name]
        assert str((settings.models_path / "current").readlink()) == name
        assert registry.path().name == name


def test_a_broken_version_cannot_be_promoted(registry):
    registry.save(DRAFT)
    registry.save(DRAFT)
    (registry.path("v1.1.0") / "preprocessor.pkl").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"cannot become current: preprocessor.pkl was changed"):
        registry.promotion.promote("v1.1.0")
    assert registry.get().name == "v1.0.0"


def test_deleting_frees_the_disk_and_spares_the_current_one(settings, registry):
    registry.save(DRAFT)
    registry.save(DRAFT)
    with pytest.raises(ArtifactError, match=r"is the current one.*Promote another version first"):
        registry.delete("current")
    registry.delete("v1.1.0", now=True)
    assert {p.name for p in settings.models_path.iterdir()} == {"v1.0.0", "current", ".lock"}
    with pytest.raises(NotFoundError, match=r"no version 'v1\.1\.0'.*There is v1\.0\.0"):
        registry.get("v1.1.0")


@pytest.mark.parametrize(
    "name",
    ["", "v1", "../v1.0.0", "v1.0.0/../../etc", "/etc/passwd", "v1.0.0\n", "v１.0.0", "V1.0.0"],
)
def test_a_name_that_is_no_versions_name(registry, name):
    registry.save(DRAFT)
    for method in (registry.get, registry.path, registry.verify, registry.delete):
        with pytest.raises(NotFoundError, match="not a version's name"):
            method(name)
    if name:
        with pytest.raises(ArtifactError, match="cannot be a version's name"):
            registry.save(dataclasses.replace(DRAFT, name=name))


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/etc/x", ".hidden", "", "metadata.json", "serving"]
)
def test_a_files_name_that_leads_elsewhere(settings, registry, name):
    with pytest.raises(ArtifactError, match="cannot be the name"):
        registry.save(dataclasses.replace(DRAFT, files={name: b""}))
    with pytest.raises(ArtifactError, match="cannot be the name"):
        registry.save(dataclasses.replace(DRAFT, arrays={f"../{name}": np.zeros(1)}))
    assert registry.list() == []
    assert {p.name for p in settings.models_path.iterdir()} <= {".lock"}


def test_arrays_of_objects_are_not_stored(registry):
    draft = dataclasses.replace(DRAFT, arrays={"x": np.array([{}], dtype=object)})
    with pytest.raises(ArtifactError, match="type object"):
        registry.save(draft)


def test_metadata_that_is_not_json(registry):
    with pytest.raises(ArtifactError, match="cannot be stored: object"):
        registry.save(dataclasses.replace(DRAFT, metadata=VersionMetadata.of({"x": object()})))


def test_a_writer_that_fails_leaves_nothing(settings, registry):
    def fail(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(ArtifactError, match=r"No space left on device.*free disk space"):
        registry.save(dataclasses.replace(DRAFT, files={"a.pth": b"x", "b.pth": fail}))
    assert list(settings.models_path.iterdir()) == []


def change(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda d: change(d / "graphsage_model.pth"), "graphsage_model.pth was changed: wrong"),
        (lambda d: change(d / "serving/user_factors.npy"), "serving/user_factors.npy was changed"),
        (lambda d: (d / "per_user.parquet").unlink(), "per_user.parquet: no such file"),
        (lambda d: (d / "preprocessor.pkl").write_bytes(b""), "has 0 bytes instead of 5"),
        (lambda d: (d / "extra.txt").write_text(""), "extra.txt does not belong to it"),
        (lambda d: (d / "serving/x.npy").write_text(""), "serving/x.npy does not belong to it"),
        (lambda d: (d / "metadata.json").unlink(), "No such file"),
        (lambda d: (d / "metadata.json").write_text("{"), "it is not JSON"),
        (lambda d: d.rename(d.with_name("aside")), "Its folder is missing"),
    ],
)
def test_verify_names_the_problem(registry, damage, problem):
    registry.save(DRAFT)
    damage(registry.path("v1.0.0"))
    (found,) = registry.verify("v1.0.0")
    assert problem in found


@SQLITE_ALONE
def test_a_folder_that_comes_and_goes_while_it_is_checked(settings, registry):
    """As when another process deletes and restores the version: a problem, never a crash."""
    registry.save(DRAFT)
    folder, aside = settings.models_path / "v1.0.0", settings.models_path / "aside"
    is_over = threading.Event()

    def move() -> None:
        while not is_over.is_set():
            folder.rename(aside)
            aside.rename(folder)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        found = [problems_of(folder) for _ in range(1_000)]
        while not any(found):  # the other thread has yet to be given time
            found.append(problems_of(folder))
    finally:
        is_over.set()
        mover.join()
    assert problems_of(folder) == []


def test_metadata_of_another_version_is_noticed(registry):
    registry.save(DRAFT)
    registry.save(DRAFT)
    one, two = (registry.path(name) / "metadata.json" for name in ("v1.0.0", "v1.1.0"))
    two.write_bytes(one.read_bytes())
    assert registry.verify("v1.1.0") == ["metadata.json is that of 'v1.0.0'."]


def test_edited_metadata_is_noticed(registry):
    registry.save(DRAFT)
    path = registry.path() / "metadata.json"
    path.write_text(path.read_text().replace("0.5", "0.4"))
    assert registry.verify() == ["metadata.json differs from the copy in the database."]


def test_loading_refuses_a_changed_file(registry):
    registry.save(DRAFT)
    assert registry.file("v1.0.0", "preprocessor.pkl").read_bytes() == b"names"
    change(registry.path() / "serving/user_factors.npy")
    change(registry.path() / "preprocessor.pkl")
    with pytest.raises(ArtifactError, match=r"user_factors\.npy was changed.*train it again"):
        registry.arrays()
    with pytest.raises(ArtifactError, match=r"preprocessor\.pkl was changed"):
        registry.file("v1.0.0", "preprocessor.pkl")
    with pytest.raises(ArtifactError, match=r"It has no \.\./x"):
        registry.file("v1.0.0", "../x")


def test_reconcile_has_nothing_to_do_after_normal_work(registry):
    registry.save(DRAFT)
    registry.save(DRAFT)
    registry.promotion.promote("v1.1.0")
    registry.delete("v1.0.0")
    assert registry.reconcile() == []


@SQLITE_ALONE
def test_reconcile_brings_back_everything_when_the_database_is_lost(settings, registry):
    registry.save(DRAFT)
    registry.save(DRAFT)
    registry.promotion.promote("v1.1.0")
    saved = registry.list()
    settings.database_path.rename(settings.data_path / "lost.db")
    with open_store(settings) as store:
        fresh = Registry(settings, store)
        assert len(fresh.reconcile()) == 3
        assert fresh.list() == saved
        assert fresh.reconcile() == []


def test_reconcile_does_not_adopt_what_is_not_whole(settings, store, registry):
    registry.save(DRAFT)
    registry.save(DRAFT)
    store.versions.delete("v1.1.0")
    change(settings.models_path / "v1.1.0" / "preprocessor.pkl")
    (line,) = registry.reconcile()
    assert line.startswith("v1.1.0 is not taken up: preprocessor.pkl was changed")
    assert [record.name for record in registry.list()] == ["v1.0.0"]


def test_a_lost_folder_is_marked_and_the_newest_left_becomes_current(settings, store, registry):
    for _ in range(3):
        registry.save(DRAFT)
    folder = settings.models_path / "v1.0.0"
    folder.rename(settings.home / "aside")
    registry.reconcile()
    assert store.versions.get("v1.0.0").is_missing
    assert registry.get().name == "v1.2.0"
    with pytest.raises(ArtifactError, match=r"folder of version v1\.0\.0 is missing"):
        registry.arrays("v1.0.0")
    (settings.home / "aside").rename(folder)
    assert registry.reconcile() == ["The folder of v1.0.0 is there again."]
    assert not store.versions.get("v1.0.0").is_missing


def test_a_lost_version_can_be_deleted(settings, registry):
    registry.save(DRAFT)
    registry.save(DRAFT)
    (settings.models_path / "v1.1.0").rename(settings.home / "aside")
    registry.delete("v1.1.0")
    assert [record.name for record in registry.list()] == ["v1.0.0"]


@pytest.mark.parametrize("target", ["v9.9.9", "../../etc", "v1.1.0/serving"])
def test_an_alias_that_leads_nowhere_is_repaired(settings, registry, target):
    registry.save(DRAFT)
    registry.save(DRAFT)
    link = settings.models_path / "current"
    link.unlink()
    link.symlink_to(target)
    assert registry.reconcile() == ["`current` now leads to v1.0.0."]
    assert str(link.readlink()) == "v1.0.0"


def test_a_folder_in_the_aliass_place_is_left_alone(settings, registry):
    (settings.models_path / "current").mkdir()
    (settings.models_path / "current" / "mine.txt").write_text("precious")
    with pytest.raises(ArtifactError, match=r"not a link.*Move it away"):
        registry.save(DRAFT)
    assert any("not a link" in line for line in registry.reconcile())
    assert (settings.models_path / "current" / "mine.txt").read_text() == "precious"


def test_a_version_under_way_in_a_living_process_is_left_alone(settings, registry):
    seen = []

    def look(path):
        seen.extend(registry.reconcile())
        path.write_bytes(b"x")

    registry.save(dataclasses.replace(DRAFT, files={"a.pth": look}))
    assert seen == []
    assert registry.verify() == []


def test_a_row_for_a_taken_name_is_refused(store, registry):
    record = registry.save(DRAFT)
    with pytest.raises(StoreError, match="already is a version"):
        store.versions.add(record)
    with pytest.raises(NotFoundError):
        store.versions.set_current("v7.0.0")
    assert store.versions.current() == record


@SQLITE_ALONE
def test_a_full_database_leaves_a_version_that_the_next_start_takes_up(settings, registry):
    registry.save(DRAFT)
    with open_store(settings) as other:
        from sqlalchemy import event

        event.listen(
            other.engine, "connect", lambda c, _: c.execute("PRAGMA max_page_count=1").close()
        )
        other.close()
        with pytest.raises(MovierecError, match="full"):
            Registry(settings, other).save(
                dataclasses.replace(DRAFT, metadata=VersionMetadata.of({"x": "y" * 200_000}))
            )
    assert any(line.startswith("Took up v1.1.0") for line in registry.reconcile())
    assert registry.verify("v1.1.0") == []


def test_the_registry_needs_no_torch():
    code = (
        "import sys, movierec.registry, movierec.registry.safe_pickle; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
