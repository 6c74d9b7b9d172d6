"""Writes made-up ratings in the file formats of GroupLens, in bounded memory."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from movierec.data.formats.movielens import ML_100K_GENRES, OCCUPATIONS
from movierec.data.synthetic.ratings import GENRES, SHAPES, Block, World
from movierec.errors import DataError
from movierec.progress import Progress, silent

__all__ = ["Synthesized", "synthesize"]

Write: TypeAlias = Callable[[Block], None]

AGES = (1, 18, 25, 35, 45, 50, 56)  # the codes of MovieLens 1M
_BARE = {"quoting_style": "none", "include_header": False}


@dataclass(frozen=True)
class Synthesized:
    """What was written, and how well its ratings can be predicted at best.

    `floor_rmse` and `floor_mae`, in stars, are of the prediction of least squared error by
    somebody who knows every latent: its errors are the noise and the rounding.
    """

    folder: Path
    like: str
    seed: int
    users: int
    movies: int
    ratings: int
    floor_rmse: float
    floor_mae: float


def synthesize(like: str, seed: int, folder: Path, on_progress: Progress = silent) -> Synthesized:
    """Write a data set of the shape of a MovieLens release, and `truth.json` beside it.

    The folder appears once everything is in it. `truth.json` holds the fields of
    `Synthesized`; the latents come from `World(SHAPES[like], seed)`.

    Raises:
        DataError: there is no such shape, or the folder is there already or cannot be written.

    """
    if like not in SHAPES:
        raise DataError(
            f"There is no shape {like!r} to follow.", hint=f"Use one of {', '.join(SHAPES)}."
        )
    if folder.exists():
        raise DataError(f"{folder} is there already.", hint="Delete it or name another folder.")
    try:
        with _appearing(folder) as partial:
            return _write(World(SHAPES[like], seed), like, partial, folder, on_progress)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written: {error.strerror or error}.",
            hint="Make room or name another folder.",
        ) from error


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield partial
        partial.chmod(0o755)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(
    world: World, like: str, partial: Path, folder: Path, on_progress: Progress
) -> Synthesized:
    done, squared, absolute = 0, 0.0, 0.0
    with _ratings_file(world, like, partial) as write:
        for block in world.blocks():
            write(block)
            done += len(block.rating)
            squared += float(block.variance.sum())
            absolute += float(np.abs(block.rating - block.best).sum())
            on_progress("writing ratings", done / world.shape.ratings)
    _CATALOGUES[like](world, partial)
    found = Synthesized(
        folder, like, world.seed, world.shape.users, world.shape.movies, done,
        math.sqrt(squared / done), absolute / done,
    )  # fmt: skip
    facts = {name: value for name, value in asdict(found).items() if name != "folder"}
    (partial / "truth.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return found


@contextmanager
def _ratings_file(world: World, like: str, folder: Path) -> Iterator[Write]:
    name, columns = {
        "ml-100k": ("u.data", _tabbed), "ml-1m": ("ratings.dat", _joined),
        "ml-10m": ("ratings.dat", _joined),
    }.get(like, ("ratings.csv", _separated))  # fmt: skip
    names = {_tabbed: 4, _separated: 4, _joined: 1}[columns]
    schema = pa.schema([(str(place), pa.string()) for place in range(names)])
    options = arrow_csv.WriteOptions(delimiter="\t" if columns is _tabbed else ",", **_BARE)
    with (folder / name).open("wb") as file:
        if columns is _separated:
            file.write(b"userId,movieId,rating,timestamp\n")
        with arrow_csv.CSVWriter(file, schema, write_options=options) as writer:
            yield lambda block: writer.write_table(
                pa.table(columns(world, block), names=schema.names)
            )


def _texts(world: World, block: Block) -> list[Any]:
    """Return user id, movie id, rating and time of each row as texts."""
    scale = world.shape.scale
    decimals = 0 if scale.step == 1 else 1
    levels = pa.array([f"{level:.{decimals}f}" for level in scale.levels])
    place = np.round((block.rating - scale.low) / scale.step).astype(np.int64)
    return [
        pc.cast(pa.array(block.user + 1), pa.string()),
        pc.cast(pa.array(world.movie_id[block.movie]), pa.string()),
        levels.take(pa.array(place)),
        pc.cast(pa.array(block.timestamp), pa.string()),
    ]


def _separated(world: World, block: Block) -> list[Any]:
    return _texts(world, block)


def _tabbed(world: World, block: Block) -> list[Any]:
    """Rows in a random order, as u.data has them: its folds are stretches of the file."""
    order = np.random.default_rng([world.seed, 3]).permutation(len(block.rating))
    return [column.take(pa.array(order)) for column in _texts(world, block)]


def _joined(world: World, block: Block) -> list[Any]:
    return [pc.binary_join_element_wise(*_texts(world, block), "::")]


def _titles(world: World) -> list[str]:
    return [f"Film {i} ({y})" for i, y in zip(world.movie_id, world.year, strict=True)]


def _genre_lists(world: World) -> list[str]:
    names = np.array(GENRES)
    return ["|".join(names[row]) for row in world.has_genre]


def _write_lines(path: Path, lines: Iterator[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _catalogue_csv(world: World, folder: Path) -> None:
    rows = zip(world.movie_id, _titles(world), _genre_lists(world), strict=True)
    lines = ("movieId,title,genres", *(f"{i},{title},{genres}" for i, title, genres in rows))
    _write_lines(folder / "movies.csv", iter(lines))


def _catalogue_dat(world: World, folder: Path) -> None:
    rows = zip(world.movie_id, _titles(world), _genre_lists(world), strict=True)
    _write_lines(folder / "movies.dat", ("::".join(map(str, row)) for row in rows))


def _catalogue_1m(world: World, folder: Path) -> None:
    _catalogue_dat(world, folder)
    random = np.random.default_rng([world.seed, 4])
    n = world.shape.users
    gender, age = random.choice(["F", "M"], n), random.choice(AGES, n)
    job = random.integers(0, len(OCCUPATIONS), n)
    rows = zip(range(1, n + 1), gender, age, job, random.integers(10_000, 99_999, n), strict=True)
    _write_lines(folder / "users.dat", ("::".join(map(str, row)) for row in rows))


def _catalogue_100k(world: World, folder: Path) -> None:
    random = np.random.default_rng([world.seed, 4])
    n = world.shape.users
    people = zip(
        range(1, n + 1), random.integers(10, 74, n), random.choice(["F", "M"], n),
        random.choice(OCCUPATIONS, n), random.integers(10_000, 99_999, n), strict=True,
    )  # fmt: skip
    _write_lines(folder / "u.user", ("|".join(map(str, row)) for row in people))
    places = {name: GENRES.index(_modern(name)) for name in ML_100K_GENRES if name != "unknown"}
    rows = zip(world.movie_id, _titles(world), world.year, world.has_genre, strict=True)
    _write_lines(
        folder / "u.item",
        (
            f"{i}|{title}|01-Jan-{year}|||0|" + "|".join(str(int(has[p])) for p in places.values())
            for i, title, year, has in rows
        ),
    )


def _modern(genre: str) -> str:
    return "Children" if genre == "Children's" else genre


_CATALOGUES: dict[str, Callable[[World, Path], None]] = {
    "ml-100k": _catalogue_100k,
    "ml-1m": _catalogue_1m,
    "ml-10m": _catalogue_dat,
    "ml-25m": _catalogue_csv,
    "ml-32m": _catalogue_csv,
}
