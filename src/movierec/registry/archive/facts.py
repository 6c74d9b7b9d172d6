"""What an archive says of itself and of its version, checked before anything relies on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from movierec.errors import SettingsError
from movierec.registry.annotations import changed_tags, checked_notes
from movierec.registry.archive.layout import RefusedError
from movierec.registry.names import is_name
from movierec.store import VersionRecord

__all__ = ["FORMAT", "MAX_JSON_BYTES", "Head", "check_metadata", "head_of", "read_head", "strict"]

FORMAT = 1
MAX_JSON_BYTES = 8 * 2**20  # a hundred times what a long training writes
MAX_DEPTH = 24
MAX_TEXT = 200
_STRICT = ConfigDict(frozen=True, strict=True)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has control characters")
    return text


Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_printable)]
Hash: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Number: TypeAlias = int | float | None
Scalar: TypeAlias = bool | int | float | str | None
Numbers: TypeAlias = dict[str, Number]
Scalars: TypeAlias = dict[str, Scalar]


class Head(BaseModel):
    """`archive.json`: what the archive is, and the words that people gave the version."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: int
    kind: Literal["movierec version"]
    name: str
    movierec: Text
    created_at: Annotated[AwareDatetime, Field(strict=False)]
    metadata_sha256: Hash
    tags: list[str]
    notes: str


class _Measured(BaseModel):
    """An evaluation, of the version or of a floor."""

    model_config = _STRICT

    rmse: Number = None
    mae: Number = None
    n_ratings: Count = 0
    full: Numbers = {}
    full_4: Numbers = {}
    rated: Numbers = {}
    beyond: Numbers = {}
    without_time: Numbers = {}
    calibration: dict[str, Number | Numbers] = {}
    protocol: dict[str, Scalar | Scalars] = {}


class _Slice(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="allow")
    __pydantic_extra__: Numbers

    slice: Text
    value: Text


class _Metadata(BaseModel):
    """`metadata.json` as far as pages, commands and comparisons read it."""

    model_config = _STRICT

    model_version: Text
    model: Text
    preset: Text
    dataset_name: Text
    fingerprint: Hash
    split_label: Text
    created_at: Annotated[AwareDatetime, Field(strict=False)]
    training_date: Annotated[AwareDatetime | None, Field(strict=False)] = None
    parameters: Count
    run_id: int | None
    evaluation: _Measured | None = None
    floors: dict[str, _Measured] = {}
    slices: list[_Slice] = []
    reliability: list[Numbers] = []
    training_history: list[Scalars] = []
    metrics: Numbers = {}
    hyperparameters: Scalars = {}
    split: Scalars = {}
    durations: Numbers = {}
    libraries: dict[str, Text | None] = {}
    git: Scalars = {}
    calibration: Scalars = {}
    residuals: Scalars = {}
    fits: list[Scalars] = []
    member_seeds: list[int] = []
    members: Annotated[int, Field(ge=1)] = 1
    refit: bool = False
    seed: int = 0
    threads: int | None = None
    best_epoch: int | None = None
    epochs_trained: Count = 0
    best_val_loss: Number = None
    final_train_loss: Number = None
    num_users_trained: Count = 0
    num_movies: Count = 0
    num_ratings: Count = 0
    num_parameters: Count = 0
    peak_memory_mb: Number = None
    mean_rating: Number = None
    device: Text = ""
    engine: Text = "local"
    workers: Annotated[int, Field(ge=1)] = 1
    data_source: Text = ""
    data_fingerprint: Hash | None = None
    split_test_sha256: Hash | None = None
    user_ids_sha256: Hash | None = None
    movie_ids_sha256: Hash | None = None
    database_path: Text = ""
    metrics_protocol: Text = ""


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
    """Check every field that something in movierec reads.

    Raises:
        RefusedError: one has the wrong type or cannot be.

    """
    facts = _checked("metadata.json", _Metadata, metadata)
    if facts.created_at > datetime.now(UTC) + timedelta(days=1):  # clocks differ
        raise RefusedError("metadata.json: created_at lies in the future")


def _checked(file: str, model: type[Any], facts: Mapping[str, Any]) -> Any:
    try:
        return model.model_validate(facts)
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
