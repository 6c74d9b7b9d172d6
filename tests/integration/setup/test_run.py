"""`make run` from the first check to the server's start, and what stops it early."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.setup_folder import Folder, make_folder, write_program
from tools.bootstrap.machine import (
    GIB,
    SetupError,
    check_platform,
    check_port,
    check_space,
    ensure_chromium,
    ensure_postgres,
    find_chromium,
    find_postgres,
    free_bytes,
)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = make_folder(tmp_path)
    folder.stand_in(".venv/bin/movierec")
    # Streamlit's part: only the start of the server is recorded
    python = folder.venv / "bin" / "python"
    rest = python.read_text("utf-8").split("\n", 1)[1]
    record = f'case "$*" in *streamlit*) echo "$*" >> "{tmp_path}/calls"; exit 0;; esac'
    write_program(python, f"{record}\n{rest}")
    return folder


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind((request.param, 0))
        other.listen()
        yield other.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_run_sets_up_then_trains_then_serves(folder: Folder) -> None:
    port = free_port()
    done = folder.run("run", PORT=str(port))
    assert done.returncode == 0
    assert f"http://localhost:{port}" in done.stdout
    install, setup, serve = folder.calls
    assert install.startswith("poetry install --only main")
    assert setup == "movierec setup"
    assert serve.startswith(f"-m streamlit run Home.py --server.port {port}")
    assert "--server.address localhost" in serve


def test_run_waits_for_no_typing(folder: Folder) -> None:
    folder.run("run", PORT=str(free_port()))
    assert "--server.showEmailPrompt false" in folder.calls[-1]
    assert "--server.headless true" in folder.calls[-1]


def test_the_dashboard_is_local_unless_told_otherwise(folder: Folder) -> None:
    folder.run("run", PORT=str(free_port()), STREAMLIT_SERVER_ADDRESS="0.0.0.0")
    assert "--server.address 0.0.0.0" in folder.calls[-1]


def test_a_failed_setup_starts_no_dashboard(folder: Folder) -> None:
    folder.stand_in(".venv/bin/movierec", status=3)
    assert folder.run("run", PORT=str(free_port())).returncode == 3
    assert folder.calls[-1] == "movierec setup"


def test_a_taken_port_is_said_before_the_long_work(folder: Folder, taken: int) -> None:
    done = folder.run("run", PORT=str(taken))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"Port {taken} is taken" in done.stderr
    assert folder.calls == []


def test_the_port_offered_instead_is_free(taken: int) -> None:
    with pytest.raises(SetupError, match="is taken") as caught:
        check_port(str(taken))
    offered = str(caught.value).split("PORT=")[1].split()[0]
    assert check_port(offered) == int(offered)


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "8501.0", "http", "8501 8502"])
def test_a_port_that_is_none(text: str) -> None:
    with pytest.raises(SetupError, match="is not a port"):
        check_port(text)


def test_a_full_disk_is_said_with_both_figures(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"about 7\.0 GiB .* has 1\.5 GiB left"):
        check_space({tmp_path: 7 * GIB}, free=lambda _: 3 * GIB // 2)


def test_folders_on_one_disk_add_up(tmp_path: Path) -> None:
    needs = {tmp_path / "environment": 7 * GIB, tmp_path / "not" / "made" / "yet": 3 * GIB}
    with pytest.raises(SetupError, match=r"about 10\.0 GiB"):
        check_space(needs, free=lambda _: 9 * GIB)
    check_space(needs, free=lambda _: 10 * GIB)


def test_free_space_of_a_folder_that_is_not_made_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "made" / "yet") > 0


def test_platforms_without_a_build_of_pytorch() -> None:
    for system, machine, libc in (("Linux", "x86_64", "glibc"), ("Darwin", "arm64", "")):
        check_platform(system, machine, libc)
    with pytest.raises(SetupError, match="Intel Macs"):
        check_platform("Darwin", "x86_64", "")
    with pytest.raises(SetupError, match="musl"):
        check_platform("Linux", "x86_64", "")


def test_chromium_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    browser = write_program(tmp_path / "google-chrome", "exit 0")
    assert find_chromium(str(tmp_path)) == str(browser)


@pytest.mark.skipif(Path("/Applications").exists(), reason="Chrome may be installed there")
def test_missing_chromium_is_an_error_in_ci_and_a_note_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure_chromium({"PATH": str(tmp_path)})
    assert "browser tests are skipped" in capsys.readouterr().out
    with pytest.raises(SetupError, match="Chromium is missing"):
        ensure_chromium({"PATH": str(tmp_path), "CI": "true"})


def write_postgres(folder: Path) -> Path:
    for name in ("initdb", "postgres"):
        write_program(folder / name, "exit 0")
    return folder


def test_postgresql_is_found_on_the_path_or_where_debian_keeps_the_newest(tmp_path: Path) -> None:
    for version in ("9.6", "15", "16"):
        write_postgres(tmp_path / version / "bin")
    (tmp_path / "16" / "bin" / "postgres").unlink()  # half of it was removed
    assert find_postgres(str(tmp_path), tmp_path) == tmp_path / "15" / "bin"
    chosen = write_postgres(tmp_path / "chosen")
    assert find_postgres(str(chosen), tmp_path) == chosen
    assert find_postgres(str(tmp_path), tmp_path / "none") is None


def test_missing_postgresql_is_an_error_in_ci_and_a_note_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure_postgres({"PATH": str(tmp_path)}, tmp_path)
    assert "its tests are skipped" in capsys.readouterr().out
    with pytest.raises(SetupError, match="PostgreSQL is missing"):
        ensure_postgres({"PATH": str(tmp_path), "CI": "true"}, tmp_path)


def test_postgresql_is_installed_without_a_server_that_nobody_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.bootstrap.machine._may_install", lambda _: True)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    clusters, calls = tmp_path / "createcluster.conf", tmp_path / "calls"
    clusters.write_text("ssl = on\n", "utf-8")
    record = f'echo "$*: $(tail -n 1 "{clusters}")" >> "{calls}"'
    write_program(tmp_path / "apt-get", record)
    ensure_postgres({"PATH": f"{tmp_path}:/usr/bin:/bin", "CI": "true"}, tmp_path, clusters)
    _, first, _, second = calls.read_text("utf-8").splitlines()
    assert first.endswith("postgresql-common: ssl = on")
    assert second.endswith("postgresql: create_main_cluster = false")
    assert clusters.read_text("utf-8") == "ssl = on\n"  # the machine's next cluster is its owner's
