"""Checked blocks on disk, so that a killed import of a large file goes on where it was."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from movierec.data.validation.blocks import Array, Block, BlockFacts

__all__ = ["LAYOUT", "Staging"]

log = logging.getLogger(__name__)

LAYOUT = 1  # of the blocks; blocks of another one are not read
FACTS = "facts"


@dataclass(frozen=True)
class _Columns(Mapping[str, Array]):
    """The columns of one block's file, each read when it is asked for."""

    path: Path

    def __getitem__(self, name: str) -> Array:
        with np.load(self.path, allow_pickle=False) as file:
            column: Array = file[name]
        return column

    def __iter__(self) -> Iterator[str]:
        with np.load(self.path, allow_pickle=False) as file:
            return iter([name for name in file.files if name != FACTS])

    def __len__(self) -> int:
        return len(list(iter(self)))


class Staging:
    """A folder with one file per block; a block that can't be written stays in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._writable = True

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of an earlier import, up to the first that is not whole.

        Those behind it are removed: what is written in its place may end elsewhere.
        """
        while (block := self._found()) is not None:
            self._count += 1
            yield block
        self._remove_from(self._count)

    def _remove_from(self, number: int) -> None:
        with suppress(OSError):  # nor can anything be written then
            while self._path(number).exists():
                self._path(number).unlink()
                number += 1

    def _found(self) -> Block | None:
        path = self._path(self._count)
        try:
            return _read(path) if path.exists() else None
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            log.info("staged block unusable", extra={"cause": str(error)})
            return None

    def keep(self, block: Block) -> Block:
        """Write the next block, in one step, and return it as it lies on disk."""
        if not self._writable:
            return block
        path = self._path(self._count)
        try:
            _write(path, block)
        except OSError as error:
            # the import goes on; only a resumed one would begin here
            log.warning("block not staged", extra={"cause": str(error)})
            self._writable = False
            return block
        self._count += 1
        return Block(block.facts, _Columns(path))

    def _path(self, number: int) -> Path:
        return self._folder / f"block-{number:05d}.npz"


def _read(path: Path) -> Block:
    with zipfile.ZipFile(path) as file:
        broken = file.testzip()  # after a power cut
    if broken is not None:
        raise ValueError(f"{broken} is damaged")
    columns = _Columns(path)
    facts = json.loads(columns[FACTS].tobytes())
    return Block(BlockFacts.from_dict(facts), columns)


def _write(path: Path, block: Block) -> None:
    facts = np.frombuffer(json.dumps(block.facts.as_dict()).encode(), np.uint8)
    under_way = path.with_suffix(".part")
    with under_way.open("wb") as file:
        np.savez(file, allow_pickle=False, **{FACTS: facts}, **block.columns)
    under_way.replace(path)
