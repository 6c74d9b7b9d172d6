"""Large files of a version are hashed once, and again whenever they may have changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from movierec.errors import ArtifactError
from movierec.registry import files
from movierec.registry.files import check_content
from movierec.registry.manifest import Manifest, facts_of, write_manifest

NAME = "large.bin"
CONTENT = bytes(range(256)) * 8
FACTS = {
    "model_version": "v1.0.0", "created_at": "2026-01-02T03:04:05+00:00", "model": "svd",
    "preset": "svd", "dataset_name": "small", "fingerprint": "0" * 64, "split_label": "random",
    "parameters": 0, "run_id": None,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A version whose one file counts as large and was written a while ago."""
    monkeypatch.setattr("movierec.registry.files.LARGE", 1)
    made = tmp_path / "v1.0.0"
    made.mkdir()
    (made / NAME).write_bytes(CONTENT)
    time.sleep(2 * files.TICK / 1e9)
    return made


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    facts = {NAME: facts_of(folder / NAME).model_dump()}
    return write_manifest(folder, {**FACTS, "files": facts})


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read whole."""
    found: list[Path] = []
    monkeypatch.setattr(files, "facts_of", lambda path: found.append(path) or facts_of(path))
    return found


def test_it_is_hashed_once(folder: Path, manifest: Manifest, hashed: list[Path]) -> None:
    for _ in range(3):
        assert check_content(folder, NAME, manifest) == folder / NAME
    assert hashed == [folder / NAME]


def test_a_change_that_keeps_size_and_time_is_found(folder: Path, manifest: Manifest) -> None:
    check_content(folder, NAME, manifest)
    before = (folder / NAME).stat()
    (folder / NAME).write_bytes(CONTENT[::-1])
    os.utime(folder / NAME, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ArtifactError, match="wrong SHA-256"):
        check_content(folder, NAME, manifest)


def test_one_that_was_just_written_is_not_trusted(folder: Path, manifest: Manifest) -> None:
    (folder / NAME).write_bytes(CONTENT)
    written, sha256 = (folder / NAME).stat().st_ctime_ns, manifest.files[NAME].sha256
    files.remember(folder, NAME, sha256, written)
    assert not files.is_known(folder, NAME, sha256)
    files.remember(folder, NAME, sha256, written + 2 * files.TICK)
    assert files.is_known(folder, NAME, sha256)


def test_another_hash_is_not_taken_for_it(folder: Path, manifest: Manifest) -> None:
    check_content(folder, NAME, manifest)
    assert files.is_known(folder, NAME, manifest.files[NAME].sha256)
    assert not files.is_known(folder, NAME, "0" * 64)


@pytest.mark.parametrize("note", ["", "[]", "{", '{"large.bin": 3}'])
def test_a_damaged_note_counts_as_none(
    folder: Path, manifest: Manifest, hashed: list[Path], note: str
) -> None:
    check_content(folder, NAME, manifest)
    (folder.parent / files.FOLDER / "v1.0.0.json").write_text(note)
    check_content(folder, NAME, manifest)
    assert len(hashed) == 2


def test_a_folder_that_cannot_be_written_costs_only_the_time(
    folder: Path, manifest: Manifest
) -> None:
    (folder.parent / files.FOLDER).write_text("a file where the folder should be")
    assert check_content(folder, NAME, manifest) == folder / NAME


def test_verifying_reads_it_whole_every_time(
    folder: Path, manifest: Manifest, hashed: list[Path]
) -> None:
    check_content(folder, NAME, manifest)
    assert files.problem_with(folder, NAME, manifest) is None
    assert len(hashed) == 2
