"""Archives from an enemy: refused with the reason, nothing written outside, nothing left."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from movierec.errors import ArtifactError, UntrustedError
from movierec.registry import Registry
from movierec.registry.archive.pack import export_archive, import_archive
from movierec.settings import Settings
from movierec.store import open_store
from tests.support.crash import killed_at
from tests.support.forge import files_of, packed
from tests.support.hostile_archives import ALL
from tests.support.project import environment, project_in, train_version


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def honest(root: Path) -> bytes:
    settings = project_in(root / "source")
    train_version(settings)
    with open_store(settings) as store:
        return export_archive(Registry(settings, store), "v1.0.0", root / "honest.zip").read_bytes()


@pytest.fixture(scope="module")
def registry(root: Path, honest: bytes) -> Iterator[Registry]:
    """The versions of a project that has one already."""
    settings = Settings(home=root / "target", device="cpu")
    with open_store(settings) as store:
        registry = Registry(settings, store)
        import_archive(registry, root / "honest.zip")
        yield registry


@pytest.fixture
def canary(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CANARY", str(root / "canary"))
    yield
    assert not (root / "canary").exists(), "code from a crafted archive ran"


def tree(root: Path) -> dict[str, tuple[int, int, str]]:
    """Everything below a folder: kinds, times of change and content; SQLite's own two apart."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.name.endswith(("-wal", "-shm")):
            continue
        facts = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(facts.st_mode) else b""
        changed = facts.st_mtime_ns if content else 0
        key = str(path.relative_to(root))
        found[key] = facts.st_mode, changed, hashlib.sha256(content).hexdigest()
    return found


@pytest.mark.parametrize("name", ALL)
def test_a_crafted_archive_is_refused(name, root, honest, registry, canary):
    make, reason = ALL[name]
    crafted = make(honest)
    assert crafted != honest
    path = root / "crafted.zip"
    path.write_bytes(crafted)
    listed, before = registry.list(), tree(root)
    with pytest.raises(ArtifactError) as caught:
        import_archive(registry, path)
    assert reason in caught.value.message
    assert caught.value.message.startswith("crafted.zip cannot be imported: ")
    assert "movierec versions export" in caught.value.hint
    assert tree(root) == before
    assert registry.list() == listed


def test_there_are_enough_of_them():
    assert len(ALL) >= 30


@pytest.mark.parametrize("name", ["code in the preprocessor", "code in the weights"])
def test_code_is_an_error_of_its_own(name, root, honest, registry, canary):
    (root / "crafted.zip").write_bytes(ALL[name][0](honest))
    with pytest.raises(UntrustedError):
        import_archive(registry, root / "crafted.zip")


def test_an_archive_packed_anew_without_changes_is_taken(root, honest, registry):
    """What the crafted ones are made of is not itself what they are refused for."""
    (root / "again.zip").write_bytes(packed(files_of(honest)))
    record = import_archive(registry, root / "again.zip")
    assert registry.verify(record.name) == []
    registry.delete(record.name, now=True)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (str, "No such file"),
        (Path.mkdir, "no plain file"),
        (os.mkfifo, "no plain file"),
    ],
)
def test_what_is_no_file(tmp_path, registry, make, reason):
    make(tmp_path / "x.zip")
    with pytest.raises(ArtifactError, match=reason):
        import_archive(registry, tmp_path / "x.zip")


def test_more_than_the_disk_holds(root, honest, registry, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=9))
    with pytest.raises(ArtifactError, match=r"needs [\d,]+ bytes of disk space and 9 are free"):
        import_archive(registry, root / "honest.zip")


def _import(home: Path, archive: Path) -> None:
    settings = Settings(home=home, device="cpu")
    with open_store(settings) as store:
        import_archive(Registry(settings, store), archive)


def test_an_import_killed_anywhere_leaves_nothing_half(tmp_path, root, honest):
    """Before every third file operation: afterwards it is not listed, or is whole."""
    settings = project_in(tmp_path / "target", with_data=False)
    step, listed = 1, []
    with environment(settings):
        while killed_at(step, _import, settings.home, root / "honest.zip"):
            listed.append(_settled(settings))
            step += 3
    assert step > 20
    assert not listed[0]
    assert not any(name.startswith(".") for name in _names(settings) if name != ".lock")


def _settled(settings: Settings) -> list[str]:
    with open_store(settings) as store:
        registry = Registry(settings, store)
        before = registry.list()
        registry.reconcile()
        names = [record.name for record in registry.list()]
        assert all(registry.verify(name) == [] for name in names)
        assert {record.name for record in before} <= {*names}
        for name in names:
            _make_free(registry, name)
        assert {*_names(settings)} <= {".lock", "current"}
        return names


def _make_free(registry: Registry, name: str) -> None:
    """Delete a version that the next attempt shall not stumble over."""
    registry._folder.versions.set_current(None)
    (registry._folder.root / "current").unlink(missing_ok=True)
    registry.delete(name, now=True)


def _names(settings: Settings) -> list[str]:
    return [path.name for path in settings.models_path.iterdir()]
