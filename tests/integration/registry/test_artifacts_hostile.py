"""Crafted artifacts: a clear error each time, and a canary proves that no code ran."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from movierec.errors import ArtifactError, UntrustedError
from movierec.models.graphsage.features import FeaturePreprocessor
from movierec.registry import Registry, VersionDraft
from movierec.registry.safe_pickle import read_weights, safe_load
from movierec.store import open_store

PREPROCESSOR = (FeaturePreprocessor.__module__, "FeaturePreprocessor")
ALLOWED = {PREPROCESSOR: FeaturePreprocessor}


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A file that every crafted artifact tries to make; checked after each test."""
    path = tmp_path / "canary"
    monkeypatch.setenv("CANARY", str(path))
    yield path
    assert not path.exists(), "code from a crafted file ran"


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


TOUCH = 'touch "$CANARY"'
PYTHON = "__import__('pathlib').Path(__import__('os').environ['CANARY']).touch()"


def chained_getattr() -> bytes:
    """builtins.getattr(os, "system")(…), as opcodes."""
    return (
        b"\x80\x04cbuiltins\ngetattr\n(cos\nsystem\n\x8c\x08__call__t"
        + b"R(\x8c\x10"
        + TOUCH.encode().ljust(16)
        + b"tR."
    )


def dotted_name() -> bytes:
    """STACK_GLOBAL with a dotted name walks attributes: FeaturePreprocessor.fit.__globals__."""
    module, name = PREPROCESSOR[0].encode(), b"FeaturePreprocessor.fit.__globals__"
    return (
        b"\x80\x04\x8c"
        + bytes([len(module)])
        + module
        + b"\x8c"
        + bytes([len(name)])
        + name
        + b"\x93."
    )


def class_poison() -> bytes:
    """BUILD with slot state on the class itself, which would change it for everybody."""
    return b"\x80\x02c" + "\n".join(PREPROCESSOR).encode() + b"\n(N}X\x05\x00\x00\x00usersK\x07stb."


def old_instance() -> bytes:
    return b"(S'" + TOUCH.encode() + b"'\nios\nsystem\n."


def python_object_array() -> bytes:
    return pickle.dumps(np.array([Call(os.system, TOUCH)], dtype=object))


HOSTILE_PICKLES = {
    "os.system": pickle.dumps(Call(os.system, TOUCH)),
    "os.system, protocol 0": pickle.dumps(Call(os.system, TOUCH), protocol=0),
    "builtins.eval": pickle.dumps(Call(eval, PYTHON)),
    "builtins.exec": pickle.dumps(Call(exec, PYTHON)),
    "nested deep in plain data": pickle.dumps({"a": [1, ({"b": [Call(os.system, TOUCH)]},)]}),
    "in the state of an allowed class": pickle.dumps(
        FeaturePreprocessor(scales={"age": Call(os.system, TOUCH)})
    ),
    "a call inside a call": pickle.dumps(Call(print, Call(os.system, TOUCH))),
    "getattr chain": chained_getattr(),
    "dotted name": dotted_name(),
    "INST opcode": old_instance(),
    "class poisoning": class_poison(),
    "object array": python_object_array(),
    "numeric array": pickle.dumps(np.zeros(3)),
    "pickle inside a pickle": pickle.dumps(
        Call(pickle.loads, pickle.dumps(Call(os.system, TOUCH)))
    ),
    "importlib": pickle.dumps(Call(__import__, "antigravity")),
    "extension code": b"\x80\x02\x82\x01.",
    "persistent id": b"\x80\x02K\x01Q.",
    "huge bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
}

DAMAGED_PICKLES = {
    "empty": b"",
    "text": b"hello, this is not a pickle",
    "cut": pickle.dumps({"a": list(range(100))})[:-20],
    "huge string": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x.",
    "huge frame": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b".",
    "unknown protocol": b"\x80\xff.",
    "stack underflow": b"\x80\x02b.",
    "memo never stored": b"\x80\x02h\x05.",
}


@pytest.mark.parametrize("content", HOSTILE_PICKLES.values(), ids=HOSTILE_PICKLES)
def test_a_pickle_that_asks_for_code(tmp_path, canary, content):
    path = tmp_path / "preprocessor.pkl"
    path.write_bytes(content)
    before = dict(vars(FeaturePreprocessor))
    with pytest.raises(UntrustedError) as caught:
        safe_load(path, ALLOWED)
    assert "Do not use this file" in caught.value.hint
    assert dict(vars(FeaturePreprocessor)) == before


@pytest.mark.parametrize("content", DAMAGED_PICKLES.values(), ids=DAMAGED_PICKLES)
def test_a_damaged_pickle(tmp_path, content):
    path = tmp_path / "preprocessor.pkl"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"preprocessor\.pkl"):
        safe_load(path, ALLOWED)


def test_the_refused_name_is_told(tmp_path, canary):
    path = tmp_path / "preprocessor.pkl"
    path.write_bytes(pickle.dumps(Call(os.system, TOUCH)))
    with pytest.raises(UntrustedError, match=r"preprocessor\.pkl asks for posix\.system"):
        safe_load(path, ALLOWED)


def test_a_huge_memo_index_takes_no_memory(tmp_path):
    path = tmp_path / "preprocessor.pkl"
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")
    assert safe_load(path, ALLOWED) == {}


def test_a_pickle_larger_than_believable(tmp_path):
    path = tmp_path / "preprocessor.pkl"
    path.write_bytes(pickle.dumps("x" * 2000))
    with pytest.raises(ArtifactError, match="more than 1,000 is not believed"):
        safe_load(path, ALLOWED, max_bytes=1000)


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/etc/passwd"), os.mkfifo, Path.mkdir])
def test_what_is_no_plain_file_is_not_opened(tmp_path, make):
    path = tmp_path / "preprocessor.pkl"
    make(path)
    with pytest.raises(ArtifactError, match="link or no plain file"):
        safe_load(path, ALLOWED)
    with pytest.raises(ArtifactError, match="link or no plain file"):
        read_weights(path)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_honest_preprocessor_comes_back(tmp_path, protocol):
    path = tmp_path / "preprocessor.pkl"
    honest = FeaturePreprocessor(True, {"age": [33.5, 12.25]}, {"gender": ["F", "M", "é"]})
    path.write_bytes(pickle.dumps(honest, protocol=protocol))
    assert safe_load(path, ALLOWED) == honest


# weights


def archive(pickled: bytes, *, compression: int = zipfile.ZIP_STORED, **extra: bytes) -> bytes:
    """A zip as torch writes it, around any pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        made.writestr("archive/data.pkl", pickled)
        made.writestr("archive/version", b"3\n")
        made.writestr("archive/byteorder", b"little")
        for name, content in extra.items():
            made.writestr(f"archive/{name}", content)
    return buffer.getvalue()


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def stretched() -> bytes:
    """One number that claims to be a billion, by strides of 0."""
    return saved({"w": torch.zeros(1).expand(1_000_000_000)})


def larger_than_its_storage() -> bytes:
    whole = saved({"w": torch.zeros(4)})
    with zipfile.ZipFile(io.BytesIO(whole)) as made:
        pickled = made.read("archive/data.pkl")
        data = made.read("archive/data/0")
    size = b"K\x00K\x04\x85"  # offset 0, shape (4,)
    assert pickled.count(size) == 1
    crafted = pickled.replace(size, b"K\x00J\xff\xff\xff\x7f\x85")
    return archive(crafted, **{"data/0": data})


UNTRUSTED_WEIGHTS = {
    "os.system": archive(pickle.dumps(Call(os.system, TOUCH), protocol=2)),
    "eval": archive(pickle.dumps({"w": Call(eval, PYTHON)}, protocol=2)),
    "stack global": archive(pickle.dumps(Call(os.system, TOUCH), protocol=4)),
    "a whole model": saved(torch.nn.Linear(2, 2)),
    "a parameter": saved({"w": torch.nn.Parameter(torch.zeros(2))}),
    "a class that torch was told to trust": saved({"w": torch.Size([2])}),
    "a tensor by its type's call": archive(b"\x80\x02ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R."),
}

DAMAGED_WEIGHTS = {
    "empty": b"",
    "bare pickle": pickle.dumps(Call(os.system, TOUCH)),
    "text": b"not weights at all",
    "cut": saved({"w": torch.zeros(100)})[:-300],
    "no pickle": archive(b"").replace(b"data.pkl", b"data.txt"),
    "two pickles": archive(pickle.dumps({}, protocol=2), **{"x/data.pkl": b""}),
    "zip bomb": archive(bytes(10_000_000), compression=zipfile.ZIP_DEFLATED),
    "garbage as pickle": archive(b"\x80\x02\xff\xff"),
    "list": saved([torch.zeros(2)]),
    "a number among the tensors": saved({"w": torch.zeros(2), "x": 1}),
    "numbers as names": saved({0: torch.zeros(2)}),
    "stretched tensor": stretched(),
    "tensor larger than its storage": larger_than_its_storage(),
    "missing storage": archive(
        zipfile.ZipFile(io.BytesIO(saved({"w": torch.zeros(4)}))).read("archive/data.pkl")
    ),
}


@pytest.mark.parametrize("content", UNTRUSTED_WEIGHTS.values(), ids=UNTRUSTED_WEIGHTS)
def test_weights_that_ask_for_more_than_tensors(tmp_path, canary, content):
    path = tmp_path / "graphsage_model.pth"
    path.write_bytes(content)
    with pytest.raises(UntrustedError, match=r"graphsage_model\.pth asks for"):
        read_weights(path)


@pytest.mark.parametrize("content", DAMAGED_WEIGHTS.values(), ids=DAMAGED_WEIGHTS)
def test_damaged_weights(tmp_path, canary, content):
    path = tmp_path / "graphsage_model.pth"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"graphsage_model\.pth"):
        read_weights(path)


def test_honest_weights_come_back(tmp_path):
    path = tmp_path / "graphsage_model.pth"
    state = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict()
    torch.save(state, path)
    found = read_weights(path)
    assert isinstance(state, OrderedDict)
    assert list(found) == list(state)
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_torchs_own_wall_stands_behind_ours(tmp_path, canary, monkeypatch):
    monkeypatch.setattr("movierec.registry.safe_pickle._check_opcodes", lambda *_: None)
    path = tmp_path / "graphsage_model.pth"
    path.write_bytes(UNTRUSTED_WEIGHTS["os.system"])
    with pytest.raises(ArtifactError):
        read_weights(path)


def test_the_crafted_pickles_do_run_code_elsewhere(tmp_path, monkeypatch):
    """The canary is able to sing: Python's own unpickler runs them."""
    for name in ("os.system", "builtins.eval", "nested deep in plain data", "INST opcode"):
        path = tmp_path / name.replace(" ", "-")
        monkeypatch.setenv("CANARY", str(path))
        pickle.loads(HOSTILE_PICKLES[name])
        assert path.exists()
        assert list(pickletools.genops(HOSTILE_PICKLES[name]))


# versions on disk


@pytest.fixture
def registry(settings):
    with open_store(settings) as store:
        made = Registry(settings, store)
        made.save(
            VersionDraft(
                model="sage",
                preset="report",
                dataset_name="planted",
                fingerprint="0" * 64,
                split_label="u1",
                files={"preprocessor.pkl": b"x"},
                arrays={"factors": np.ones((4, 2))},
            )
        )
        yield made


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and make the recorded hash fit, as an attacker would."""
    (folder / name).write_bytes(content)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["files"][name] = {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "metadata.json").write_text(json.dumps(metadata))


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, np.array([Call(os.system, TOUCH)], dtype=object))
    return buffer.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


HOSTILE_ARRAYS = {
    "objects": npy(np.array([Call(os.system, TOUCH)], dtype=object)),
    "objects in fields": npy(np.zeros(2, dtype=[("a", "O"), ("b", "f8")])),
    "records": npy(np.zeros(2, dtype=[("a", "f8")])),
    "a pickle instead": pickle.dumps(Call(os.system, TOUCH)),
    "a zip of arrays": npz(),
    "shape beyond the file": header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"
    ),
    "shape beyond numbers": header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2**99, 2**99)}"
    ),
    "negative shape": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
    "code in the header": header(f"{{'descr': {PYTHON}, 'fortran_order': False, 'shape': (1,)}}"),
    "object type in the header": header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
    "empty": b"",
    "cut": npy(np.ones((4, 2)))[:-8],
    "cut in the header": npy(np.ones((4, 2)))[:40],
}


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("content", HOSTILE_ARRAYS.values(), ids=HOSTILE_ARRAYS)
def test_a_crafted_array(registry, canary, content, mmap):
    replace_file(registry.path(), "serving/factors.npy", content)
    with pytest.raises(ArtifactError, match=r"serving/factors\.npy is not a plain array"):
        registry.arrays(mmap=mmap)


def test_an_array_of_another_shape_has_another_hash(registry):
    (registry.path() / "serving/factors.npy").write_bytes(npy(np.ones((2, 4))))
    with pytest.raises(ArtifactError, match=r"factors\.npy was changed: wrong SHA-256"):
        registry.arrays()


def test_fitting_hashes_do_not_fool_verify(registry):
    replace_file(registry.path(), "serving/factors.npy", npy(np.zeros((4, 2))))
    assert registry.verify() == ["metadata.json differs from the copy in the database."]


def edited(**changes: object) -> str:
    facts: dict[str, object] = {
        "model_version": "v1.0.0",
        "model": "sage",
        "preset": "report",
        "dataset_name": "planted",
        "fingerprint": "0" * 64,
        "split_label": "u1",
        "created_at": "2025-01-01T00:00:00+00:00",
        "run_id": None,
        "parameters": 1,
        "files": {},
    }
    return json.dumps(facts | changes)


FACTS = {"sha256": "0" * 64, "bytes": 1}
BAD_METADATA = {
    "not JSON": "{'model': 1}",
    "empty": "",
    "binary": "\x00\x01",
    "a list": "[]",
    "null": "null",
    "NaN": '{"parameters": NaN}',
    "deeply nested": "[" * 200_000,
    "an endless number": edited().replace('"parameters": 1', '"parameters": ' + "9" * 10_000),
    "files as a list": edited(files=[]),
    "files as text": edited(files={"a.pth": "hash"}),
    "text as a number": edited(parameters="many"),
    "negative size": edited(files={"a.pth": {"sha256": "0" * 64, "bytes": -1}}),
    "no hash": edited(files={"a.pth": {"sha256": "../..", "bytes": 1}}),
    "name as a number": edited(model_version=1),
    "no date": edited(created_at="yesterday"),
    "a path upwards": edited(files={"../../canary": FACTS}),
    "an absolute path": edited(files={"/etc/passwd": FACTS}),
    "a path in serving": edited(files={"serving/../../x.npy": FACTS}),
    "a path with a zero byte": edited(files={"a\0b": FACTS}),
    "itself": edited(files={"metadata.json": FACTS}),
}


@pytest.mark.parametrize("content", BAD_METADATA.values(), ids=BAD_METADATA)
def test_metadata_that_cannot_be_used(registry, content):
    (registry.path() / "metadata.json").write_text(content)
    (problem,) = registry.verify()
    assert problem.startswith(("metadata.json of version v1.0.0", "'", '"'))
    with pytest.raises(ArtifactError) as caught:
        registry.arrays()
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300


def test_metadata_as_a_pipe_does_not_block(registry):
    path = registry.path() / "metadata.json"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ArtifactError, match="link or no plain file"):
        registry.arrays()


@pytest.fixture
def outside(tmp_path):
    path = tmp_path / "outside"
    path.mkdir()
    (path / "factors.npy").write_bytes(npy(np.ones((4, 2))))
    (path / "secret.txt").write_text("secret")
    return path


def test_a_link_to_a_file_outside(registry, outside):
    path = registry.path() / "serving/factors.npy"
    assert path.read_bytes() == (outside / "factors.npy").read_bytes()
    path.unlink()
    path.symlink_to(outside / "factors.npy")
    assert registry.verify() == ["serving/factors.npy is a link or no plain file."]
    with pytest.raises(ArtifactError, match="is a link"):
        registry.arrays()


def test_a_link_to_a_folder_outside(registry, outside):
    folder = registry.path() / "serving"
    (folder / "factors.npy").unlink()
    folder.rmdir()
    folder.symlink_to(outside)
    assert "serving/factors.npy is a link or no plain file." in registry.verify()
    with pytest.raises(ArtifactError, match="is a link"):
        registry.arrays()


def test_a_version_that_is_itself_a_link(settings, registry, outside):
    folder = registry.path()
    folder.rename(outside / "v1.0.0")
    folder.symlink_to(outside / "v1.0.0")
    with pytest.raises(ArtifactError, match="missing"):
        registry.arrays()
    registry.reconcile()
    assert registry.list()[0].is_missing
    registry.delete("v1.0.0")
    assert (outside / "v1.0.0" / "metadata.json").exists()


def test_deleting_a_version_does_not_follow_links(registry, outside):
    (registry.path() / "extra").symlink_to(outside)
    registry.save(VersionDraft("sage", "", "planted", "0" * 64, "u1", make_current=True))
    registry.delete("v1.0.0")
    assert (outside / "secret.txt").read_text() == "secret"


def test_a_planted_folder_is_not_taken_up_unless_whole(settings, registry):
    planted = settings.models_path / "v9.0.0"
    planted.mkdir()
    (planted / "metadata.json").write_text(edited(model_version="v1.0.0"))
    (line,) = registry.reconcile()
    assert line == "v9.0.0 is not taken up: metadata.json is that of 'v1.0.0'."
    assert [record.name for record in registry.list()] == ["v1.0.0"]
