"""Measurements: versions measured together on the same ratings, kept beside the versions.

A measurement is a folder `models/.measurements/<key>/` with `measurement.json` and, in a folder
per version, its two frames. The key is made of what the versions are, so that one that was
deleted and came back as another never meets an old measurement.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from movierec.errors import ArtifactError
from movierec.folders import clear_abandoned, incoming_folder, locked, remove_folder, sync, writing
from movierec.registry.manifest import FileFacts, facts_of
from movierec.registry.names import is_folder, is_name
from movierec.store import VersionRecord

if TYPE_CHECKING:
    import pandas as pd

    from movierec.evaluation import Evaluation

__all__ = ["FOLDER", "Frame", "Measured", "Measurement", "Measurements", "TestSet", "identity"]

FOLDER = ".measurements"
FACTS = "measurement.json"
# raised whenever a metric is defined anew, so that no old number is compared
EDITION = 1
MAX_BYTES = 64 * 2**20
AGAIN = "Measure them again: `movierec versions measure`."

Frame: TypeAlias = Literal["per_user", "per_rating"]
FRAMES: tuple[Frame, ...] = ("per_user", "per_rating")
_STRICT = ConfigDict(frozen=True, strict=True, extra="forbid")


class TestSet(BaseModel):
    """The data set that versions were measured on, and the held-out part of it.

    `split` is a `SplitSpec` or `CommonSpec` as plain data, `caveats` are whole sentences.
    """

    __test__ = False  # pytest takes what is called Test… for tests
    model_config = _STRICT

    dataset_name: str
    fingerprint: str
    split: dict[str, Any]
    split_label: str
    test_sha256: str
    n_ratings: Annotated[int, Field(ge=0)]
    n_users: Annotated[int, Field(ge=0)]
    floors: dict[str, Any]
    caveats: list[str]


class Measured(BaseModel):
    """The results of one version, with the keys of its `metadata.json`."""

    model_config = _STRICT

    identity: str
    evaluation: dict[str, Any]
    slices: list[dict[str, Any]]
    reliability: list[dict[str, Any]]
    files: dict[str, FileFacts]


class _Facts(BaseModel):
    """The whole of `measurement.json`."""

    model_config = _STRICT

    created_at: Annotated[datetime, Field(strict=False)]
    ground: TestSet
    versions: dict[str, Measured]


@dataclass(frozen=True)
class Measurement:
    """Versions measured on the same ratings, by name in the order they were asked for."""

    key: str
    folder: Path
    created_at: datetime
    ground: TestSet
    versions: Mapping[str, Measured]

    def holds(self, records: Iterable[VersionRecord]) -> bool:
        """Return whether each of these versions, as it is now, was measured."""
        known = {(name, measured.identity) for name, measured in self.versions.items()}
        return all((record.name, identity(record)) in known for record in records)

    def frame(self, name: str, frame: Frame) -> pd.DataFrame:
        """Read `Evaluation.per_user` or `per_rating` of a version, its hash checked.

        Raises:
            ArtifactError: the file is missing or was changed.

        """
        import pandas as pd

        path = self.folder / name / f"{frame}.parquet"
        try:
            whole = facts_of(path) == self.versions[name].files[path.name]
        except (OSError, KeyError) as error:
            raise _unusable(f"{path.name} of {name} is missing") from error
        if not whole:
            raise _unusable(f"{path.name} of {name} was changed")
        return pd.read_parquet(path)

    def problems(self) -> list[str]:
        """Return the problems of its files; nothing when it is whole."""
        return [
            f"{file} of {name} is missing or was changed."
            for name, measured in self.versions.items()
            for file, facts in measured.files.items()
            if not _is(self.folder / name / file, facts)
        ]


# `list` is a method below
Found: TypeAlias = list[Measurement]
Lines: TypeAlias = list[str]
Folders: TypeAlias = list[Path]


def identity(record: VersionRecord) -> str:
    """Return a hash of all that a version is: its metadata, which holds its files' hashes."""
    text = json.dumps(
        record.metadata.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


class Measurements:
    """The measurements kept in a folder of versions."""

    def __init__(self, models: Path) -> None:
        self._root = models / FOLDER

    def list(self) -> Found:
        """Return every measurement that can be read, newest first."""
        found = [m for path in self._folders() if (m := _read(path)) is not None]
        return sorted(found, key=lambda measurement: measurement.created_at, reverse=True)

    def get(self, records: Sequence[VersionRecord]) -> Measurement | None:
        """Return the measurement of exactly these versions; None where there is none."""
        return _read(self._root / _key(records))

    def find(self, records: Sequence[VersionRecord]) -> Measurement | None:
        """Return the measurement of these versions, or else of the fewest that hold them."""
        exact = self.get(records)
        if exact is not None and exact.holds(records):
            return exact
        names = {record.name for record in records}
        wider = (path for path in self._folders() if names <= _measured_in(path))
        held = [m for path in wider if (m := _read(path)) is not None and m.holds(records)]
        return min(held, key=lambda m: (len(m.versions), -m.created_at.timestamp()), default=None)

    def save(
        self,
        records: Sequence[VersionRecord],
        ground: TestSet,
        evaluations: Iterable[tuple[str, Evaluation]],
    ) -> Measurement:
        """Keep a measurement, written aside and renamed into place; an older one is replaced.

        `evaluations` are taken one by one, so that only one is in memory at a time.

        Raises:
            ArtifactError: the folder cannot be written.

        """
        known = {record.name: record for record in records}
        with writing(self._root), incoming_folder(self._root) as incoming:
            versions = {n: _write_version(incoming / n, known[n], e) for n, e in evaluations}
            facts = _Facts(created_at=datetime.now(UTC), ground=ground, versions=versions)
            (incoming / FACTS).write_text(facts.model_dump_json(indent=2), encoding="utf-8")
            sync(incoming / FACTS)
            sync(incoming)
            target = self._root / _key(records)
            with locked(self._root, "keeping a measurement"):
                remove_folder(target)
                incoming.rename(target)
                sync(self._root)
        return _measurement(target, facts)

    def forget(self, names: Collection[str]) -> Lines:
        """Remove the measurements of versions that are not among these, and what is half made.

        Returns a line for each thing done.
        """
        if not is_folder(self._root):
            return []
        left = clear_abandoned(self._root)
        done = [f"Removed {name}, left by a process that was killed." for name in left]
        for path in self._folders():
            gone = sorted(_measured_in(path) - {*names})
            if gone:
                remove_folder(path)
                done.append(f"Removed a measurement of {gone[0]}, which is deleted.")
        return done

    def drop(self, name: str) -> None:
        """Remove every measurement of a version that is deleted."""
        for path in self._folders():
            if name in _measured_in(path):
                remove_folder(path)

    def _folders(self) -> Folders:
        if not is_folder(self._root):
            return []
        return [path for path in self._root.iterdir() if path.name[0] != "." and is_folder(path)]


def _key(records: Iterable[VersionRecord]) -> str:
    parts = sorted(f"{record.name} {identity(record)}" for record in records)
    return hashlib.sha256("\n".join([str(EDITION), *parts]).encode()).hexdigest()[:32]


def _write_version(folder: Path, record: VersionRecord, found: Evaluation) -> Measured:
    folder.mkdir()
    for name in FRAMES:
        getattr(found, name).to_parquet(folder / f"{name}.parquet")
        sync(folder / f"{name}.parquet")
    sync(folder)
    return Measured(
        identity=identity(record),
        evaluation=found.as_dict(),
        slices=found.slice_rows(),
        reliability=found.reliability_rows(),
        files={path.name: facts_of(path) for path in sorted(folder.iterdir())},
    )


def _measured_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if is_name(path.name)}


def _read(folder: Path) -> Measurement | None:
    """Return a measurement; None where there is none that can be read."""
    path = folder / FACTS
    try:
        facts = os.lstat(path)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_BYTES or folder.is_symlink():
            return None
        return _measurement(folder, _Facts.model_validate_json(path.read_bytes()))
    except (OSError, ValidationError, RecursionError):
        return None  # it was removed meanwhile, or is damaged: measuring again mends it


def _measurement(folder: Path, facts: _Facts) -> Measurement:
    return Measurement(folder.name, folder, facts.created_at, facts.ground, facts.versions)


def _is(path: Path, facts: FileFacts) -> bool:
    try:
        return facts_of(path) == facts
    except OSError:
        return False


def _unusable(cause: str) -> ArtifactError:
    return ArtifactError(f"The measurement cannot be used: {cause}.", hint=AGAIN)
