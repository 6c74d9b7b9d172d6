"""Fixtures every test may use. None of them can reach the user's database or models."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from movierec.data.dataset import Dataset, fingerprint_of
from movierec.data.formats.detect import read_raw
from movierec.data.formats.files import open_files
from movierec.data.sources.ml_100k import verify_ml_100k
from movierec.data.sources.obtain import fetch_ml_100k
from movierec.data.validation.checks import checked
from movierec.settings import Settings
from tests.support.factories import make_dataset

if TYPE_CHECKING:
    from tests.support.postgres import Cluster

PROJECT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    # a shell's background job ignores SIGINT, and so would every process started here
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a database server or trains: `make check` leaves it out."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        variant = getattr(item, "callspec", None)
        values = [] if variant is None else [v for v in variant.params.values() if type(v) is str]
        if "postgresql" in values or fixtures & {"postgres", "postgres_url"}:
            item.add_marker(pytest.mark.postgres)
        in_training = PROJECT / "tests" / "unit" / "training" in item.path.parents
        if in_training or fixtures & {"trained", "trained_project", "calm_torch"}:
            item.add_marker(pytest.mark.training)


def refuse_user_paths(settings: Settings, tmp_root: Path) -> Settings:
    """Return the settings; fail the test when a path in them lies outside the temporary folder."""
    paths = [settings.data_path, settings.models_path, settings.runs_path]
    if settings.database_path is not None:
        paths.append(settings.database_path)
    for path in paths:
        if not path.resolve().is_relative_to(tmp_root.resolve()):
            pytest.fail(f"A test may not touch {path}: it lies outside {tmp_root}.")
    return settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose every path lies in this test's own temporary folder."""
    return refuse_user_paths(Settings(home=tmp_path, device="cpu"), tmp_path)


@pytest.fixture(autouse=True)
def _isolated_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the default settings at the temporary folder, for code and processes under test."""
    monkeypatch.setenv("MOVIEREC_HOME", str(tmp_path))
    for name in ("DATABASE_URL", "ARTIFACTS_URL", "DATA_DIR", "MODELS_DIR", "RUNS_DIR"):
        monkeypatch.delenv(f"MOVIEREC_{name}", raising=False)


@pytest.fixture(scope="session")
def trained_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with small versions that are really trained; to be copied, never changed."""
    from tests.support.trained import train_all

    return train_all(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def trained(trained_project: Path, tmp_path: Path) -> Settings:
    """Settings of this test's own copy of a project with six small versions."""
    from tests.support.trained import copied

    return copied(trained_project, tmp_path)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server for all tests of this process; skipped where it is not installed."""
    from tests.support.postgres import cluster

    with cluster() as started:
        yield started


@pytest.fixture
def postgres_url(postgres: Cluster) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    with postgres.database() as name:
        yield postgres.url(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test that asks for it runs on both databases: SQLite's default file, PostgreSQL.

    Processes that the test starts use the same one.
    """
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    monkeypatch.setenv("MOVIEREC_DATABASE_URL", url)
    return url


@pytest.fixture
def calm_torch() -> Iterator[None]:
    """One thread and a seed; torch's own switches are as before afterwards."""
    import torch

    threads, deterministic = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(deterministic)


@pytest.fixture
def planted() -> Dataset:
    """40 users, 30 movies, a planted two-factor taste."""
    return make_dataset()


@pytest.fixture(scope="session")
def ml_100k_source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the real MovieLens 100K, obtained by the product's own fetch.

    The original stays in `.cache/ml-100k`, shared between runs and workers (the fetch locks).
    """
    cache = Settings(home=PROJECT / ".cache", data_dir=Path(), device="cpu")
    original = fetch_ml_100k(cache).path
    copy = tmp_path_factory.mktemp("source") / original.name
    (shutil.copytree if original.is_dir() else shutil.copy)(original, copy)
    yield copy
    verify_ml_100k(open_files(copy))  # no test may change the shared copy


@pytest.fixture(scope="session")
def ml_100k(ml_100k_source: Path) -> Iterator[Dataset]:
    """The real MovieLens 100K in memory; the session ends with a check that it is unchanged."""
    dataset, _ = checked(read_raw(ml_100k_source, name="ml-100k"))
    users, movies = dataset.user_frame.copy(), dataset.movie_frame.copy()
    yield dataset
    found = fingerprint_of(dataset.users, dataset.movies, dataset.ratings)
    assert found == dataset.fingerprint, "a test changed the shared ratings"
    assert dataset.user_frame.equals(users), "a test changed the shared users"
    assert dataset.movie_frame.equals(movies), "a test changed the shared movies"
