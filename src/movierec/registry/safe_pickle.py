"""Reading pickles and weights from files that anybody may have made.

Nothing in such a file may name code to run. Two walls for weights: our own short list over
the pickle's opcodes, then `torch.load(weights_only=True)`.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from movierec.errors import ArtifactError, MovierecError, UntrustedError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_weights", "read_weights", "safe_load"]

MAX_PICKLE_BYTES = 16 * 2**20  # a preprocessor is a list of names: kilobytes
MAX_WEIGHTS_BYTES = 32 * 2**30

# Data, memo, names, and the two steps that make an object without calling anything of ours:
# NEWOBJ and BUILD. Absent on purpose: REDUCE and INST, which call, EXT*, which look up code,
# and BYTEARRAY8, which takes memory before it reads.
_OPCODES = {
    "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS",
    "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS", "FROZENSET",
    "GLOBAL", "STACK_GLOBAL", "NEWOBJ", "BUILD",
}  # fmt: skip

# torch writes protocol 2 and rebuilds tensors by a call (REDUCE) of the functions below.
_WEIGHT_OPCODES = {
    "PROTO", "STOP", "MARK", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "BINUNICODE", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND",
    "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS", "GLOBAL", "BINPERSID", "REDUCE", "BUILD",
}  # fmt: skip
_STORAGES = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_WEIGHT_GLOBALS = frozenset(
    {"torch._utils _rebuild_tensor_v2", "collections OrderedDict"}
    | {f"torch {kind}Storage" for kind in _STORAGES}
)

_HINT = "Do not use this file; restore the version from a backup or train it again."


def safe_load(
    path: Path,
    allowed: Mapping[tuple[str, str], type[Any]],
    *,
    max_bytes: int = MAX_PICKLE_BYTES,
) -> object:
    """Unpickle plain data and objects of the allowed classes, by (module, name).

    Objects are made by `__new__` and given their state; no function is called. Arrays have no
    place here, they live in `.npy` files. The caller checks the result's type and content.

    Raises:
        UntrustedError: the file names anything else, or asks for a call.
        ArtifactError: it is missing, too large or damaged.

    """
    content = _read(path, max_bytes)
    try:
        return _Unpickler(io.BytesIO(content), allowed, path.name).load()
    except MovierecError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes lead to
        raise _damaged(path) from error


class _Dispatch(dict[int, Callable[[Any], None]]):
    """The opcodes of the short list; any other is refused by name."""

    def __missing__(self, code: int) -> Callable[[Any], None]:
        opcode = pickletools.code2op.get(chr(code))  # type: ignore[attr-defined]
        raise UntrustedError(
            f"The file asks for {opcode.name if opcode else f'byte {code}'}, which plain data "
            "does not need.",
            hint=_HINT,
        )


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler in Python: its table of opcodes can be cut down.

    The one in C takes memory for whatever memo index a file names.
    """

    stack: list[Any]  # missing from the type stubs

    def __init__(
        self, file: io.BytesIO, allowed: Mapping[tuple[str, str], type[Any]], name: str
    ) -> None:
        super().__init__(file)
        self._allowed = allowed
        self._file_name = name

    def find_class(self, module: str, name: str) -> type[Any]:
        """Return an allowed class; nothing is imported."""
        try:
            return self._allowed[module, name]
        except KeyError:
            raise UntrustedError(
                f"{self._file_name} asks for {module}.{name}, which is not on the short list.",
                hint=_HINT,
            ) from None

    def load_build(self) -> None:
        """Give state to an object, never to a class, which would change it for everybody."""
        if isinstance(self.stack[-2], type):
            raise UntrustedError(f"{self._file_name} tries to change a class.", hint=_HINT)
        super().load_build()  # type: ignore[misc]

    dispatch = _Dispatch(
        {
            ord(opcode.code): pickle._Unpickler.dispatch[ord(opcode.code)]
            for opcode in pickletools.opcodes
            if opcode.name in _OPCODES
        }
        | {pickle.BUILD[0]: load_build}
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the dense CPU tensors of a state dict by name; the caller checks their shapes.

    Raises:
        UntrustedError: the file names anything but tensors.
        ArtifactError: it is missing, damaged, or not a state dict.

    """
    check_weights(path)
    import torch

    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise _damaged(path) from error
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and _is_plain(tensor) for name, tensor in weights.items()
    ):
        raise ArtifactError(f"{path.name} does not hold a model's weights.", hint=_HINT)
    return dict(weights)


def _is_plain(value: object) -> bool:
    import torch

    if type(value) is not torch.Tensor or value.layout != torch.strided:
        return False
    # a stride of 0 makes a billion numbers out of one
    return value.device.type == "cpu" and value.is_contiguous()


def check_weights(path: Path) -> None:
    """Check a `.pth` without torch: plain stored entries, one pickle, known names in it.

    Raises:
        UntrustedError: the file names anything but tensors.
        ArtifactError: it is missing or damaged.

    """
    _require_file(path, MAX_WEIGHTS_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            pickles = [e for e in entries if e.filename.endswith(".pkl")]
            stored = all(e.compress_type == zipfile.ZIP_STORED for e in entries)
            if not stored or len(pickles) != 1 or pickles[0].file_size > MAX_PICKLE_BYTES:
                raise _damaged(path)
            content = archive.read(pickles[0])
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise _damaged(path) from error
    _check_opcodes(content, path)


def _check_opcodes(content: bytes, path: Path) -> None:
    try:
        found = {(op.name, arg) for op, arg, _ in pickletools.genops(content)}
    except Exception as error:  # pickletools raises many kinds for damaged bytes
        raise _damaged(path) from error
    for name, argument in found:
        if name not in _WEIGHT_OPCODES:
            raise UntrustedError(f"{path.name} asks for {name}, not for tensors.", hint=_HINT)
        if name == "GLOBAL" and argument not in _WEIGHT_GLOBALS:
            global_name = str(argument).replace(" ", ".")
            raise UntrustedError(
                f"{path.name} asks for {global_name}, which is not on the short list.", hint=_HINT
            )


def _read(path: Path, max_bytes: int) -> bytes:
    _require_file(path, max_bytes)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path.name} cannot be read: {error.strerror}.", hint=_HINT) from error


def _require_file(path: Path, max_bytes: int) -> None:
    try:
        facts = path.lstat()
    except OSError as error:
        raise ArtifactError(f"{path.name} cannot be read: {error.strerror}.", hint=_HINT) from error
    if not stat.S_ISREG(facts.st_mode):
        raise ArtifactError(f"{path.name} is a link or no plain file.", hint=_HINT)
    if facts.st_size > max_bytes:
        raise ArtifactError(
            f"{path.name} has {facts.st_size:,} bytes; more than {max_bytes:,} is not believed.",
            hint=_HINT,
        )


def _damaged(path: Path) -> ArtifactError:
    return ArtifactError(f"{path.name} is damaged or not what its name says.", hint=_HINT)
