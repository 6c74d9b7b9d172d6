"""Files read in many blocks: the same data and report as in one, and what a staging keeps."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from movierec.data.dataset import Dataset
from movierec.data.formats import parquet, text
from movierec.data.formats.detect import ColumnChoice, read_raw
from movierec.data.formats.raw import RawData
from movierec.data.validation.checks import checked, gathered
from movierec.data.validation.report import ImportReport
from movierec.data.validation.rows import CheckedRows, Staging, checked_rows
from movierec.errors import EmptyDataError, FormatError
from tests.support import data_files
from tests.support.data_files import WRITERS, write

HEADER = "userId,movieId,rating,timestamp\n"
SMALL = 37  # bytes: no line of these files ends just there
Imported = tuple[Dataset, ImportReport]


def messy(times: Callable[[int], object]) -> str:
    """Return ratings with every kind of bad row, ids that come late and lines of all lengths."""
    rng = np.random.default_rng(3)
    bad = [
        "9,1", "\n\n", ",5,3,{}", "1,5,11,{}", "1,5,x,{}", "1,5,,{}", "1,5,3,", "1,5,3,soon",
        '"a\nb",5,3,{}', "x" * 300 + ",5,3,{}", "1,2,3,4,5",
    ]  # fmt: skip
    rows = []
    for number in range(120):
        user, movie = rng.integers(1, 30), rng.integers(1, 12 + number)
        rows.append(f'"{user}",m{movie},{rng.integers(1, 11) / 2},{times(number)}')
        if number % 9 == 4:
            rows.append(bad[number // 9 % len(bad)].format(times(number)))
    return HEADER + "\n".join(rows)


def plain(imported: Imported) -> dict[str, object]:
    dataset, report = imported
    return report.as_dict() | {"seconds": None, "fingerprint": dataset.fingerprint}


def same(one: Imported, other: Imported) -> None:
    assert plain(one) == plain(other)
    assert_frame_equal(one[0].user_frame, other[0].user_frame)
    assert_frame_equal(one[0].movie_frame, other[0].movie_frame)


def in_blocks(monkeypatch: pytest.MonkeyPatch, path: Path, **options: object) -> Imported:
    """Import a file in blocks of a few rows; check that there are several."""
    monkeypatch.setattr(text, "BLOCK", SMALL)
    monkeypatch.setattr(parquet, "ROWS", 2)
    raw: RawData = read_raw(path, **options)  # type: ignore[arg-type]
    rows = checked_rows(raw.ratings, raw.scale)
    assert len(rows.blocks) > 1
    return gathered(raw, rows)


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_the_same_in_blocks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = WRITERS[name](tmp_path)
    same(in_blocks(monkeypatch, path), checked(read_raw(path)))


@pytest.mark.parametrize(
    "times",
    [
        lambda number: 1000 - number,
        lambda number: 978_307_200_000 + 1000 * number,
        lambda number: f"2001-01-{1 + number % 28:02d}T00:00:00Z",
        lambda number: number if number > 100 else "2001-01-01",
    ],
    ids=["seconds", "milliseconds", "dates", "numbers among dates"],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_bad_rows_and_whole_columns_are_judged_alike_in_blocks(
    times: Callable[[int], object],
    newline: str,
    encoding: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(tmp_path / "x.csv", messy(times).replace("\n", newline), encoding)
    whole = checked(read_raw(path))
    assert len(whole[1].dropped) >= 4
    same(in_blocks(monkeypatch, path), whole)


def test_lines_are_counted_on_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HEADER + "1,1,3,1\n2,2,4,1\n" * 20 + '\n"a\n\nb",1,2,3\n\n1,2\n3,1,x,9\n'
    path = write(tmp_path / "x.csv", text)
    _, report = in_blocks(monkeypatch, path)
    lines = {rows.reason.split(" (")[0]: rows.first_lines for rows in report.dropped}
    assert lines["malformed line"] == (47,)
    assert lines["bad id"] == (43,)
    assert lines["bad number"] == (48,)


def test_what_fills_several_blocks_is_still_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK", SMALL)
    monkeypatch.setattr(text, "MAX_LINE", 500)

    def reading(content: bytes) -> Path:
        path = tmp_path / "x.csv"
        path.write_bytes(content)
        return path

    for content, error, reason in (
        (b" \n" * 90, FormatError, "x.csv is empty"),
        (HEADER.encode() + b"\n" * 90, EmptyDataError, "a header and no rows"),
        (HEADER.encode() + b"\n" * 90 + b"1,2\n" * 30, FormatError, "line 92 is the first"),
        (HEADER.encode() + b"1,1,3,1\n" * 9 + b"\0", FormatError, "line 11 has a zero byte"),
        (HEADER.encode() + b"1,1,3,1\n" * 9 + b"2" * 3000, FormatError, "Line 11 of x.csv"),
        (HEADER.encode() + "é,1,3,1\n".encode() * 9 + b"\xe9,1,3,1\n" * 9, FormatError, "line 11"),
    ):
        with pytest.raises(error, match=reason):
            checked(read_raw(reading(content)))


def test_latin_1_is_recognised_in_a_later_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = HEADER + "1,1,3,1\n" * 9 + "é,2,4,1\nü,1,2,1\n"
    path = write(tmp_path / "x.csv", content, "latin-1")
    assert list(in_blocks(monkeypatch, path)[0].users.ids) == ["1", "é", "ü"]


def test_a_quote_that_hides_lines_is_refused(tmp_path: Path) -> None:
    rows = "1,1,3,1\n2,2,4,1\n" * 600
    path = write(tmp_path / "x.csv", f'{HEADER}{rows}"3,3,3,1\n{rows}')
    with pytest.raises(FormatError, match=r"opens after line 1201 and hides more than 1,000"):
        checked(read_raw(path))


def test_a_lone_quote_within_a_value_ends_no_block_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"u{i % 7}{chr(34) if i == 11 else ''},{i % 5},{1 + i % 5},{i}" for i in range(60)]
    path = write(tmp_path / "x.csv", HEADER + "\n".join(rows))
    whole = checked(read_raw(path))
    assert 'u4"' in whole[0].users
    monkeypatch.setattr(text, "MAX_LINE", 200)
    same(in_blocks(monkeypatch, path), whole)


@pytest.mark.parametrize("late", [4.0, 4.5])
def test_ids_of_parquet_are_whole_numbers_when_all_are(
    late: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"who": [1e15, 2.0, np.nan, 3.0, late], "what": list("abacb")})
    frame["stars"] = [1.0, 2, 3, 4, 5]
    frame.to_parquet(tmp_path / "ratings.parquet")
    columns = ColumnChoice("who", "what", "stars")
    whole = checked(read_raw(tmp_path / "ratings.parquet", columns=columns))
    assert (str(10**15) in whole[0].users) == (late == 4)
    same(in_blocks(monkeypatch, tmp_path / "ratings.parquet", columns=columns), whole)


class Reading:
    """A messy file and a staging for its blocks."""

    def __init__(self, root: Path) -> None:
        self.path = write(root / "x.csv", messy(lambda number: number))
        self.folder = root / "staging"
        self.folder.mkdir()

    def rows(self) -> CheckedRows:
        raw = read_raw(self.path)
        return checked_rows(raw.ratings, raw.scale, Staging(self.folder))

    def imported(self, rows: CheckedRows) -> Imported:
        return gathered(read_raw(self.path), rows)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reading:
    monkeypatch.setattr(text, "BLOCK", SMALL)
    return Reading(tmp_path)


def test_a_staging_goes_on_after_its_last_whole_block(reading: Reading) -> None:
    first = reading.rows()
    expected = reading.imported(first)
    assert (first.resumed, len(first.blocks)) == (0, len(reading.files))
    for path in reading.files[10:]:
        path.unlink()
    again = reading.rows()
    assert again.resumed == sum(block.facts.rows for block in first.blocks[:10]) > 0
    same(reading.imported(again), expected)
    assert reading.rows().resumed == len(first)


def test_a_damaged_block_is_read_again(reading: Reading) -> None:
    first = reading.rows()
    expected = reading.imported(first)
    content = bytearray(reading.files[4].read_bytes())
    content[len(content) // 3] ^= 0xFF
    reading.files[4].write_bytes(content)
    reading.files[9].write_bytes(b"")
    again = reading.rows()
    assert again.resumed == sum(block.facts.rows for block in first.blocks[:4])
    same(reading.imported(again), expected)


def test_blocks_that_cannot_be_written_stay_in_memory(reading: Reading) -> None:
    expected = reading.imported(reading.rows())
    for path in reading.files[6:]:
        path.unlink()
    (reading.folder / "block-00006.part").mkdir()  # in the way
    rows = reading.rows()
    same(reading.imported(rows), expected)
    assert len(list(reading.folder.glob("*.npz"))) == 6


def test_facts_of_a_block_survive_json(reading: Reading) -> None:
    facts = reading.rows().blocks[0].facts
    assert type(facts).from_dict(json.loads(json.dumps(facts.as_dict()))) == facts
    assert dataclasses.asdict(facts)["end"]["offset"] > 0


def test_a_zip_is_read_on_within_its_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = data_files.zipped(tmp_path / "x.zip", {"ratings.csv": messy(int).encode()}, top="")
    monkeypatch.setattr(text, "BLOCK", SMALL)
    raw = read_raw(path)
    blocks = list(raw.ratings.blocks())
    later = raw.ratings.blocks(blocks[7].end)
    lines = np.concatenate([block.lines for block in later])
    assert lines.tolist() == np.concatenate([block.lines for block in blocks[8:]]).tolist()
