"""Archives of versions made to harm, each with the words that it is refused with."""

from __future__ import annotations

import json
import os
import pickle
import stat
import struct
import zipfile

import numpy as np
import pyarrow as pa

from tests.support.forge import (
    TOUCH,
    Call,
    Make,
    bomb,
    changed_byte,
    evaluation_as_list,
    evil_pickle,
    file_size,
    files_of,
    gap,
    hidden_after_index,
    hidden_before_index,
    in_end,
    in_index,
    in_local,
    joined,
    listed_twice,
    lying_header,
    nested_zip64,
    npy,
    overlapping,
    packed,
    parquet,
    renamed,
    repeated,
    torch_zip,
    with_entry,
    with_file,
    with_head,
    with_last,
    with_metadata,
    with_metadata_text,
    without,
    wrong_checksum,
)

ZIPS: dict[str, tuple[Make, str]] = {
    "empty": (lambda _: b"", "it is empty"),
    "text": (lambda _: b"hello, this is no archive" * 9, "it is not a zip"),
    "a pickle": (lambda _: evil_pickle(4), "it is not a zip"),
    "cut in half": (lambda honest: honest[: len(honest) // 2], "it was cut off"),
    "its last byte cut off": (lambda honest: honest[:-1], "it was cut off"),
    "a script before it": (lambda honest: b"#!/bin/sh\n" + honest, "before its first file"),
    "a script before it that the index knows of": (gap, "leaves a gap before it"),
    "something after it": (lambda honest: honest + b"more", "after its end"),
    "another archive after it": (lambda honest: honest + honest, "bytes that belong to no file"),
    "a comment": (
        lambda honest: honest[:-2] + struct.pack("<H", 4) + b"evil", "comment or something else"
    ),
    "a comment that is not there": (in_end(20, "<H", 9), "a comment is promised"),
    "bytes hidden before the index": (hidden_before_index, "a gap before its index"),
    "bytes hidden in the index": (hidden_after_index, "its index holds more than its files"),
    "an index outside": (in_end(16, "<L", 2**31), "its index lies outside"),
    "a damaged index": (in_index(0, "<L", 0), "its index is damaged"),
    "one of several parts": (in_end(4, "<H", 1), "one of several parts"),
    "zip64 in the end": (in_end(16, "<L", 2**32 - 1), "zip64"),
    "zip64 beside the end": (nested_zip64, "zip64"),
    "zip64 sizes": (in_index(20, "<L", 2**32 - 1), "declared with two sizes"),
    "a bomb": (bomb, "'archive.json' is compressed"),
    "compressed by bzip2": (
        lambda honest: packed(files_of(honest), compress_type=zipfile.ZIP_BZIP2), "is compressed"
    ),
    "an unknown method": (in_index(10, "<H", 77), "unknown method 77"),
    "another method in the header": (in_local(8, "<H", 8), "says other things of itself"),
    "encrypted": (in_index(8, "<H", 1), "'archive.json' is encrypted"),
    "sizes after the data": (in_index(8, "<H", 8), "asks for the flags 0x8"),
    "two sizes": (in_index(24, "<L", 5), "declared with two sizes"),
    "another size in the header": (in_local(22, "<L", 5), "says other things of itself"),
    "extra fields": (
        lambda honest: packed(files_of(honest), extra=b"\x01\x00\x04\x00evil"), "has extra fields"
    ),
    "a link": (with_last(stat.S_IFLNK | 0o777), "is a link"),
    "a pipe": (with_last(stat.S_IFIFO | 0o644), "no plain file"),
    "a device": (with_last(stat.S_IFCHR | 0o644), "no plain file"),
    "a folder": (
        lambda honest: joined(honest, packed([("serving/", b"")], external_attr=0x10)),
        "is a folder",
    ),
    "overlapping files": (overlapping, "overlaps the file before it"),
    "a file beyond the files": (
        lambda honest: in_index(24, "<L", 2**30)(in_index(20, "<L", 2**30)(honest)),
        "reaches beyond the files",
    ),
    "too many files": (
        lambda _: packed({f"serving/a{i}.npy": b"" for i in range(501)}),
        "more than 500 is not believed",
    ),
    "a wrong checksum": (wrong_checksum, "archive.json is damaged: wrong checksum"),
}  # fmt: skip
NAMES: dict[str, tuple[Make, str]] = {
    "an absolute path": (with_entry("/tmp/evil"), "'/tmp/evil' cannot be the name"),
    "a path upwards": (with_entry("../../evil"), "'../../evil' cannot be the name"),
    "a path upwards inside": (with_entry("serving/../../evil.npy"), "cannot be the name"),
    "backslashes": (renamed("serving_.._evil.npy", "serving\\..\\evil.npy"), "cannot be the name"),
    "a drive": (with_entry("C:evil.npy"), "'C:evil.npy' cannot be the name"),
    "a stream": (with_entry("preprocessor.pkl:evil"), "cannot be the name"),
    "a NUL": (renamed("evil.npy_.txt", "evil.npy\0.txt"), "cannot be the name"),
    "no Unicode": (renamed("evil_.npy", "evil\xff.npy"), "cannot be the name"),
    "a folder too deep": (with_entry("serving/deep/evil.npy"), "cannot be the name"),
    "an empty name": (with_entry(""), "'' cannot be the name"),
    "a hidden file": (with_entry(".bashrc"), "'.bashrc' cannot be the name"),
    "a name twice": (
        renamed("archivf.json", "archive.json"), "are the same name twice"
    ),
    "a name in capitals": (with_entry("Metadata.JSON"), "are the same name twice"),
    "a file that nothing lists": (with_entry("readme.txt"), "'readme.txt' is not listed"),
    "a script that is listed": (with_file("run.py", b"print()"), "'run.py' is no file that"),
    "a library that is listed": (with_file("serving/a.so", b"\x7fELF"), "is no file that"),
    "a file missing": (without("serving/scale.npy"), "serving/scale.npy is missing"),
    "no head": (without("archive.json"), "archive.json is missing"),
    "no metadata": (without("metadata.json"), "metadata.json is missing"),
    "a changed file": (changed_byte, "serving/scale.npy was changed: wrong SHA-256"),
    "a wrong size": (lambda honest: packed(file_size(files_of(honest))), "bytes, not"),
    "a name listed twice": (lambda honest: packed(listed_twice(files_of(honest))), "name twice"),
}  # fmt: skip
FACTS: dict[str, tuple[Make, str]] = {
    "JSON too deep": (
        with_metadata_text(lambda _: '{"a":' * 200_000), "metadata.json: it is nested too deeply"
    ),
    "JSON rather deep": (with_metadata(deep=json.loads("[" * 40 + "]" * 40)), "nested too deeply"),
    "JSON too large": (
        with_metadata_text(lambda text: text + " " * 9_000_000), "that much is not believed"
    ),
    "not JSON": (with_metadata_text(lambda _: "{'a': 1}"), "metadata.json: it is not JSON"),
    "no UTF-8": (
        lambda honest: packed({**files_of(honest), "archive.json": b"\xff\xfe"}),
        "archive.json: it is not JSON",
    ),
    "NaN": (with_metadata_text(lambda text: text.replace("{", '{"x": NaN,', 1)), "NaN is not"),
    "a key twice": (
        with_metadata_text(lambda text: text.replace("{", '{"model": "ease",', 1)), "a key twice"
    ),
    "a number without end": (
        with_metadata_text(lambda text: text.replace("{", '{"x": 1e999,', 1)), "beyond all bounds"
    ),
    "a number of 5,000 digits": (
        with_metadata_text(lambda text: text.replace("{", '{"x": ' + "9" * 5000 + ",", 1)),
        "not JSON",
    ),
    "text that is no Unicode": (with_metadata(x="\ud800"), "no Unicode"),
    "a NUL in a text": (with_metadata(preset="a\0b"), "a NUL character"),
    "a list": (with_metadata_text(lambda _: "[]"), "it is not an object"),
    "another thing": (with_metadata_text(lambda _: "{}"), "metadata.json: model_version: field"),
    "text for a number": (with_metadata(parameters="many"), "metadata.json: parameters"),
    "metrics as a list": (with_metadata_text(evaluation_as_list), "metadata.json: evaluation"),
    "a metric as text": (
        with_metadata(evaluation={"full": {"ndcg_at_10": "<b>1</b>"}}), "ndcg_at_10"
    ),
    "a name with control characters": (with_metadata(dataset_name="\x1b[2J"), "dataset_name"),
    "a name without end": (with_metadata(dataset_name="x" * 10_000), "dataset_name"),
    "a time without a zone": (with_metadata(created_at="2026-01-01T00:00:00"), "created_at"),
    "a time to come": (with_metadata(created_at="9999-12-31T00:00:00Z"), "lies in the future"),
    "no hashes": (with_metadata(files=[]), "metadata.json of version v1.0.0 cannot be used: files"),
    "no files at all": (
        with_metadata_text(lambda text: text.replace('"files": {', '"file": {')), "files: field"
    ),
    "no version's name": (
        with_metadata_text(lambda text: text.replace("model_version", "model_revision")),
        "metadata.json: model_version: field required",
    ),
    "a hash that is a path": (
        with_metadata(files={"a.npy": {"bytes": 1, "sha256": "../.."}}), "sha256"
    ),
    "metadata of another": (
        lambda honest: packed(
            {**files_of(honest), "metadata.json": files_of(honest)["metadata.json"] + b" "}
        ),
        "metadata.json was changed: wrong SHA-256",
    ),
    "a format to come": (with_head(format=99), "of format 99, of a newer movierec"),
    "a format that never was": (with_head(format=0), "format 0"),
    "another kind": (with_head(kind="virus"), "archive.json: kind"),
    "a version's name upwards": (with_head(name="../v1.0.0"), "archive.json"),
    "a head with more": (with_head(run="evil"), "archive.json: run"),
    "a tag too long": (with_head(tags=["x" * 500]), "archive.json: A tag has 1 to 40"),
    "notes too long": (with_head(notes="x" * 20_000), "archive.json: Notes have at most"),
    "an unknown model": (with_metadata(model="gpt"), "do not make a gpt"),
}  # fmt: skip
CONTENT: dict[str, tuple[Make, str]] = {
    "code in the preprocessor": (
        with_file("preprocessor.pkl", evil_pickle(4)), "preprocessor.pkl asks for posix.system"
    ),
    "a preprocessor of other things": (
        with_file("preprocessor.pkl", pickle.dumps({"bands": 1})), "feature preprocessor"
    ),
    "a preprocessor of wrong numbers": (
        with_file(
            "preprocessor.pkl",
            pickle.dumps({"bands": True, "scales": {"age": ["a"]}, "vocabularies": {}}),
        ),
        "preprocessor.pkl is not a preprocessor",
    ),
    "code in the weights": (
        with_file("graphsage_model.pth", torch_zip(evil_pickle())), "graphsage_model.pth asks for"
    ),
    "weights that are text": (with_file("graphsage_model.pth", b"weights"), "is damaged"),
    "objects in an array": (
        with_file("serving/scale.npy", npy(np.array([Call(os.system, TOUCH)], dtype=object))),
        "serving/scale.npy is not a plain array",
    ),
    "an array beyond its file": (
        with_file("serving/scale.npy", lying_header()), "serving/scale.npy is not a plain array"
    ),
    "a pickle as an array": (with_file("serving/scale.npy", evil_pickle()), "not a plain array"),
    "something behind an array": (
        with_file("serving/scale.npy", lambda content: content + b"#!/bin/sh"),
        "serving/scale.npy holds more than its header says",
    ),
    "an array of another shape": (
        with_file("serving/rating_user.npy", npy(np.zeros((1, 1), np.float32))),
        "its arrays do not make a graphsage",
    ),
    "text as Parquet": (with_file("per_user.parquet", b"PAR1 no PAR1"), "is not Parquet"),
    "Parquet cut off": (
        with_file("per_rating.parquet", lambda content: content[:-100]), "is not Parquet"
    ),
    "other columns": (
        with_file("per_user.parquet", parquet(lambda table: table.drop_columns(["rmse"]))),
        "per_user.parquet has other columns",
    ),
    "no users": (
        with_file("per_user.parquet", parquet(lambda table: table.drop_columns(["user_id"]))),
        "per_user.parquet has other columns",
    ),
    "another type": (
        with_file(
            "per_rating.parquet",
            parquet(lambda table: table.set_column(0, "position", table["rating"])),
        ),
        "per_rating.parquet: position is float",
    ),
    "a million rows in nothing": (
        with_file("per_rating.parquet", parquet(lambda table: repeated(table, 1_000_000))),
        "declares 1,000,000 rows",
    ),
    "another compression": (
        with_file("per_rating.parquet", parquet(lambda table: table, compression="zstd")),
        "packed in a way that no evaluation writes",
    ),
    "a user twice": (
        with_file("per_user.parquet", parquet(lambda table: repeated(table, 2))),
        "a user is there twice",
    ),
    "negative indices": (
        with_file(
            "per_rating.parquet",
            parquet(lambda t: t.set_column(1, "user_index", pa.array([-1] * len(t), pa.int64()))),
        ),
        "user_index has negative numbers",
    ),
}  # fmt: skip
ALL = {**ZIPS, **NAMES, **FACTS, **CONTENT}
