"""A PostgreSQL server of the tests' own, in a temporary folder, on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tools.bootstrap.machine import find_postgres

USER, PASSWORD = "movierec", "ein Geheimnis/%"  # a URL has to quote it
PATIENCE = 120.0  # seconds; only a hanging server takes so long
TRIES = 5  # another program may take the free port first
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # nobody misses this data after a power cut
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
}


class Cluster:
    """One server with its data; `start` after `stop` brings it back on the same port."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self.folder = folder
        self.port = 0
        self._server: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Lay out the data; everybody who connects needs the password."""
        secret = self.folder / "secret"
        secret.write_text(PASSWORD, "utf-8")
        if _owner():
            shutil.chown(secret, **_owner())
        command = ["initdb", "-D", str(self._data), "-U", USER, "--pwfile", str(secret)]
        choices = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            [self.programs / command[0], *command[1:], *choices], cwd=self.folder,
            capture_output=True, text=True, check=False, **_as_owner(),
        )  # fmt: skip
        if done.returncode:
            pytest.fail(f"initdb: {done.stderr}")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        chosen = self.port
        for _ in range(TRIES):
            self.port = chosen or _free_port()
            self._server = self._started()
            if self._answers(self._server):
                return
        pytest.fail(f"PostgreSQL does not start: {self._log.read_text('utf-8', 'replace')}")

    def stop(self) -> None:
        """Stop the server at once, whoever is connected."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(PATIENCE)
            self._server = None

    def url(self, database: str, password: str = PASSWORD) -> str:
        """Return the URL that movierec is given."""
        quoted = password.replace("%", "%25").replace("/", "%2F").replace(" ", "%20")
        return f"postgresql+psycopg://{USER}:{quoted}@127.0.0.1:{self.port}/{database}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement outside of movierec."""
        with self.connected(database) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def connected(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Open a connection of another program, which commits each statement."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database,
            autocommit=True,
        )  # fmt: skip

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database for the block; yield its name."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        yield name
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _started(self) -> subprocess.Popen[bytes]:
        options = [f"--{name}={value}" for name, value in {**OPTIONS, "port": self.port}.items()]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [self.programs / "postgres", "-D", self._data, *options], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **_as_owner(),
            )  # fmt: skip

    def _answers(self, server: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + PATIENCE
        while server.poll() is None and time.monotonic() < deadline:
            try:
                self.connected().close()
                return True
            except psycopg.OperationalError:
                time.sleep(0.05)
        return False


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Make and start a server for the block; the test is skipped where there is none."""
    programs = find_postgres()
    if programs is None:
        missing = "PostgreSQL is not installed (Debian: apt install postgresql)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    if os.geteuid() == 0 and not _owner():
        pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
    with tempfile.TemporaryDirectory(prefix="movierec-postgres-") as folder:
        if _owner():
            shutil.chown(folder, **_owner())
        made = Cluster(programs, Path(folder))
        made.make()
        try:
            made.start()
            yield made
        finally:
            made.stop()


def _owner() -> dict[str, Any]:
    """Return whom the server runs as where that is not ourselves: it refuses to be root."""
    try:
        entry = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    except KeyError:
        entry = None
    return {"user": entry.pw_uid, "group": entry.pw_gid} if entry else {}


def _as_owner() -> dict[str, Any]:
    return {**_owner(), "extra_groups": []} if _owner() else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
