"""Machines that share versions through a folder and through S3: what one keeps, all have."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from movierec.errors import ArtifactError, MovierecError, SettingsError
from movierec.folders import locked
from movierec.registry import Registry
from movierec.registry.archive.pack import export_archive, import_archive
from movierec.registry.files import problems_of
from movierec.registry.names import is_name
from movierec.registry.shared.reconcile import PUSHING
from movierec.settings import Settings
from movierec.store import open_store
from movierec.store.versions import VersionStore
from tests.support.crash import killed_after, killed_at, together
from tests.support.disks import small_disk
from tests.support.places import DRAFT, S3, Machine, machine, s3_server, settings_of, use_s3
from tests.support.project import project_in, train_version


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a folder in a bucket of this test's own."""
    use_s3(monkeypatch, s3)
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.make(name)
    return f"s3://{name}/models"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """The URL of a folder that all machines have mounted."""
    (tmp_path / "mounted").mkdir()
    return (tmp_path / "mounted").as_uri()


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def machines(tmp_path: Path, place: str) -> Iterator[tuple[Machine, Machine]]:
    with machine(tmp_path, "a", place) as a, machine(tmp_path, "b", place) as b:
        yield a, b


@pytest.fixture
def pair(tmp_path: Path, folder: str) -> Iterator[tuple[Machine, Machine]]:
    """Two machines that share a mounted folder."""
    with machine(tmp_path, "a", folder) as a, machine(tmp_path, "b", folder) as b:
        yield a, b


def mounted(tmp_path: Path, name: str = "") -> Path:
    return tmp_path / "mounted" / name


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_what_one_machine_keeps_another_has(machines):
    a, b = machines
    record = a.registry.save(DRAFT)
    assert a.registry.shared.whole_there() == {"v1.0.0"}
    assert a.registry.shared.waiting() == []
    assert b.registry.get() == record
    assert b.registry.verify() == []
    assert list(b.models.iterdir()) == []  # nothing is fetched before somebody needs it
    found = b.registry.arrays()
    np.testing.assert_array_equal(found["user_factors"], DRAFT.arrays["user_factors"])
    assert tree(b.models / "v1.0.0") == tree(a.models / "v1.0.0")
    assert problems_of(b.models / "v1.0.0") == []
    assert b.registry.file("v1.0.0", "per_user.parquet").read_bytes() == b"rows"
    assert b.registry.shared.waiting() == []
    assert (a.registry.reconcile(), b.registry.reconcile()) == ([], [b_follows("v1.0.0")])
    assert (a.registry.reconcile(), b.registry.reconcile()) == ([], [])


def b_follows(name: str) -> str:
    return f"`current` now leads to {name}."


def test_current_moves_for_all_machines(machines):
    a, b = machines
    a.registry.save(DRAFT)
    assert b.registry.save(DRAFT).name == "v1.1.0"
    moved = b.registry.promotion.promote(
        "v1.1.0", who="eve", reason="better", checks=[{"name": "x"}]
    )
    assert moved.is_current
    assert a.registry.get().name == "v1.1.0"
    assert (a.current, b.current) == ("v1.0.0", "v1.1.0")
    a.registry.shared.follow()
    assert a.current == "v1.1.0"
    assert problems_of(a.models / "v1.1.0") == []
    (move, _) = a.registry.promotion.history()
    assert (move.who, move.reason, move.checks) == ("eve", "better", ({"name": "x"},))
    assert a.registry.promotion.rollback().name == "v1.0.0"
    assert [m.how for m in b.registry.promotion.history()] == ["rolled back", "promoted", "saved"]
    b.registry.shared.follow()
    assert b.current == "v1.0.0"


def test_current_is_not_moved_over_what_another_machine_did(pair):
    a, b = pair
    for _ in range(3):
        a.registry.save(DRAFT)
    b.registry.promotion.promote("v1.1.0", replaces=["v1.0.0"])
    for put_in_place in (a.registry.promotion.promote, a.store.versions.set_current):
        with pytest.raises(MovierecError, match=r"Meanwhile v1\.1\.0 became current"):
            put_in_place("v1.2.0", replaces=["v1.0.0"])
    assert a.registry.get().name == "v1.1.0"
    assert a.registry.promotion.promote("v1.2.0", replaces=["v1.0.0", "v1.1.0"]).is_current


def test_trash_and_deletion_reach_all_machines(machines):
    a, b = machines
    for _ in range(2):
        a.registry.save(DRAFT)
    b.registry.shared.pull("v1.1.0")
    a.registry.tag("v1.1.0", ["kept"])
    b.registry.delete("v1.1.0")
    assert a.names() == ["v1.0.0"]
    assert a.registry.reconcile() == ["Moved v1.1.0 into the trash, as another machine did."]
    assert (a.models / ".trash" / "v1.1.0").is_dir()
    assert a.registry.restore("v1.1.0").tags == ("kept",)
    b.registry.reconcile()
    assert problems_of(b.models / "v1.1.0") == []
    b.registry.delete("v1.1.0")
    b.registry.empty_trash()
    assert a.registry.reconcile() == [
        "Removed this machine's copy of v1.1.0, which was deleted on another machine."
    ]
    assert a.registry.shared.whole_there() == {"v1.0.0"}
    assert {path.name for path in a.models.iterdir() if is_name(path.name)} == {"v1.0.0"}
    with pytest.raises(ArtifactError, match="is the current one"):
        b.registry.delete("v1.0.0", now=True)


def test_one_without_files_here_is_restored_and_deleted_there(machines):
    a, b = machines
    for _ in range(2):
        a.registry.save(DRAFT)
    b.registry.delete("v1.1.0")
    b.registry.restore("v1.1.0")
    assert b.registry.verify("v1.1.0") == []
    b.registry.delete("v1.1.0", now=True)
    assert b.registry.shared.whole_there() == {"v1.0.0"}
    assert a.names() == ["v1.0.0"]


def save_some(settings: Settings, homes: str) -> None:
    """Keep three versions on a machine of this process's own."""
    own = settings.model_copy(update={"home": Path(homes) / f"machine-{os.getpid()}"})
    with open_store(own) as store:
        for _ in range(3):
            Registry(own, store).save(DRAFT)


def test_no_name_is_given_twice(tmp_path, folder, database_url):
    shared = settings_of(tmp_path, "a", folder, database_url)
    assert together(3, save_some, shared, str(tmp_path)) == [0, 0, 0]
    with machine(tmp_path, "b", folder, database_url) as b:
        assert len(b.names()) == 9
        assert b.registry.shared.whole_there() == {*b.names()}
        for name in b.names():
            b.registry.shared.pull(name)
            assert b.registry.verify(name) == []
        assert len([record for record in b.registry.list() if record.is_current]) == 1


def test_a_place_that_is_away_loses_nothing(tmp_path, s3, bucket, caplog):
    with machine(tmp_path, "a", bucket) as a, machine(tmp_path, "b", bucket) as b:
        a.registry.save(DRAFT)
        s3.stop()
        try:
            kept = a.registry.save(dataclasses.replace(DRAFT, make_current=True))
            assert not kept.is_current  # the others could not have it
            assert problems_of(a.models / "v1.1.0") == []
            assert a.registry.shared.waiting() == ["v1.1.0"]
            assert "version=v1.1.0 stays on this machine" in caplog.text
            for asked in (lambda: b.registry.path("v1.0.0"),
                          lambda: a.registry.delete("v1.1.0", now=True)):  # fmt: skip
                with pytest.raises(ArtifactError, match=r"s3://.*cannot be reached.*the network"):
                    asked()
            assert a.names() == ["v1.0.0", "v1.1.0"]
            assert a.registry.reconcile() == []
            assert not (b.models / "v1.0.0").exists()
        finally:
            s3.start()
        with pytest.raises(ArtifactError, match=r"v1\.1\.0 is not in s3://.*versions push v1\.1"):
            b.registry.path("v1.1.0")
        assert a.registry.shared.push() == ["v1.1.0"]
        assert a.registry.shared.push() == []
        assert b.registry.promotion.promote("v1.1.0").is_current


def test_a_full_disk_there_keeps_the_version_here(tmp_path):
    with small_disk(tmp_path / "mounted", 2) as disk:
        url = disk.folder.as_uri()
        with machine(tmp_path, "a", url) as a, machine(tmp_path, "b", url) as b:
            disk.fill(left=12_000)
            a.registry.save(DRAFT)
            assert a.registry.shared.waiting() == ["v1.0.0"]
            with pytest.raises(ArtifactError, match=r"No space left.*nothing was lost"):
                a.registry.shared.push()
            with pytest.raises(ArtifactError, match=r"is not in file://"):
                b.registry.path("v1.0.0")
            disk.make_space()
            assert a.registry.shared.push() == ["v1.0.0"]
            assert b.registry.verify("v1.0.0") == []
            assert b.registry.path("v1.0.0").is_dir()


def test_a_full_disk_here_leaves_nothing_half(tmp_path, folder):
    large = dataclasses.replace(DRAFT, arrays={"user_factors": np.ones((1_000, 100))})
    with (
        small_disk(tmp_path / "b" / "models", 2) as disk,
        machine(tmp_path, "a", folder) as a,
        machine(tmp_path, "b", folder) as b,
    ):
        a.registry.save(large)
        disk.fill(left=100_000)
        with pytest.raises(ArtifactError, match=r"needs 8\d\d,\d+ bytes.*Free some space"):
            b.registry.path("v1.0.0")
        assert [path for path in disk.folder.iterdir() if path.is_dir()] == []
        disk.make_space()
        assert problems_of(b.registry.path("v1.0.0")) == []


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("graphsage_model.pth", change, "graphsage_model.pth of version v1.0.0 in .* was changed"),
        ("graphsage_model.pth", lambda p: p.write_bytes(p.read_bytes() + b"x"), "was changed"),
        ("serving/user_factors.npy", lambda p: p.write_bytes(b""), "user_factors.npy of .*changed"),
        ("per_user.parquet", Path.unlink, "per_user.parquet of version v1.0.0 is missing in"),
        ("metadata.json", lambda p: p.write_text("{"), "it is not JSON"),
        ("metadata.json", Path.unlink, "is not in"),
    ],
)
def test_what_was_changed_there_is_refused(tmp_path, pair, name, damage, said):
    a, b = pair
    a.registry.save(DRAFT)
    damage(mounted(tmp_path, "v1.0.0") / name)
    with pytest.raises(ArtifactError, match=said):
        b.registry.path("v1.0.0")
    assert [path for path in b.models.iterdir() if path.is_dir()] == []
    assert a.registry.shared.push(["v1.0.0"]) == ["v1.0.0"]  # whose copy is whole mends it
    assert problems_of(b.registry.path("v1.0.0")) == []


def test_other_metadata_there_is_refused_and_left_alone(tmp_path, pair):
    a, b = pair
    a.registry.save(DRAFT)
    path = mounted(tmp_path, "v1.0.0") / "metadata.json"
    path.write_text(path.read_text().replace("0.9", "0.8"))
    with pytest.raises(
        ArtifactError, match=r"metadata\.json of version v1\.0\.0 in .* was changed"
    ):
        b.registry.path("v1.0.0")
    with pytest.raises(ArtifactError, match=r"has another version v1\.0\.0; it was left alone"):
        a.registry.shared.push(["v1.0.0"])
    shutil.rmtree(path.parent)
    a.registry.shared.push(["v1.0.0"])
    assert problems_of(b.registry.path("v1.0.0")) == []


def test_a_place_is_checked_without_fetching(tmp_path, pair):
    a, b = pair
    a.registry.save(DRAFT)
    (mounted(tmp_path, "v1.0.0") / "per_user.parquet").write_bytes(b"")
    (found,) = b.registry.verify("v1.0.0")
    assert "per_user.parquet has 0 bytes instead of 4 in file://" in found
    (mounted(tmp_path, "v1.0.0") / "per_user.parquet").unlink()
    (found,) = b.registry.verify("v1.0.0")
    assert "per_user.parquet is missing in file://" in found
    with pytest.raises(ArtifactError, match=r"per_user\.parquet"):
        b.registry.promotion.promote("v1.0.0")
    assert a.registry.verify("v1.0.0") == []  # it has a copy


def test_a_damaged_copy_is_fetched_again(pair):
    a, b = pair
    a.registry.save(DRAFT)
    for name in ("graphsage_model.pth", "metadata.json"):
        (b.registry.path("v1.0.0") / name).write_bytes(b"{")
        assert b.registry.verify("v1.0.0") != []
        b.registry.shared.pull("v1.0.0")
        assert b.registry.verify("v1.0.0") == []
    (b.models / "v1.0.0" / "metadata.json").write_bytes(b"{")
    with pytest.raises(ArtifactError, match=r"damaged.*Fetch it again: `movierec versions pull"):
        b.registry.arrays("v1.0.0")


def test_a_machine_that_joins_keeps_its_own_versions(tmp_path, folder):
    """Another version of a name that the database has is neither overwritten nor removed."""
    with machine(tmp_path, "a", folder) as a:
        a.registry.save(DRAFT)
    own = settings_of(tmp_path, "b", "", f"sqlite:///{tmp_path / 'own.db'}")
    with open_store(own) as store:
        for _ in range(2):
            Registry(own, store).save(dataclasses.replace(DRAFT, preset="default"))
    before = tree(own.models_path / "v1.0.0")
    with machine(tmp_path, "b", folder) as b:
        assert b.registry.reconcile() == ["Took up v1.1.0, which lay here and was not listed."]
        assert b.registry.shared.waiting() == ["v1.0.0", "v1.1.0"]
        with pytest.raises(ArtifactError, match=r"is not the version v1\.0\.0.*Move that folder"):
            b.registry.path("v1.0.0")
        with pytest.raises(ArtifactError, match=r"has another version v1\.0\.0; it was left"):
            b.registry.shared.push(["v1.0.0"])
        assert b.registry.shared.push(["v1.1.0"]) == ["v1.1.0"]
        b.registry.reconcile()
        assert tree(b.models / "v1.0.0") == before
    with machine(tmp_path, "a", folder) as a:
        assert a.registry.verify("v1.0.0") == []
        assert problems_of(a.registry.path("v1.1.0")) == []


def test_another_database_in_the_same_place_is_noticed(tmp_path, folder):
    for name, code in (("a", "one.db"), ("b", "other.db")):
        with machine(tmp_path, name, folder, f"sqlite:///{tmp_path / code}") as one:
            one.registry.save(dataclasses.replace(DRAFT, preset=name))
    with machine(tmp_path, "b", folder, f"sqlite:///{tmp_path / 'other.db'}") as b:
        assert b.registry.shared.waiting() == ["v1.0.0"]
        with pytest.raises(ArtifactError, match=r"another version v1\.0\.0.*a place of its own"):
            b.registry.shared.push()
        assert problems_of(b.models / "v1.0.0") == []
    with machine(tmp_path, "a", folder, f"sqlite:///{tmp_path / 'one.db'}") as a:
        shutil.rmtree(a.models / "v1.0.0")
        assert problems_of(a.registry.path("v1.0.0")) == []


def test_a_new_database_removes_no_copies(tmp_path, pair, folder):
    a, _ = pair
    a.registry.save(DRAFT)
    before = tree(a.models / "v1.0.0")
    with machine(tmp_path, "a", folder, f"sqlite:///{tmp_path / 'new.db'}") as fresh:
        assert fresh.registry.reconcile()[0].startswith("Took up v1.0.0")
        assert tree(fresh.models / "v1.0.0") == before


def test_what_is_being_kept_is_taken_up_by_its_keeper_alone(pair, tmp_path):
    """A process that starts meanwhile leaves it; one that starts after a kill does not."""
    a, _ = pair
    with machine(tmp_path, "c", a.settings.artifacts_url, f"sqlite:///{tmp_path / 'c.db'}") as c:
        c.registry.save(DRAFT)
        shutil.copytree(c.models / "v1.0.0", a.models / "v1.0.0")
    with locked(a.models, "pushing a version", file=PUSHING):
        assert a.registry.reconcile() == []
    assert a.registry.reconcile() == ["Took up v1.0.0, which lay here and was not listed."]


def test_an_imported_archive_is_shared(tmp_path, pair):
    a, b = pair
    source = project_in(tmp_path / "elsewhere")
    train_version(source, "popular")
    with open_store(source) as store:
        path = export_archive(Registry(source, store), "v1.0.0", tmp_path)
    record = import_archive(a.registry, path)
    assert b.registry.path(record.name).is_dir()
    assert b.registry.verify(record.name) == []
    again = export_archive(b.registry, record.name, tmp_path / "again.movierec.zip")
    assert import_archive(b.registry, again).name != record.name


def test_a_version_of_before_is_pushed_when_it_is_promoted(tmp_path, folder):
    """As where MOVIEREC_ARTIFACTS_URL was set later."""
    with machine(tmp_path, "a", "") as alone:
        for _ in range(2):
            alone.registry.save(DRAFT)
    with machine(tmp_path, "a", folder) as a, machine(tmp_path, "b", folder) as b:
        assert a.registry.reconcile() == []
        assert a.registry.shared.waiting() == ["v1.0.0", "v1.1.0"]
        a.registry.promotion.promote("v1.1.0")
        assert problems_of(b.registry.path("current")) == []
        assert a.registry.shared.push() == ["v1.0.0"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://no-such-bucket-of-ours/x", "bucket does not exist.*Make the bucket"),
        ("nope://x/y", "Protocol not known: nope.*looks like s3"),
        ("file:///no/such/folder", "there is no folder /no/such/folder.*mount the disk"),
        ("gs://bucket/x", "gcsfs.*Install the package that it names"),
    ],
)
def test_a_place_that_cannot_be_used(tmp_path, bucket, url, said):
    with machine(tmp_path, "a", url) as a:
        a.registry.save(DRAFT)
        assert problems_of(a.models / "v1.0.0") == []
        with pytest.raises(ArtifactError, match=said):
            a.registry.shared.push()


def test_without_credentials_it_says_which(tmp_path, bucket, monkeypatch):
    from s3fs import S3FileSystem

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    S3FileSystem.clear_instance_cache()
    try:
        with machine(tmp_path, "a", bucket) as a:
            a.registry.save(DRAFT)
            with pytest.raises(ArtifactError, match="AWS_ACCESS_KEY_ID"):
                a.registry.shared.push()
    finally:
        S3FileSystem.clear_instance_cache()


def test_without_s3fs_it_says_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with machine(tmp_path, "a", "s3://bucket/x") as a:
        a.registry.save(DRAFT)
        with pytest.raises(ArtifactError, match="make s3"):
            a.registry.shared.push()


@pytest.mark.parametrize("url", ["/mnt/models", "models", "s3:bucket"])
def test_what_is_no_url(tmp_path, url):
    with machine(tmp_path, "a", url) as a, pytest.raises(SettingsError, match="is not a URL"):
        a.registry.list()


@pytest.mark.parametrize("inner", ["a/models", "a/models/there", "a"])
def test_a_place_in_the_folder_of_versions_is_refused(tmp_path, inner):
    (tmp_path / inner).mkdir(parents=True)
    url = (tmp_path / inner).as_uri()
    with machine(tmp_path, "a", url) as a, pytest.raises(SettingsError, match="of their own"):
        a.registry.list()


def test_without_a_place_nothing_is_pushed(settings):
    with open_store(settings) as store:
        registry = Registry(settings, store)
        registry.save(DRAFT)
        assert registry.location is None
        with pytest.raises(SettingsError, match="MOVIEREC_ARTIFACTS_URL is not set"):
            registry.shared  # noqa: B018


def test_a_password_in_the_url_is_shown_nowhere(tmp_path):
    with machine(tmp_path, "a", "sftp://me:secret@host.example/models?key=secret") as a:
        assert a.registry.location == "sftp://host.example/models"
        a.registry.save(DRAFT)
        with pytest.raises(ArtifactError) as refused:
            a.registry.shared.push()
        assert "secret" not in str(refused.value)


def act(folder: str, url: str, what: str) -> None:
    """Do one thing on machine a; a process that does it is killed in the midst."""
    with machine(Path(folder), "a", url) as a:
        if what == "save":
            a.registry.save(dataclasses.replace(DRAFT, make_current=True))
        elif what == "delete":
            a.registry.delete("v1.1.0", now=True)
        else:
            a.registry.shared.pull("v1.1.0")


@pytest.mark.parametrize("what", ["save", "delete", "pull"])
def test_killed_before_a_file_operation(tmp_path, what):
    """On both machines what is listed can be had, and what is whole is not lost."""
    for step in itertools.count(2, 23):
        home = tmp_path / str(step)
        (home / "mounted").mkdir(parents=True)
        url = (home / "mounted").as_uri()
        with machine(home, "a", url) as a, machine(home, "b", url) as b:
            b.registry.save(DRAFT)
            b.registry.save(DRAFT)
            was_killed = killed_at(step, act, str(home), url, what)
            look(a, b)
            if what == "save":
                assert {"v1.0.0", "v1.1.0"} <= {*b.names()}
            if what == "pull":
                assert b.names() == ["v1.0.0", "v1.1.0"]
        if not was_killed:
            assert step > 10
            return


def act_and_die(folder: str, url: str, what: str, moment: str) -> None:
    """Do one thing on machine a, and be killed before a row is added or after it is deleted."""
    delete = VersionStore.delete

    def die(*arguments: object, **facts: object) -> None:
        if moment == "delete":
            delete(*arguments, **facts)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(VersionStore, moment, die)
    act(folder, url, what)


@pytest.mark.parametrize(("what", "moment"), [("save", "add"), ("delete", "delete")])
def test_killed_beside_the_database(tmp_path, pair, folder, what, moment):
    """What is pushed and not listed yet is no copy that others deleted, and the reverse."""
    a, b = pair
    for _ in range(2):
        b.registry.save(DRAFT)
    a.registry.shared.pull("v1.1.0")
    code = killed_after(60, act_and_die, str(tmp_path), folder, what, moment)
    assert code == -signal.SIGKILL
    look(a, b)
    expected = ["v1.0.0", "v1.1.0", "v1.2.0"] if what == "save" else ["v1.0.0"]
    assert b.names() == expected


def look(a: Machine, b: Machine) -> None:
    """The next start of both, and what there then is."""
    for each in (a, b):
        for path in each.models.glob("v*"):
            assert problems_of(path) == []
    a.registry.reconcile()
    a.registry.shared.push()
    b.registry.reconcile()
    assert a.registry.shared.whole_there() == {*b.names()} == {*a.names()}
    for name in b.names():
        assert problems_of(b.registry.path(name)) == []
        assert problems_of(a.registry.path(name)) == []
    for each in (a, b):
        each.registry.shared.follow()
        assert each.current == each.registry.get().name
        assert each.registry.reconcile() == []


def push_and_die(folder: str, url: str, environment: dict[str, str]) -> None:
    """Push a version that waits, and be killed once all its files but the last are there."""
    os.environ.update(environment)
    with machine(Path(folder), "a", url) as a:
        done = itertools.count(1)

        def tell(stage: str, share: float) -> None:
            if next(done) == len(DRAFT.files) + len(DRAFT.arrays):
                os.kill(os.getpid(), signal.SIGKILL)

        a.registry.shared.push(["v1.0.0"], tell)


def test_killed_in_a_push_half_a_version_counts_as_none(tmp_path, bucket):
    with machine(tmp_path, "a", "") as alone:
        alone.registry.save(DRAFT)
    keys = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    assert killed_after(60, push_and_die, str(tmp_path), bucket, keys) == -signal.SIGKILL
    with machine(tmp_path, "a", bucket) as a, machine(tmp_path, "b", bucket) as b:
        assert a.registry.shared.whole_there() == set()
        with pytest.raises(ArtifactError, match="is not in s3"):
            b.registry.path("v1.0.0")
        assert a.registry.shared.push() == ["v1.0.0"]
        assert problems_of(b.registry.path("v1.0.0")) == []
