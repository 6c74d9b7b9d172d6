"""The package index comes from pip's own configuration and its credentials stay private."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.setup_folder import make_folder
from tools.bootstrap.index import (
    PipConfig,
    _explain_failure,
    explain_index,
    poetry_environment,
    read_pip_config,
)

MIRROR = "https://mirror.test/simple"
SECRET = "p@ss:w/rd"
WITH_SECRET = "https://me:p%40ss%3Aw%2Frd@mirror.test/simple"


def configured(tmp_path: Path, text: str = "", **environ: str) -> PipConfig:
    """Ask the real pip, with a configuration file of our own."""
    file = tmp_path / "pip.conf"
    file.write_text(text, "utf-8")
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_CONFIG_FILE": str(file)}
    return read_pip_config(sys.executable, {**clean, **environ})


@pytest.mark.parametrize("section", ["global", "install"])
def test_index_of_a_configuration_file(tmp_path: Path, section: str) -> None:
    assert configured(tmp_path, f"[{section}]\nindex-url = {MIRROR}\n").index_url == MIRROR


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    text = "[global]\nindex-url = https://other.test/simple\n"
    assert configured(tmp_path, text, PIP_INDEX_URL=MIRROR).index_url == MIRROR


def test_a_mirror_chosen_for_poetry_wins_over_pip(tmp_path: Path) -> None:
    pip = configured(
        tmp_path, PIP_INDEX_URL="https://other.test/simple", POETRY_PYPI_MIRROR_URL=MIRROR
    )
    assert pip.index_url == MIRROR


def test_without_configuration_it_is_what_is_built_into_pip(tmp_path: Path) -> None:
    ask = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    built_in = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True
    )
    pip = configured(tmp_path, PIP_CONFIG_FILE=os.devnull)
    assert pip.index_url.rstrip("/") == built_in.stdout.strip().rstrip("/")


def test_certificate_proxy_and_patience_are_pips_too(tmp_path: Path) -> None:
    text = "[global]\ncert = /certs/ours.pem\nproxy = http://proxy.test:3128\ntimeout = 180\n"
    environ = poetry_environment(configured(tmp_path, text), {})
    assert environ["REQUESTS_CA_BUNDLE"] == environ["SSL_CERT_FILE"] == "/certs/ours.pem"
    assert environ["HTTPS_PROXY"] == "http://proxy.test:3128"
    assert environ["POETRY_REQUESTS_TIMEOUT"] == "180"


def test_what_the_user_set_stays(tmp_path: Path) -> None:
    pip = configured(tmp_path, "[global]\ncert = /certs/ours.pem\n")
    environ = poetry_environment(pip, {"REQUESTS_CA_BUNDLE": "/certs/theirs.pem"})
    assert environ["REQUESTS_CA_BUNDLE"] == "/certs/theirs.pem"


def test_another_active_environment_does_not_lead_poetry_astray() -> None:
    misleading = {
        "VIRTUAL_ENV": "/elsewhere",
        "CONDA_PREFIX": "/elsewhere",
        "PYTHONPATH": "/elsewhere",
        "POETRY_VIRTUALENVS_CREATE": "false",
    }
    environ = poetry_environment(PipConfig(MIRROR), misleading)
    assert "/elsewhere" not in environ.values()
    assert environ["POETRY_VIRTUALENVS_CREATE"] == "true"


def test_credentials_are_taken_apart_from_the_address(tmp_path: Path) -> None:
    pip = configured(tmp_path, PIP_INDEX_URL=WITH_SECRET)
    assert (pip.index_url, pip.username, pip.password) == (MIRROR, "me", SECRET)


@pytest.mark.parametrize("status", [0, 1])
def test_credentials_reach_poetry_and_nothing_else(tmp_path: Path, status: int) -> None:
    folder = make_folder(tmp_path)
    folder.stand_in(".poetry/bin/poetry", status=status, also=f'env > "{tmp_path}/poetry.env"')
    done = folder.run("install", PIP_INDEX_URL=WITH_SECRET, PIP_TIMEOUT="1")
    assert done.returncode == status
    seen = folder.poetry_environment
    assert seen["POETRY_PYPI_MIRROR_URL"] == MIRROR
    assert seen["POETRY_HTTP_BASIC_PYPI_USERNAME"] == "me"
    assert seen["POETRY_HTTP_BASIC_PYPI_PASSWORD"] == SECRET
    (tmp_path / "poetry.env").unlink()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    everything = [done.stdout, done.stderr, *(path.read_text("utf-8", "replace") for path in files)]
    assert not [text for text in everything if "p@ss" in text or "p%40ss" in text]


class _Index(BaseHTTPRequestHandler):
    """Answers with the status that the first folder of the path names."""

    def do_GET(self) -> None:
        pair = base64.b64encode(f"me:{SECRET}".encode()).decode()
        wanted = self.path.startswith("/private/")
        known = self.headers.get("Authorization") == f"Basic {pair}"
        status = (200 if known else 401) if wanted else int(self.path.split("/")[1])
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Index) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "refuses the credentials"),
        (403, "refuses the credentials"),
        (404, "correct pip's index-url"),
        (503, "out of order (503): try again later"),
    ],
)
def test_what_a_broken_mirror_answers_is_explained(server: str, status: int, says: str) -> None:
    line = explain_index(PipConfig(f"{server}/{status}/simple"))
    assert says in line
    assert "\n" not in line


def test_an_index_that_answers_needs_no_explanation(server: str) -> None:
    assert explain_index(PipConfig(f"{server}/200/simple")) == ""
    assert explain_index(PipConfig(f"{server}/private/simple", "me", SECRET)) == ""


def test_a_wrong_password_is_not_in_the_explanation(server: str) -> None:
    line = explain_index(PipConfig(f"{server}/private/simple", "me", "wrong one"))
    assert "refuses the credentials" in line
    assert "wrong one" not in line


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/simple", "http://mirror.invalid/simple"])
def test_an_index_out_of_reach_is_explained(url: str) -> None:
    line = explain_index(PipConfig(url), timeout=5)
    assert any(word in line for word in ("cannot be reached", "cannot be found", "no network"))


def test_an_untrusted_certificate_is_explained() -> None:
    line = _explain_failure("mirror.test", ssl.SSLCertVerificationError("self-signed"))
    assert "pip config set global.cert" in line
