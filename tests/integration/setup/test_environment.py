"""When the locked environment is installed, and with what."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.setup_folder import Folder, make_environment, make_folder
from tools.bootstrap.environment import Stamp, venv_version


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return make_folder(tmp_path)


def installs(folder: Folder) -> list[str]:
    return [call for call in folder.calls if call.startswith("poetry ")]


def test_a_second_start_installs_nothing(folder: Folder) -> None:
    for _ in range(2):
        assert folder.run("install").returncode == 0
    assert installs(folder) == ["poetry install --only main --no-interaction"]


def test_run_and_test_share_an_environment_without_undoing_each_other(folder: Folder) -> None:
    for command in ("install", "dev", "install"):
        folder.run(command)
    assert installs(folder)[1:] == ["poetry sync --only bench,dev,main --no-interaction"]


def test_several_groups_are_installed_at_once_and_nothing_besides(folder: Folder) -> None:
    assert folder.run("install", "api", "postgres").returncode == 0
    assert installs(folder) == ["poetry install --only api,main,postgres --no-interaction"]
    assert "Say which" in folder.run("install", "everything").stderr


@pytest.mark.parametrize("name", ["poetry.lock", "pyproject.toml"])
def test_a_changed_file_is_installed_with_the_groups_there_were(folder: Folder, name: str) -> None:
    folder.run("dev")
    (folder.root / name).write_text("# changed\n", "utf-8")
    folder.run("install")
    assert installs(folder)[1:] == ["poetry sync --only bench,dev,main --no-interaction"]


def test_packages_of_an_environment_made_by_hand_stay(folder: Folder) -> None:
    folder.run("install")
    assert "sync" not in installs(folder)[0]


def test_a_failed_installation_is_tried_again(folder: Folder, tmp_path: Path) -> None:
    folder.stand_in(".poetry/bin/poetry", status=1)
    failed = folder.run("install", PIP_INDEX_URL=tmp_path.as_uri())
    assert failed.returncode == 1
    assert Stamp.read(folder.venv) is None
    folder.stand_in(".poetry/bin/poetry")
    assert folder.run("install").returncode == 0
    assert len(installs(folder)) == 2


def test_a_stamp_that_cannot_be_read_is_no_stamp(folder: Folder) -> None:
    folder.run("install")
    stamp = next(folder.venv.glob(".movierec*"))
    for content in ("", "[]", "{}", '{"files": 1'):
        stamp.write_text(content, "utf-8")
        assert Stamp.read(folder.venv) is None


def test_an_environment_says_its_python(tmp_path: Path) -> None:
    make_environment(tmp_path / "venv")
    assert venv_version(tmp_path / "venv") == sys.version_info[:2]


def test_a_missing_broken_or_moved_environment_has_none(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    assert venv_version(venv) is None
    make_environment(venv)
    shutil.move(venv, tmp_path / "moved")
    assert venv_version(tmp_path / "moved") is None
    make_environment(venv)
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to(tmp_path / "an upgraded Python's old place")
    assert venv_version(venv) is None


def test_another_set_up_of_the_folder_is_waited_for_and_not_repeated(folder: Folder) -> None:
    (folder.root / ".cache").mkdir()
    with (folder.root / ".cache" / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["sh", "tools/bootstrap.sh", "install"]
        second = subprocess.Popen(command, cwd=folder.root, stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert "Another set-up of this folder is under way" in second.stdout.readline()
        Stamp.of(folder.root, ["main"]).write(folder.venv)
    second.communicate()
    assert second.returncode == 0
    assert installs(folder) == []
