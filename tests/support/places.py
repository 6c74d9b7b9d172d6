"""Machines that share a database and a place for versions: a folder, or S3 as moto serves it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import requests

from movierec.metadata import VersionMetadata
from movierec.registry import Registry, VersionDraft
from movierec.settings import Settings
from movierec.store import Store, open_store

KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    # no machine of the tests may ask for credentials elsewhere
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}
DRAFT = VersionDraft(
    model="sage",
    preset="report",
    dataset_name="planted",
    fingerprint="0" * 64,
    split_label="random 80/20, seed 42",
    metadata=VersionMetadata(metrics={"val_rmse": 0.9, "ndcg": float("nan")}),
    files={
        "graphsage_model.pth": bytes(range(256)) * 80,
        "per_user.parquet": lambda path: path.write_bytes(b"rows") and None,
    },
    arrays={"user_factors": np.arange(320.0).reshape(40, 8)},
)


class S3:
    """A server of this process's own; `start` after `stop` brings it back on the same port."""

    def __init__(self) -> None:
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        self._server.stop()

    def make(self, bucket: str) -> None:
        requests.put(f"{self.url}/{bucket}", timeout=60).raise_for_status()


@contextmanager
def s3_server() -> Iterator[S3]:
    """Serve S3 until the block ends."""
    server = S3()
    try:
        yield server
    finally:
        server.stop()


@dataclasses.dataclass(frozen=True)
class Machine:
    """One of several machines: its own folders, and what it shares."""

    settings: Settings
    store: Store

    @property
    def registry(self) -> Registry:
        return Registry(self.settings, self.store)

    @property
    def models(self) -> Path:
        return self.settings.models_path

    @property
    def current(self) -> str:
        return str((self.models / "current").readlink())

    def names(self) -> list[str]:
        return sorted(record.name for record in self.registry.list())


def settings_of(folder: Path, name: str, url: str, database_url: str = "") -> Settings:
    shared = database_url or f"sqlite:///{folder / 'shared.db'}"
    return Settings(home=folder / name, device="cpu", database_url=shared, artifacts_url=url)


@contextmanager
def machine(folder: Path, name: str, url: str, database_url: str = "") -> Iterator[Machine]:
    """Open a machine's versions until the block ends."""
    settings = settings_of(folder, name, url, database_url)
    with open_store(settings) as store:
        yield Machine(settings, store)


def use_s3(monkeypatch: pytest.MonkeyPatch, server: S3) -> None:
    """Have this process, and those it starts, find the server and its keys."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": server.url}.items():
        monkeypatch.setenv(name, value)
