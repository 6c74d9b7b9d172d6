"""The services of compose.yaml, each a process in its root, with its volumes and its health."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from tools.bootstrap.checks import SetupError
from tools.container.compose import Service
from tools.container.root import Root

__all__ = ["Composed", "Image", "end_all", "prepare_database"]

PATIENCE = 120.0  # seconds until a service is well
ENDING = 60.0  # seconds until a service that was asked to has ended
CLUSTER = "/var/lib/postgresql/data"
_NOTHING: Mapping[Path, PurePosixPath] = MappingProxyType({})


@dataclass(frozen=True)
class Image:
    """What an image is made of, what it runs, and how one sees that it is well."""

    root: Root
    command: list[str]
    health: list[str]


@dataclass
class Composed:
    """Services that run; `volumes` is the folder that holds one folder for each volume."""

    volumes: Path
    logs: Path
    images: dict[str, Image] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, service: Service) -> float:
        """Start a service; return after how many seconds it was well.

        Raises:
            SetupError: it ended or did not become well; the message has the end of its log.

        """
        image = self.images[service.image]
        begun = time.monotonic()
        with self._log(service).open("wb") as log:
            self.running[service.name] = subprocess.Popen(
                self._command(image.root, service, service.command or image.command),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        if service.is_watched:
            self._wait(service)
        return time.monotonic() - begun

    def call(
        self, service: Service, argv: Sequence[str], more: Mapping[Path, PurePosixPath] = _NOTHING
    ) -> str:
        """Run a command as `docker compose run` does; return what it printed.

        `more` are files of this machine and where the command sees them.

        Raises:
            SetupError: it failed.

        """
        root = self.images[service.image].root
        command = self._command(root, service, argv, more)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise SetupError(f"`{shlex.join(argv)}` failed in {service.name}: {done.stderr[-800:]}")
        return done.stdout

    def stop(self, name: str) -> float:
        """Ask a service to end as an engine does; return the seconds that it took.

        Raises:
            SetupError: it did not end.

        """
        process, begun = self.running.pop(name), time.monotonic()
        process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            raise SetupError(f"{name} did not end within {ENDING:.0f} s of SIGTERM.") from None
        return time.monotonic() - begun

    def _wait(self, service: Service) -> None:
        image = self.images[service.image]
        check = self._command(image.root, service, service.health or image.health)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.running[service.name].poll() is None:
            if not subprocess.run(check, stdin=subprocess.DEVNULL, capture_output=True).returncode:
                return
            time.sleep(0.2)
        said = self._log(service).read_text("utf-8", "replace")[-1500:]
        raise SetupError(f"{service.name} ended or is not well. The end of its log: {said}")

    def _command(
        self, root: Root, service: Service, argv: Sequence[str],
        more: Mapping[Path, PurePosixPath] = _NOTHING,
    ) -> list[str]:  # fmt: skip
        inside = replace(root, environment={**root.environment, **service.environment})
        mounts = dict(more)
        for name, target in service.volumes.items():
            folder = self.volumes / name
            if not folder.exists():
                folder.mkdir(parents=True)
                _owned_like(root.folder / target.lstrip("/"), folder)
            mounts[folder] = PurePosixPath(target)
        return inside.command(argv, mounts, service.hostname)

    def _log(self, service: Service) -> Path:
        return self.logs / f"{service.name}.log"


def prepare_database(root: Root, composed: Composed, service: Service) -> Root:
    """Lay out the cluster as PostgreSQL's image does at its first start; return where it runs."""
    values = service.environment
    programs = max((root.folder / "usr/lib/postgresql").iterdir()) / "bin"
    inside = "/" + str(programs.relative_to(root.folder))
    path = f"{inside}:/usr/bin:/bin"
    asked = replace(root, user="postgres", environment={"PATH": path, "LC_ALL": "C.UTF-8"})
    (root.folder / CLUSTER.lstrip("/")).mkdir(parents=True, exist_ok=True)
    root.run(["chown", "postgres:postgres", CLUSTER, "/var/run/postgresql"])
    composed.images[service.image] = Image(asked, [], [])
    user, database = values["POSTGRES_USER"], values["POSTGRES_DB"]
    composed.call(service, ["sh", "-c", _LAYOUT.format(user=user, database=database, data=CLUSTER)])
    return asked


_LAYOUT = (
    'printf %s "$POSTGRES_PASSWORD" > /tmp/secret'
    " && initdb -D {data} -U {user} --pwfile=/tmp/secret --auth=scram-sha-256 -E UTF8 --no-sync"
    " && rm /tmp/secret"
    ' && echo "CREATE DATABASE {database};" | postgres --single -D {data} postgres'
)


def end_all(folder: Path, composed: Composed) -> None:
    """End what still runs: the services, and what they started, known by its root."""
    for process in composed.running.values():
        process.kill()
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if int(entry.name) and (entry / "root").readlink().is_relative_to(folder):
                os.kill(int(entry.name), signal.SIGKILL)
    for process in composed.running.values():
        process.wait()


def _owned_like(model: Path, folder: Path) -> None:
    """Give a new volume the owner that the image's folder has, as an engine does."""
    if model.exists():
        facts = model.stat()
        os.chown(folder, facts.st_uid, facts.st_gid)
        folder.chmod(facts.st_mode & 0o7777)
