"""What the repository's own files promise: no addresses, no machine's paths, no stale pins."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from movierec.settings import Settings
from tools.bootstrap.environment import POETRY

PROJECT = Path(__file__).resolve().parents[3]


def repository_files() -> list[Path]:
    """Return what is or could be committed; the test is skipped outside a checkout."""
    if not shutil.which("git") or not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (PROJECT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(PROJECT)}:{number}"
        for path in repository_files()
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if pattern.search(line)
    ]


def index_hosts() -> set[str]:
    """Return the hosts of every index that pip knows of here, its built-in one included."""
    ask = (
        "from pip._internal.commands import create_command as c\n"
        "from pip._internal.models.index import PyPI\n"
        "o = c('install').parser.get_default_values()\n"
        "print(PyPI.url, 'https://' + PyPI.file_storage_domain, o.index_url, *o.extra_index_urls)"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    hosts = {urlsplit(url).hostname for url in done.stdout.split()}
    return {host for host in hosts if host and "." in host}


def test_the_lock_file_names_no_index() -> None:
    text = (PROJECT / "poetry.lock").read_text("utf-8")
    assert "://" not in text
    assert not [
        package["name"] for package in tomllib.loads(text)["package"] if "source" in package
    ]


def test_the_project_names_no_source_of_packages() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    assert "source" not in project["tool"]["poetry"]


def test_no_file_names_a_package_index() -> None:
    hosts = index_hosts()
    assert hosts
    assert lines_with(re.compile("|".join(map(re.escape, sorted(hosts))))) == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    places = "|".join(re.escape(str(place)) for place in (PROJECT, Path.home()))
    assert lines_with(re.compile(rf"(?<![\w.}}])(?:{places})(?:/|$)")) == []


def test_the_lock_file_was_written_by_the_poetry_that_reads_it() -> None:
    first = (PROJECT / "poetry.lock").read_text("utf-8").splitlines()[0]
    assert POETRY[0].replace("poetry==", "Poetry ") in first


def test_every_setting_is_in_the_example_with_its_default() -> None:
    text = (PROJECT / ".env.example").read_text("utf-8")
    shown = dict(re.findall(r"^# MOVIEREC_(\w+)=(.*)$", text, re.MULTILINE))
    defaults = {
        name.upper(): ",".join(value) if isinstance(value := field.default, tuple) else str(value)
        for name, field in Settings.model_fields.items()
    }
    del defaults["HOME"]
    assert shown.pop("HOME") == ""
    assert {name: value.removesuffix(".0") for name, value in defaults.items()} == shown


def test_make_lists_every_target_that_people_use() -> None:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    listed = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True)
    for target in ("run", "test", "install", "format", "bench", "clean"):
        assert f"make {target} " in listed.stdout
