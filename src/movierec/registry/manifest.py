"""`metadata.json`: what a version is, and the size and hash of each of its files."""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from movierec.errors import ArtifactError
from movierec.metadata import FileFacts
from movierec.registry.names import METADATA, check_file

__all__ = [
    "FileFacts",
    "Manifest",
    "facts_of",
    "parse_manifest",
    "read_manifest",
    "write_manifest",
]

MAX_BYTES = 64 * 2**20  # a training history of a million epochs is smaller


class _Facts(BaseModel):
    """The fields that the registry itself relies on; others pass unread."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    model_version: str
    model: str
    preset: str
    dataset_name: str
    fingerprint: str
    split_label: str
    created_at: Annotated[datetime, Field(strict=False)]
    run_id: int | None
    parameters: Annotated[int, Field(ge=0)]
    files: dict[str, FileFacts]


@dataclass(frozen=True)
class Manifest:
    """A version's metadata: the fields the registry relies on, and all of it as read."""

    facts: _Facts
    metadata: dict[str, Any]
    own_bytes: int

    @property
    def files(self) -> dict[str, FileFacts]:
        """Size and hash of every file but `metadata.json`."""
        return self.facts.files

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole version."""
        return self.own_bytes + sum(facts.bytes for facts in self.files.values())


def facts_of(path: Path) -> FileFacts:
    """Measure and hash a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileFacts(sha256=digest, bytes=file.tell())


def write_manifest(folder: Path, metadata: dict[str, Any]) -> Manifest:
    """Write `metadata.json`: keys sorted, no NaN, newline at the end."""
    text = json.dumps(metadata, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / METADATA).write_text(text + "\n", encoding="utf-8")
    return read_manifest(folder)


def read_manifest(folder: Path) -> Manifest:
    """Read and check a version's metadata.

    Raises:
        ArtifactError: it is missing, too large, not JSON, or a field has the wrong type.

    """
    return parse_manifest(_read(folder / METADATA), folder.name)


def parse_manifest(content: bytes, name: str) -> Manifest:
    """Check the bytes of a version's metadata; errors call the version by this name.

    Raises:
        ArtifactError: they are not JSON, or a field has the wrong type.

    """
    try:
        metadata = json.loads(content, parse_constant=_refuse_constant)
        facts = _Facts.model_validate(metadata)
        for file in facts.files:
            check_file(file)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise _unusable(name, f"{field}: {first['msg'].lower()}") from error
    except (ValueError, RecursionError) as error:
        raise _unusable(name, "it is not JSON") from error
    return Manifest(facts, metadata, len(content))


def _read(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise _unusable(path.parent.name, "it is a link or no plain file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unusable(path.parent.name, error.strerror or "it cannot be read") from error
    if len(content) > MAX_BYTES:
        raise _unusable(path.parent.name, f"it is larger than {MAX_BYTES // 2**20} MB")
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unusable(name: str, cause: str) -> ArtifactError:
    return ArtifactError(
        f"{METADATA} of version {name} cannot be used: {cause}.",
        hint="Restore the folder from a backup, or delete the version and train it again.",
    )
