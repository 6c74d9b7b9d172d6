"""A large import that was killed goes on with the block under way, to the same result."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from movierec.data.formats import text
from movierec.data.staging import KEPT_SECONDS, staging_folder
from movierec.errors import DataError, FormatError
from movierec.settings import Settings
from movierec.store import bulk, open_store
from movierec.workflows import data
from movierec.workflows.data import ImportOutcome, import_data
from tests.support.data_files import write
from tests.support.forking import Victims
from tests.support.killing import Order, victims

BLOCK = 1000  # bytes


@pytest.fixture(scope="module")
def forked() -> Iterator[Victims]:
    with victims() as process:
        yield process


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK", BLOCK)
    monkeypatch.setattr(data, "STAGED_FROM", 0)


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """About 40 blocks of ratings; ids, twins and bad rows come everywhere."""
    rng = np.random.default_rng(5)
    rows = [
        f"u{rng.integers(1 + n // 9)},m{rng.integers(90)},{rng.integers(1, 12) / 2},{n}\n"
        for n in range(2500)
    ]
    return write(tmp_path / "films.csv", "user,movie,rating,timestamp\n" + "".join(rows))


def stagings(settings: Settings) -> list[Path]:
    return sorted((settings.data_path / "cache").glob(".import-*"))


def content(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of the data, but when it was imported and how long it took."""
    with closing(sqlite3.connect(settings.database_path or "")) as connection:
        tables = {
            name: connection.execute(f"SELECT * FROM {name}").fetchall()
            for name in ("users", "movies", "ratings")
        }
    with open_store(settings) as store:
        record = store.datasets.get()
        found = store.datasets.load(record.name)
    report = {key: str(value) for key, value in record.report.items() if key != "seconds"}
    arrays = (found.ratings.user, found.ratings.movie, found.ratings.rating)
    return tables | {
        "facts": [(record.name, record.fingerprint), *report.items()],
        "arrays": [(array.tobytes(),) for array in arrays],
    }


def test_a_killed_import_goes_on_and_ends_the_same(
    ratings: Path, settings: Settings, forked: Victims, tmp_path: Path
) -> None:
    kills = [("reading", 9), ("reading", 4), ("checking", 0), ("storing", 0)]
    blocks = []
    for stage, after in kills:
        order = Order(str(settings.home), stage, 0.0, str(ratings), block=BLOCK, after=after)
        assert forked.run(order) == -9
        (folder,) = stagings(settings)
        blocks.append(len(list(folder.glob("*.npz"))))
    assert 0 < blocks[0] < blocks[1] < blocks[2] == blocks[3]
    seen: list[str] = []
    outcome = import_data(ratings, settings, on_progress=lambda stage, _: seen.append(stage))
    assert outcome.resumed == outcome.report.rows_read == 2500
    assert stagings(settings) == []
    other = settings.model_copy(update={"home": tmp_path / "uninterrupted"})
    assert import_data(ratings, other).resumed == 0
    assert content(settings) == content(other)


def killed_early(ratings: Path, settings: Settings, forked: Victims) -> int:
    """Leave a staging; return how many blocks it has."""
    order = Order(str(settings.home), "reading", 0.0, str(ratings), block=BLOCK, after=9)
    assert forked.run(order) == -9
    return len(list(stagings(settings)[0].glob("*.npz")))


def test_it_is_said_where_an_import_goes_on(
    ratings: Path, settings: Settings, forked: Victims
) -> None:
    assert killed_early(ratings, settings, forked) > 5
    seen: list[str] = []
    outcome = import_data(ratings, settings, on_progress=lambda stage, _: seen.append(stage))
    assert 0 < outcome.resumed < 2500
    assert f"reading (resumed at {outcome.resumed:,} rows)" in seen


def test_progress_rises_with_every_block(
    ratings: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 100)
    seen: list[tuple[str, float]] = []
    import_data(ratings, settings, on_progress=lambda *report: seen.append(report))
    shares = [done for _, done in seen]
    assert shares == sorted(shares)
    counts = Counter(stage for stage, _ in seen)
    assert list(counts) == ["reading", "checking", "storing", "stored"]
    assert counts["reading"] > 30
    assert counts["storing"] > 15


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("u1,m200,3,9999\n")


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [append, touch])
def test_a_changed_file_is_read_anew(
    change, ratings: Path, settings: Settings, forked: Victims
) -> None:
    killed_early(ratings, settings, forked)
    change(ratings)
    outcome = import_data(ratings, settings)
    assert outcome.resumed == 0
    assert outcome.report.rows_read == 2500 + (change is append)
    assert stagings(settings) == []  # the one of the file as it was is gone as well


def test_other_options_are_another_import(
    ratings: Path, settings: Settings, forked: Victims
) -> None:
    killed_early(ratings, settings, forked)
    columns = data.ColumnChoice("movie", "user", "rating")
    assert import_data(ratings, settings, name="turned", columns=columns).resumed == 0
    assert import_data(ratings, settings).resumed > 0


def test_what_nobody_goes_on_with_is_cleared(
    ratings: Path, settings: Settings, forked: Victims, tmp_path: Path
) -> None:
    killed_early(ratings, settings, forked)
    (folder,) = stagings(settings)
    other = write(tmp_path / "x.csv", "user,movie,rating\n1,1,1\n2,2,2\n")
    import_data(other, settings)
    assert stagings(settings) == [folder]
    long_ago = folder.stat().st_mtime - KEPT_SECONDS - 60
    os.utime(folder, (long_ago, long_ago))
    write(other, other.read_text() + "3,3,3\n")
    import_data(other, settings, name="y")
    assert stagings(settings) == []


def test_two_at_once_share_no_staging(ratings: Path, settings: Settings) -> None:
    root = settings.data_path / "cache"
    with staging_folder(root, ratings, {}) as mine, staging_folder(root, ratings, {}) as theirs:
        assert mine is not None
        assert theirs is None
    assert stagings(settings) == []


def test_only_trouble_with_the_content_ends_a_staging(ratings: Path, settings: Settings) -> None:
    import_data(ratings, settings, name="taken")
    append(ratings)
    with pytest.raises(DataError, match="already is a data set"):
        import_data(ratings, settings, name="taken")
    assert import_data(ratings, settings, name="free").resumed == 2501
    broken = write(ratings.parent / "broken.csv", ratings.read_text() + "\0")
    with pytest.raises(FormatError, match="zero byte"):
        import_data(broken, settings)
    assert stagings(settings) == []


def test_a_cache_that_cannot_be_written_costs_only_the_resuming(
    ratings: Path, settings: Settings
) -> None:
    settings.data_path.mkdir(parents=True)
    (settings.data_path / "cache").write_text("in the way")
    outcome: ImportOutcome = import_data(ratings, settings)
    assert outcome.report.rows_read == 2500
