"""A ratings file block by block: read, checked, and kept on disk for a resumed import."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from movierec.columns import Columns
from movierec.data.dataset import IntArray, RatingScale
from movierec.data.formats.raw import START, Place, RatingRows
from movierec.data.validation.blocks import Array, Block, BlockFacts, Ids, check_block
from movierec.progress import Progress, silent

__all__ = [
    "LAYOUT",
    "CheckedRows",
    "Staging",
    "checked_rows",
]

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


class CheckedRows:
    """The blocks of a ratings file and the ids that their codes stand for.

    `resumed` is the number of rows that an earlier import had read.
    """

    def __init__(self, file: str, *, timed: bool) -> None:
        self.file = file
        self.timed = timed
        self.users = Ids()
        self.movies = Ids()
        self.blocks: list[Block] = []
        self.resumed = 0
        self._malformed: list[IntArray] = []

    def __len__(self) -> int:
        return sum(block.facts.rows for block in self.blocks)

    @property
    def end(self) -> Place:
        """Where the next block begins."""
        return self.blocks[-1].facts.end if self.blocks else START

    @property
    def malformed(self) -> IntArray:
        """Lines that have another number of fields than the header."""
        return np.concatenate(self._malformed) if self._malformed else np.zeros(0, np.int64)

    def add(self, block: Block) -> None:
        """Add the next block, whose new ids are coded already or are those of an earlier import."""
        for ids, new in ((self.users, block.facts.users), (self.movies, block.facts.movies)):
            for value in new:
                ids.add(value)
        self.blocks.append(block)
        self._malformed.append(block.columns["malformed"])

    def column(self, name: str, dtype: npt.DTypeLike) -> Array:
        """Return one column of all rows, (n,)."""
        whole: Array = np.empty(len(self), dtype)
        start = 0
        for block in self.blocks:
            stop = start + block.facts.rows
            whole[start:stop] = block.columns[name]
            start = stop
        return whole

    def times(self) -> npt.NDArray[np.float64]:
        """Return the times of all rows, (n,): dates count only where there is no number at all."""
        found: npt.NDArray[np.float64] = self.column("time", np.float64)
        if all(block.facts.dates for block in self.blocks if block.facts.rows):
            return found
        start = 0
        for block in self.blocks:
            stop = start + block.facts.rows
            if block.facts.dates:
                found[start:stop] = np.nan
            start = stop
        return found

    def lines_of(self, rows: Any) -> tuple[int, ...]:
        """Return the lines of these rows in the file."""
        ends = np.cumsum([block.facts.rows for block in self.blocks])
        return tuple(self._line(int(row), ends) for row in rows)

    def _line(self, row: int, ends: IntArray) -> int:
        number = int(np.searchsorted(ends, row, side="right"))
        facts = self.blocks[number].facts
        place = row - (int(ends[number]) - facts.rows)
        later = self.blocks[number].columns["line"]
        return facts.line + int(later[place] if len(later) else place)


def checked_rows(
    ratings: RatingRows,
    scale: RatingScale | None,
    staging: Staging | None = None,
    on_progress: Progress = silent,
) -> CheckedRows:
    """Read a ratings file block by block; each is checked, kept in the staging and let go."""
    rows = CheckedRows(ratings.file, timed=Columns.TIMESTAMP in ratings.names)
    for block in staging.blocks() if staging else ():
        rows.add(block)
    rows.resumed = len(rows)
    stage = f"reading (resumed at {rows.resumed:,} rows)" if rows.resumed else "reading"
    for table in ratings.blocks(rows.end):
        if rows.blocks:
            on_progress(stage, rows.end.offset / max(1, ratings.size))
        block = check_block(table, rows.users, rows.movies, scale)
        rows.add(staging.keep(block) if staging else block)
    pa.default_memory_pool().release_unused()
    return rows
