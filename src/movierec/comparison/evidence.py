"""What a version left for being compared: its row and what was measured user by user."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd
from pyarrow import ArrowException

from movierec.errors import ArtifactError, NotFoundError
from movierec.registry import Registry
from movierec.store import VersionRecord

__all__ = ["Evidence", "read_evidence"]

PER_USER, PER_RATING = "per_user.parquet", "per_rating.parquet"


@dataclass(frozen=True, eq=False)
class Evidence:
    """One version with its frames, as `Evaluation` describes them.

    A frame is None where it cannot be used, and `problem` then says why, as a whole sentence.
    """

    record: VersionRecord
    per_user: pd.DataFrame | None
    per_rating: pd.DataFrame | None
    problem: str = ""


def read_evidence(registry: Registry, name: str) -> Evidence:
    """Read what a version can be compared by; files are trusted only with their recorded hash.

    Raises:
        NotFoundError: there is no such version.

    """
    record = registry.get(name)
    try:
        registry.path(record.name)
    except ArtifactError as error:
        # what other machines have is not missing because it cannot be fetched now
        missing = replace(record, is_missing=registry.location is None)
        return Evidence(missing, None, None, error.message)
    record = replace(record, is_missing=False)  # as it is now, not when somebody last looked
    per_user, wrong = _tried(registry, record.name, PER_USER)
    per_rating, also_wrong = _tried(registry, record.name, PER_RATING)
    return Evidence(record, per_user, per_rating, wrong or also_wrong)


def _tried(registry: Registry, name: str, file: str) -> tuple[pd.DataFrame | None, str]:
    try:
        return _read(registry, name, file), ""
    except (ArtifactError, NotFoundError) as error:
        return None, error.message


def _read(registry: Registry, name: str, file: str) -> pd.DataFrame:
    path = registry.file(name, file)
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, ArrowException) as error:
        raise ArtifactError(
            f"{file} of version {name} is no table that can be read.",
            hint="Restore the file from a backup, or train the version again.",
        ) from error
