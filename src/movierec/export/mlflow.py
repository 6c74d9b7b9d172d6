"""Versions as runs of an MLflow tracking store: the same run again when exported again."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from movierec.errors import ArtifactError, SettingsError, StoreError
from movierec.export.mlflow_facts import IDENTITY, params_of, points_of, tags_of
from movierec.export.model_card import model_card
from movierec.progress import Progress, silent
from movierec.registry import Registry
from movierec.registry.measurements import identity
from movierec.store import Store, VersionRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["Exported", "export_to_mlflow"]

_Item = TypeVar("_Item")

BATCH = 100  # params or tags that MLflow takes at once; of metrics it takes more
CARD = "model_card.md"
FINISHED = "FINISHED"
SQLITE = "sqlite:///"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_CALM = {
    # a version is nobody's business but its owner's
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # or its addresses are in the middle of JSON
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # its own seven take four minutes to say that there is no server
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


@dataclass(frozen=True)
class Exported:
    """Which run a version is in MLflow; `is_new` is False where it was there already."""

    version: str
    run_id: str
    experiment_id: str
    is_new: bool


def export_to_mlflow(
    registry: Registry,
    store: Store,
    names: Sequence[str],
    tracking_uri: str,
    experiment: str,
    *,
    on_progress: Progress | None = None,
) -> list[Exported]:
    """Write versions into an MLflow tracking store: params, metrics, tags, files, model card.

    A version that is there already keeps its run; its tags, notes and card are brought up to
    date. One whose export was cut off is completed.

    Raises:
        NotFoundError: there is no such version.
        ArtifactError: a version's files are not whole.
        SettingsError: MLflow is not installed, or the store's address cannot be used.
        StoreError: the tracking store cannot be reached or written.

    """
    tell = on_progress or silent
    records = [_whole(registry, name) for name in dict.fromkeys(names)]
    exported = []
    with _mlflow(tracking_uri) as client:
        experiment_id = _experiment(client, experiment, tracking_uri)
        for place, record in enumerate(records):
            tell(record.name, place / len(records))
            export = _Export(client, experiment_id, record)
            exported.append(export.write(registry.path(record.name), model_card(store, record)))
    tell("exported", 1.0)
    return exported


@dataclass(frozen=True)
class _Export:
    """One version on its way into one experiment."""

    client: MlflowClient
    experiment_id: str
    record: VersionRecord

    def write(self, folder: Path, card: str) -> Exported:
        tags = tags_of(self.record, identity(self.record))
        run = self._find(tags[IDENTITY])
        is_there = run is not None and run.info.status == FINISHED
        run_id = self._create(tags) if run is None else str(run.info.run_id)
        if not is_there:
            self._log(run_id, folder)
        self._describe(run_id, tags, card)
        if not is_there:
            end = round(self.record.created_at.timestamp() * 1000)
            self.client.set_terminated(run_id, FINISHED, end)
        return Exported(self.record.name, run_id, self.experiment_id, not is_there)

    def _find(self, mark: str) -> Run | None:
        wanted = f"tags.`{IDENTITY}` = '{mark}'"
        found = self.client.search_runs([self.experiment_id], wanted, max_results=1)
        return found[0] if found else None

    def _create(self, tags: dict[str, str]) -> str:
        seconds = self.record.metadata.durations.total or 0
        start = round(1000 * (self.record.created_at.timestamp() - float(seconds)))
        name = f"{self.record.dataset_name} {self.record.name}"
        run = self.client.create_run(self.experiment_id, start, tags, name)
        return str(run.info.run_id)

    def _log(self, run_id: str, folder: Path) -> None:
        from mlflow.entities import Metric, Param

        for params in _batches([*params_of(self.record).items()]):
            self.client.log_batch(run_id, params=[Param(*pair) for pair in params])
        for points in _batches(points_of(self.record)):
            self.client.log_batch(run_id, metrics=[Metric(*point) for point in points])
        self.client.log_artifacts(run_id, str(folder), "version")

    def _describe(self, run_id: str, tags: dict[str, str], card: str) -> None:
        """Write what may change later: tags, notes, and the card that has them."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(*pair) for pair in tags.items()])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / CARD
            path.write_text(card, encoding="utf-8")
            self.client.log_artifact(run_id, str(path))


def _batches(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[at : at + BATCH] for at in range(0, len(items), BATCH))


def _whole(registry: Registry, name: str) -> VersionRecord:
    record = registry.get(name)
    problems = registry.verify(record.name)
    if problems:
        raise ArtifactError(
            f"Version {record.name} cannot be exported: {problems[0]}",
            hint="Restore its files from a backup, or train it again.",
        )
    return record


def _experiment(client: MlflowClient, name: str, uri: str) -> str:
    """Return the experiment's id; it is made where there is none."""
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=_beside(uri)))
    if found.lifecycle_stage != "active":
        raise SettingsError(
            f"The experiment {name!r} is deleted in this MLflow.",
            hint="Restore it there, or name another one with `--experiment`.",
        )
    return str(found.experiment_id)


def _beside(uri: str) -> str | None:
    """Return where the files of a local store go: beside its database, not where one stands."""
    if not uri.startswith(SQLITE):
        return None
    database = Path(uri.removeprefix(SQLITE)).absolute()
    return (database.parent / "mlartifacts").as_uri()


@contextmanager
def _mlflow(uri: str) -> Iterator[MlflowClient]:
    """Open a tracking store quietly; whatever MLflow raises becomes an error of ours."""
    for name, value in _CALM.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        # MLflow 3.17 asks SQLAlchemy for a way of loading that 2.1 deprecates
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
        try:
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException
        except ModuleNotFoundError as error:
            raise SettingsError(
                "MLflow is not installed.",
                hint="`make mlflow` installs it; as a package: pip install 'movierec[mlflow]'.",
            ) from error
        with _translated(uri, MlflowException), _quiet():
            _require_database(uri)
            yield MlflowClient(uri)


def _require_database(uri: str) -> None:
    """Connect once: MLflow itself would try for two minutes where there is no database."""
    if re.split("[+:]", uri)[0] in DATABASES:
        engine = create_engine(uri)
        engine.connect().close()
        engine.dispose()


@contextmanager
def _translated(uri: str, kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (kind, SQLAlchemyError, OSError) as error:
        cause = str(error).strip().splitlines() or [type(error).__name__]
        raise StoreError(
            f"The MLflow tracking store {_without_secrets(uri)} cannot be used: "
            f"{_without_secrets(cause[0]).rstrip('.')}.",
            hint="Give a database such as sqlite:///mlflow.db, or the address of a server.",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's and Alembic's progress off the terminal: an answer is what was asked for."""
    loggers: list[Any] = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _without_secrets(text: str) -> str:
    """Return text without the user and password of addresses in it."""
    return re.sub(r"://[^/@\s]*@", "://…@", text)
