"""What an archive says of itself and of its version, checked before anything relies on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from movierec.errors import SettingsError
from movierec.metadata import STRANGER, Count, Hash, Text, Time, VersionMetadata
from movierec.registry.annotations import changed_tags, checked_notes
from movierec.registry.archive.layout import RefusedError
from movierec.registry.names import is_name
from movierec.store import VersionRecord

__all__ = ["FORMAT", "MAX_JSON_BYTES", "Head", "check_metadata", "head_of", "read_head", "strict"]

FORMAT = 1
MAX_JSON_BYTES = 8 * 2**20  # a hundred times what a long training writes
MAX_DEPTH = 24


class Head(BaseModel):
    """`archive.json`: what the archive is, and the words that people gave the version."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: int
    kind: Literal["movierec version"]
    name: str
    movierec: Text
    created_at: Time
    metadata_sha256: Hash
    tags: list[str]
    notes: str


class _StrangersMetadata(VersionMetadata):
    """`metadata.json` with all that the registry relies on, every field of its type."""

    model_version: Text
    model: Text
    preset: Text
    dataset_name: Text
    fingerprint: Hash
    split_label: Text
    split_test_sha256: Hash | None = None
    created_at: Time
    run_id: int | None
    parameters: Count
    files: Any = None  # checked with the manifest


def head_of(record: VersionRecord, metadata: bytes) -> bytes:
    """Return the `archive.json` of a version: the same for the same version and words."""
    head = Head(
        format=FORMAT,
        kind="movierec version",
        name=record.name,
        movierec=version("movierec"),
        created_at=record.created_at.astimezone(UTC),
        metadata_sha256=hashlib.sha256(metadata).hexdigest(),
        tags=[*record.tags],
        notes=record.notes,
    )
    facts = head.model_dump(mode="json")
    return (json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_head(content: bytes, metadata: bytes) -> Head:
    """Check an `archive.json`, and that it is that of this `metadata.json`.

    Raises:
        RefusedError: it is not one of this movierec's, or of another version.

    """
    facts = strict("archive.json", content)
    found = facts.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise RefusedError(f"it is of format {found}, of a newer movierec; update movierec")
    head: Head = _checked("archive.json", Head, facts)
    if head.format != FORMAT or not is_name(head.name):
        raise RefusedError(f"archive.json: format {head.format} of {head.name[:40]!r} is unknown")
    if head.metadata_sha256 != hashlib.sha256(metadata).hexdigest():
        raise RefusedError("metadata.json was changed: wrong SHA-256")
    try:
        words = {"tags": [*changed_tags((), head.tags)], "notes": checked_notes(head.notes)}
    except SettingsError as error:
        raise RefusedError(f"archive.json: {error.message.rstrip('.')}") from error
    return head.model_copy(update=words)


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Check the type of every field, so that nothing counts as not recorded.

    Raises:
        RefusedError: one has the wrong type or cannot be.

    """
    facts = _checked("metadata.json", _StrangersMetadata, metadata)
    if facts.created_at > datetime.now(UTC) + timedelta(days=1):  # clocks differ
        raise RefusedError("metadata.json: created_at lies in the future")


def _checked(file: str, model: type[Any], facts: Mapping[str, Any]) -> Any:
    try:
        return model.model_validate(facts, context=STRANGER)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part)[:40] for part in first["loc"][:4]) or "the whole"
        raise RefusedError(f"{file}: {field}: {first['msg'].lower()}") from error


def strict(file: str, content: bytes) -> dict[str, Any]:
    """Return a JSON object that any reader would understand alike.

    Raises:
        RefusedError: it is not JSON, or is too deep, has a key twice, a number beyond all bounds or
            text that is no Unicode.

    """
    try:
        found = json.loads(
            content.decode(), object_pairs_hook=_once, parse_constant=_refuse_constant
        )
        _check_plain(found, MAX_DEPTH)
    except RefusedError as error:
        raise RefusedError(f"{file}: {error}") from error
    except RecursionError as error:
        raise RefusedError(f"{file}: it is nested too deeply") from error
    except ValueError as error:
        raise RefusedError(f"{file}: it is not JSON") from error
    if not isinstance(found, dict):
        raise RefusedError(f"{file}: it is not an object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    facts = dict(pairs)
    if len(facts) != len(pairs):
        raise RefusedError("it has a key twice")
    return facts


def _refuse_constant(name: str) -> None:
    raise RefusedError(f"{name} is not JSON")


def _check_plain(value: object, depth: int) -> None:
    if not depth:
        raise RefusedError("it is nested too deeply")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int | float) and not abs(value) < 2**63:
        raise RefusedError("it has a number beyond all bounds")
    for inner in _parts(value):
        _check_plain(inner, depth - 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RefusedError("it has text that is no Unicode") from error
    if "\x00" in text:
        raise RefusedError("it has a NUL character")


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return (part for pair in value.items() for part in pair)
    return value if isinstance(value, list) else ()
