"""Checks on the content of an archive: its two JSON files, and that every file is as its name says.

No code in them is run, torch is not needed, and no file takes more memory than its size allows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from movierec.errors import ArtifactError, SettingsError
from movierec.metadata import STRANGER, Count, Hash, Text, Time, VersionMetadata
from movierec.registry.annotations import changed_tags, checked_notes
from movierec.registry.archive.layout import HEAD, RefusedError, read_json
from movierec.registry.files import read_array
from movierec.registry.names import METADATA, array_of, is_name
from movierec.registry.safe_pickle import check_weights, safe_load

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["FORMAT", "Head", "check_contents", "check_metadata", "is_known", "read_head"]

FORMAT = 1

GRAPHSAGE = ("graphsage_model.pth", "preprocessor.pkl")
FRAMES = ("per_user.parquet", "per_rating.parquet")
# a model that only ranks predicts no rating, and of many users only a sample has lists
_MAY_MISS = ("prediction", "recommended")
MAX_ID = 500  # characters of a user's id

# What pandas writes, and nothing that makes much out of little: snappy at most some 20 times.
_CODECS = {"SNAPPY", "UNCOMPRESSED"}
_ENCODINGS = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY"}
_MAX_GROWTH = 32
_RANKING = ("precision_at_10", "recall_at_10", "ndcg_at_10", "hit_rate_at_10", "map_at_10", "mrr")
_COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "per_user.parquet": {
        "user_id": ("large_string", "string"),
        **dict.fromkeys(("user_index", "n_train", "n_test"), ("int64",)),
        **dict.fromkeys(("sq_error_sum", "abs_error_sum", "rmse"), ("double",)),
        **{f"{kind}_{name}": ("double",) for kind in ("full", "full_4", "rated")
           for name in _RANKING},
    },
    "per_rating.parquet": {
        **dict.fromkeys(("position", "user_index", "movie_index"), ("int64",)),
        **dict.fromkeys(("rating", "prediction"), ("float",)),
        "recommended": ("bool",),
    },
}  # fmt: skip


class Head(BaseModel):
    """`archive.json`: format and version of the archive, tags and notes of the version."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: int
    kind: Literal["movierec version"]
    name: str
    movierec: Text
    created_at: Time
    metadata_sha256: Hash
    tags: list[str]
    notes: str


class _ForeignMetadata(VersionMetadata):
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


def read_head(content: bytes, metadata: bytes) -> Head:
    """Check an `archive.json`, and that it is that of this `metadata.json`.

    Raises:
        RefusedError: it is not one of this movierec's, or of another version.

    """
    facts = read_json(HEAD, content)
    found = facts.get("format")
    if isinstance(found, int) and found > FORMAT:
        raise RefusedError(f"it is of format {found}, of a newer movierec; update movierec")
    head: Head = _checked(HEAD, Head, facts)
    if head.format != FORMAT or not is_name(head.name):
        raise RefusedError(f"archive.json: format {head.format} of {head.name[:40]!r} is unknown")
    if head.metadata_sha256 != hashlib.sha256(metadata).hexdigest():
        raise RefusedError("metadata.json was changed: wrong SHA-256")
    try:
        annotations = {"tags": [*changed_tags((), head.tags)], "notes": checked_notes(head.notes)}
    except SettingsError as error:
        raise RefusedError(f"archive.json: {error.message.rstrip('.')}") from error
    return head.model_copy(update=annotations)


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Check the type of every field, so that nothing counts as not recorded.

    Raises:
        RefusedError: one has the wrong type or cannot be.

    """
    facts = _checked(METADATA, _ForeignMetadata, metadata)
    if facts.created_at > datetime.now(UTC) + timedelta(days=1):  # clocks differ
        raise RefusedError("metadata.json: created_at lies in the future")


def _checked(file: str, model: type[Any], facts: Mapping[str, Any]) -> Any:
    try:
        return model.model_validate(facts, context=STRANGER)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part)[:40] for part in first["loc"][:4]) or "the whole"
        raise RefusedError(f"{file}: {field}: {first['msg'].lower()}") from error


def is_known(name: str) -> bool:
    """Return whether a version can have a file of this name."""
    return name in (*GRAPHSAGE, *FRAMES) or array_of(name) is not None


def check_contents(folder: Path, names: Iterable[str], model: str) -> None:
    """Check files that lie in a folder, and that the arrays make a model of this kind.

    Raises:
        RefusedError: one is not what its name says, or they do not fit together.
        UntrustedError: one asks for code.

    """
    names = sorted(names)
    for name in names:
        _check(folder, name)
    try:
        _check_model(folder, [name for name in names if array_of(name)], model)
    except RefusedError:
        raise
    except Exception as error:  # crafted arrays lead a model's own checks anywhere
        cause = error.message.rstrip(".") if isinstance(error, ArtifactError) else str(error)
        raise RefusedError(f"its arrays do not make a {model}: {cause}") from error


def _check(folder: Path, name: str) -> None:
    if name == "graphsage_model.pth":
        check_weights(folder / name)
    elif name == "preprocessor.pkl":
        _check_preprocessor(folder / name)
    elif name in FRAMES:
        _check_frame(folder / name)
    else:
        _check_array(folder / name)


def _check_preprocessor(path: Path) -> None:
    from movierec.models.graphsage.features import FeaturePreprocessor

    try:
        found = FeaturePreprocessor.from_state(safe_load(path, {}))
        scales = [number for pair in found.scales.values() for number in _pair(pair)]
        words = [word for words in found.vocabularies.values() for word in words]
        names = [*found.scales, *found.vocabularies]
        plain = all(type(text) is str for text in (*words, *names))
        if not plain or not np.isfinite(np.array(scales, np.float64)).all():
            raise ValueError("it holds other things than names and numbers")
    except (TypeError, ValueError) as error:
        raise RefusedError(f"{path.name} is not a preprocessor: {error}") from error


def _pair(values: Any) -> tuple[float, float]:
    mean, deviation = values
    return mean, deviation


def _check_array(path: Path) -> None:
    name = f"{path.parent.name}/{path.name}"
    try:
        array = read_array(path, mmap=True)
    except ArtifactError as error:
        raise RefusedError(f"{name} is not a plain array") from error
    header = _header_bytes(path)
    if path.stat().st_size != header + array.nbytes:
        raise RefusedError(f"{name} holds more than its header says")


def _header_bytes(path: Path) -> int:
    with path.open("rb") as file:
        major, _ = np.lib.format.read_magic(file)
        prefix = file.read(2 if major == 1 else 4)
        return file.tell() + int.from_bytes(prefix, "little")


def _check_model(folder: Path, files: list[str], model: str) -> None:
    from movierec.models.factory import load_recommender

    arrays = {array_of(name) or "": read_array(folder / name, mmap=True) for name in files}
    load_recommender(model, arrays)


def _check_frame(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [name for name in _COLUMNS[path.name] if name == "user_id"]
    try:
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            _check_parquet(file, path)
            _check_values(file.read(), path)
    except KeyError as error:  # no user_id
        raise _other_columns(path) from error
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(f"{path.name} is not Parquet or is damaged") from error


def _check_parquet(file: pq.ParquetFile, path: Path) -> None:
    """Check columns, types and sizes before anything is unpacked."""
    expected = _COLUMNS[path.name]
    found = {field.name: _type(field.type) for field in file.schema_arrow}
    if len(found) != len(file.schema_arrow) or found.keys() != expected.keys():
        raise _other_columns(path)
    wrong = next((name for name, kind in found.items() if kind not in expected[name]), None)
    if wrong is not None:
        raise RefusedError(f"{path.name}: {wrong} is {found[wrong]}")
    facts, size = file.metadata, path.stat().st_size
    if facts.num_rows > size:
        raise RefusedError(f"{path.name} declares {facts.num_rows:,} rows in {size:,} bytes")
    groups = [facts.row_group(i) for i in range(facts.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    if {c.compression for c in chunks} - _CODECS or {e for c in chunks for e in c.encodings} - (
        _ENCODINGS
    ):
        raise RefusedError(f"{path.name} is packed in a way that no evaluation writes")
    if sum(chunk.total_uncompressed_size for chunk in chunks) > _MAX_GROWTH * size:
        raise RefusedError(f"{path.name} unpacks to far more than it is")


def _other_columns(path: Path) -> RefusedError:
    return RefusedError(f"{path.name} has other columns than an evaluation writes")


def _type(kind: Any) -> str:
    import pyarrow as pa

    return str(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _check_values(frame: Any, path: Path) -> None:
    """Check that indices are some, and that no user is there twice."""
    import pyarrow.compute as pc

    for field in frame.schema:
        column = frame[field.name]
        may_miss = _type(field.type) == "double" or field.name in _MAY_MISS
        if column.null_count and not may_miss:
            raise RefusedError(f"{path.name}: {field.name} has gaps")
        if _type(field.type) == "int64" and len(column) and pc.min(column).as_py() < 0:
            raise RefusedError(f"{path.name}: {field.name} has negative numbers")
    if "user_id" in frame.column_names:
        _check_ids(frame["user_id"], path)


def _check_ids(column: Any, path: Path) -> None:
    """Check users' ids while they are still a dictionary: a long one told often stays small."""
    import pyarrow.compute as pc

    ids = column.unify_dictionaries()
    words = ids.chunk(0).dictionary if ids.num_chunks else []
    if len(words) != len(column):
        raise RefusedError(f"{path.name}: a user is there twice")
    if len(words) and pc.max(pc.utf8_length(words)).as_py() > MAX_ID:
        raise RefusedError(f"{path.name}: a user's id has more than {MAX_ID} characters")
