"""What `make container` calls: build the image, start the services, ask them, and tell figures."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from tools.bootstrap.checks import SetupError
from tools.bootstrap.packages import install_packages
from tools.container.compose import Service, read_services
from tools.container.dockerfile import Stage, read_stages
from tools.container.root import Builder, Root, copy_tree, make_base
from tools.container.services import CLUSTER, Composed, Image, end_all, prepare_database

PROJECT = Path(__file__).resolve().parents[2]
GIB = 2**30
LENGTH = 3
BASE = "debian"  # the folder; the Dockerfile has a stage called base
BUILT = "built.json"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
KEY = secrets.token_hex(16)
VALUES = {"POSTGRES_PASSWORD": "ein Geheimnis/%", "MOVIEREC_API_KEYS": KEY}
QUICK = ["movierec", "train", "--queue", "--epochs", "2", "--json"]


def main() -> int:
    """Build, start, ask, stop; print a line for each step and the figures as JSON."""
    options = _options()
    work: Path = options.work
    if os.geteuid() or not shutil.which("apt-get"):
        raise SetupError("This needs root on Debian, for debootstrap and chroot.")
    if not shutil.which("debootstrap") and not install_packages(os.environ, "debootstrap"):
        raise SetupError("debootstrap is missing: apt-get install debootstrap")
    work.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {}
    stages = read_stages((PROJECT / "Dockerfile").read_text("utf-8"))
    base = work / BASE
    with _timed(figures, "a bare Debian"):
        make_base(stages[0].base.removeprefix("debian:").removesuffix("-slim"), base)
    if not (options.keep and (work / BUILT).exists()):
        _build(stages, base, work, figures)
    _serve(stages, work, figures)
    print(json.dumps(figures, indent=1))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=PROJECT / ".cache" / "container")
    parser.add_argument("--keep", action="store_true", help="take the image of the last time")
    return parser.parse_args()


def _build(stages: list[Stage], base: Path, work: Path, figures: dict[str, Any]) -> None:
    builder = Builder(base, work, PROJECT, _secrets(work))
    (work / BUILT).unlink(missing_ok=True)
    for stage in stages:
        shutil.rmtree(work / stage.name, ignore_errors=True)
        with _timed(figures, f"build {stage.name}"):
            builder.build(stage)
    told = {name: vars(root) | {"folder": root.folder.name} for name, root in builder.built.items()}
    (work / BUILT).write_text(json.dumps(told), "utf-8")
    figures["GiB"] = _sizes(work, base)


def _serve(stages: list[Stage], work: Path, figures: dict[str, Any]) -> None:
    services = read_services(PROJECT / "compose.yaml", VALUES)
    told = json.loads((work / BUILT).read_text("utf-8"))
    roots = {
        name: Root(**facts | {"folder": work / facts["folder"]}) for name, facts in told.items()
    }
    known = {stage.name: stage for stage in stages}
    shutil.rmtree(work / "volumes", ignore_errors=True)
    (work / "logs").mkdir(exist_ok=True)
    composed = Composed(work / "volumes", work / "logs")
    for service in services.values():
        if service.target:
            stage, root = known[service.target], roots[service.target]
            _name_the_database(root)
            composed.images[service.image] = Image(root, stage.command, stage.health)
    try:
        _start_database(services["postgres"], composed, work, figures)
        _try(services, composed, _network(work), figures)
        figures["seconds to end"] = {
            name: round(composed.stop(name), 1) for name in reversed([*composed.running])
        }
    finally:
        end_all(work, composed)


def _start_database(
    service: Service, composed: Composed, work: Path, figures: dict[str, Any]
) -> None:
    folder = work / "database"
    if not folder.exists():
        print("  postgres: a Debian with PostgreSQL stands for its image", flush=True)
        copy_tree(work / BASE, folder)
        root = Root(folder, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
        (folder / "etc/postgresql-common").mkdir(exist_ok=True)
        (folder / "etc/postgresql-common/createcluster.conf").write_text(
            "create_main_cluster = false\n"
        )
        line = "apt-get update -qq && apt-get install -qq --no-install-recommends postgresql"
        root.run(["sh", "-c", line])
    root = Root(folder, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    asked = prepare_database(root, composed, service)
    command = ["postgres", "-D", CLUSTER, "-c", "listen_addresses=127.0.0.1"]
    composed.images[service.image] = Image(asked, command, [])
    figures["start postgres"] = round(composed.start(service), 1)


def _try(
    services: Mapping[str, Service],
    composed: Composed,
    network: Mapping[Path, PurePosixPath],
    figures: dict[str, Any],
) -> None:
    """Start the three services, fetch the data set, train through the queue, ask the API."""
    for name in ("worker", "dashboard", "api"):
        figures[f"start {name}"] = round(composed.start(services[name]), 1)
        print(f"  {name} is well", flush=True)
    with _timed(figures, "movierec data fetch ml-100k"):
        composed.call(services["worker"], ["movierec", "data", "fetch", "ml-100k"], network)
    run = json.loads(composed.call(services["dashboard"], QUICK))
    with _timed(figures, "a queued training of two epochs"):
        composed.call(services["dashboard"], ["movierec", "runs", "watch", str(run["id"])])
    answer = _get(f"http://127.0.0.1:8000/recommend?user=196&k={LENGTH}")
    if answer["reason"] != "known" or len(answer["recommendations"]) != LENGTH:
        raise SetupError(f"The API answers {answer}.")


def _get(url: str) -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def _name_the_database(root: Root) -> None:
    hosts = root.folder / "etc/hosts"
    text = hosts.read_text("utf-8") if hosts.exists() else "127.0.0.1 localhost\n"
    if " postgres" not in text:
        hosts.write_text(f"{text}\n127.0.0.1 postgres\n", "utf-8")


def _secrets(work: Path) -> dict[str, Path]:
    """Return the secrets of the build: pip's configuration of this machine, its certificates."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        found[name.rpartition(".")[2]] = value.strip("'\"")
    kept = {key: value for key, value in found.items() if value.startswith(("http://", "https://"))}
    given = {"timeout": found.get("default-timeout", ""), **kept}
    lines = [f"{key} = {value}" for key, value in given.items() if value]
    path = work / "pip.conf"
    path.write_text("\n".join(["[global]", "cert = /run/secrets/certificates", *lines]) + "\n")
    return {"pip": path, "certificates": CERTIFICATES}


def _network(work: Path) -> dict[Path, PurePosixPath]:
    """Return what pip needs in a running container, where the data set is fetched."""
    found = _secrets(work)
    return {
        found["pip"]: PurePosixPath("/etc/pip.conf"),
        found["certificates"]: PurePosixPath("/run/secrets/certificates"),
    }


def _sizes(work: Path, base: Path) -> dict[str, float]:
    packages = next((work / "movierec/app/.venv/lib").glob("python3.*/site-packages"))
    names = ("torch", "nvidia", "triton", "cuda")
    heavy = [path for name in names for path in packages.glob(f"{name}*")]
    parts = {
        "movierec": [work / "movierec"], "api": [work / "api"], "Debian in each": [base],
        "torch, CUDA and Triton": heavy,
    }  # fmt: skip
    return {name: round(sum(map(_bytes, each)) / GIB, 2) for name, each in parts.items()}


def _bytes(path: Path) -> int:
    told = subprocess.run(["du", "-sb", path], capture_output=True, text=True, check=True).stdout
    return int(told.split()[0])


@contextmanager
def _timed(figures: dict[str, Any], name: str) -> Iterator[None]:
    print(f"{name} …", flush=True)
    begun = time.monotonic()
    yield
    figures[name] = round(time.monotonic() - begun, 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
