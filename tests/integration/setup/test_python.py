"""Which Python the set-up picks, and what it says where none suits."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.setup_folder import Folder, make_folder, write_program, write_python

OLD = "import sys; sys.version_info = (3, 8, 18)"
NO_VENV = "import sys; sys.modules['ensurepip'] = None"
NO_SQLITE = "import sys; sys.modules['sqlite3'] = None"
SUITS = "Say which: run"
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A fresh clone: no environment of its own yet."""
    folder = make_folder(tmp_path)
    shutil.rmtree(folder.venv)
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with nothing on it but what the script itself calls."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "dirname").symlink_to(shutil.which("dirname") or "/usr/bin/dirname")
    return programs


def complaint(folder: Folder, path: Path, **environ: str) -> str:
    done = folder.run("nothing", PATH=str(path), **environ)
    assert done.returncode == 1
    assert not done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1, "one line says what and what to do"
    return lines[0]


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (OLD, "needs Python 3.11, 3.12 or 3.13 and found 3.8. Install one"),
        (NO_VENV, f"sudo apt install python{VERSION}-venv"),
        (NO_SQLITE, f"Python {VERSION} was built without sqlite3"),
    ],
)
def test_a_python_that_does_not_suit_is_named_with_its_remedy(
    folder: Folder, path: Path, before: str, says: str
) -> None:
    write_python(path / "python3", before)
    assert says in complaint(folder, path)


def test_no_python_at_all(folder: Folder, path: Path) -> None:
    assert "and found none. Install one" in complaint(folder, path)


def test_a_pyenv_shim_without_its_version_counts_as_none(folder: Folder, path: Path) -> None:
    write_program(path / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    assert "and found none. Install one" in complaint(folder, path)


def test_the_fixable_python_is_named_rather_than_the_old_one(folder: Folder, path: Path) -> None:
    write_python(path / "python3", OLD)
    write_python(path / "python3.12", NO_VENV)
    assert "-venv" in complaint(folder, path)


def test_a_python_asked_for_by_name_is_the_only_candidate(folder: Folder, path: Path) -> None:
    write_python(path / "python3")
    old = write_python(path / "old python", OLD)
    line = complaint(folder, path, PYTHON=str(old))
    assert f"found 3.8. That is what PYTHON={old} gives" in line


def test_a_suitable_python_beyond_an_old_one_is_found(folder: Folder, path: Path) -> None:
    write_python(path / "python3", OLD)
    write_python(path / "python3.12")
    assert SUITS in complaint(folder, path)


def test_pyenv_versions_are_found_off_the_path(folder: Folder, path: Path) -> None:
    write_python(path / "pyenv" / "versions" / "3.12.4" / "bin" / "python")
    assert SUITS in complaint(folder, path, PYENV_ROOT=str(path / "pyenv"))


def test_the_environments_own_python_goes_first(folder: Folder, path: Path) -> None:
    write_python(path / "python3", OLD)
    write_python(folder.venv / "bin" / "python")
    assert SUITS in complaint(folder, path)
