"""A training on disk, complete enough to go on to the bit."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from movierec.errors import ArtifactError, TrainingError

__all__ = [
    "random_state",
    "read_checkpoint",
    "require_identity",
    "save_tensors",
    "set_random_state",
    "unusable",
    "write_checkpoint",
]


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain data; a reader sees the old file or the new one, never half.

    Raises:
        TrainingError: the disk is full or the folder cannot be written; the old file stays.

    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_tensors(temporary, state)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise TrainingError(
            f"The checkpoint {path} cannot be written: {error.strerror or error}.",
            hint="Make space on its disk or the folder writable, then resume the run: it goes on "
            "from the last epoch that was kept.",
        ) from error


def save_tensors(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain data to a file.

    Raises:
        OSError: it cannot be written; torch alone speaks of an unexpected position.

    """
    try:
        with path.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as error:
        # closing its archive fails for another reason, which hides the first
        if isinstance(error.__context__, OSError | KeyboardInterrupt):
            raise error.__context__ from None
        raise


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running any code from it.

    Raises:
        ArtifactError: the file is missing, damaged or holds more than tensors and plain data.

    """
    try:
        _check_sums(path)
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        raise unusable(path) from error
    if not isinstance(state, dict):
        raise unusable(path)
    return state


def require_identity(path: Path, found: Any, expected: Mapping[str, Any]) -> None:
    """Raise ArtifactError unless a checkpoint's identity is that of the training to go on with."""
    if not isinstance(found, dict):
        raise unusable(path)
    other = [name for name, value in expected.items() if found.get(name) != value]
    if other:
        raise ArtifactError(
            f"The checkpoint {path} is of other {' and other '.join(other)}.",
            hint="Resume with the same ones, or start again without --resume.",
        )


def random_state(devices: Sequence[torch.device]) -> dict[str, Any]:
    """Return where torch's random numbers stand, on the CPU and on these CUDA devices."""
    cuda = [torch.cuda.get_rng_state(device) for device in devices]
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def set_random_state(state: Mapping[str, Any], devices: Sequence[torch.device]) -> None:
    """Go on with the random numbers of `random_state`."""
    torch.set_rng_state(state["cpu"])
    # not strict: a training may go on on another kind of device, though not to the bit
    for device, rng in zip(devices, state["cuda"], strict=False):
        torch.cuda.set_rng_state(rng, device)


def unusable(path: Path) -> ArtifactError:
    """Return the error for a checkpoint that no training can go on from."""
    return ArtifactError(f"The checkpoint {path} cannot be read.", hint="Start the training again.")


def _check_sums(path: Path) -> None:
    """Compare the archive's own checksums, which `torch.load` does not look at."""
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile
