"""Fetching MovieLens 100K: from a real server on this machine, from pip's index, from disk."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from movierec.data.dataset import Dataset
from movierec.data.sources.ml_100k import MEMBERS
from movierec.data.sources.obtain import GROUPLENS, PACKAGE_COPY, fetch_data_set, fetch_ml_100k
from movierec.errors import FormatError, NotFoundError, SourceError
from movierec.settings import Settings
from movierec.workflows.data import fetch_and_import
from tests.support import data_files
from tests.support.file_server import FileServer, serving
from tests.support.forking import Victims
from tests.support.killing import Order, victims

NOBODY = "http://127.0.0.1:9/ml-100k.zip"  # the discard port: the connection is refused

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def files(ml_100k: Dataset) -> dict[str, bytes]:
    return data_files.grouplens_files(ml_100k)


@pytest.fixture(scope="module")
def archive(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return data_files.zipped(tmp_path_factory.mktemp("zip") / "ml-100k.zip", files).read_bytes()


@pytest.fixture
def server(archive: bytes) -> Iterator[FileServer]:
    with serving(FileServer(archive)) as running:
        yield running


@pytest.fixture(scope="module")
def forked() -> Iterator[Victims]:
    with victims() as process:
        yield process


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Leave pip only a folder to look for packages in."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def aimed_at(url: str, settings: Settings) -> Settings:
    return settings.model_copy(update={"ml_100k_url": url, "fetch_timeout": 5.0})


def left_in(settings: Settings) -> list[str]:
    """Return what lies in the data folder, but for the lock."""
    names = (path.name for path in settings.data_path.iterdir())
    return sorted(name for name in names if name != ".fetch.lock")


def test_the_archive_comes_from_grouplens(server: FileServer, settings: Settings) -> None:
    seen: list[tuple[str, float]] = []
    fetched = fetch_ml_100k(
        aimed_at(server.url, settings), on_progress=lambda *report: seen.append(report)
    )
    assert fetched.origin == GROUPLENS
    assert fetched.path == settings.data_path / "ml-100k.zip"
    assert set(fetched.sha256) == {"ml-100k.zip", "u.data", "u.user", "u.item"}
    assert left_in(settings) == ["ml-100k.zip"]
    shares = [done for stage, done in seen if stage == "downloading from GroupLens"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_second_fetch_asks_nobody(server: FileServer, settings: Settings) -> None:
    aimed = aimed_at(server.url, settings)
    fetch_ml_100k(aimed)
    assert fetch_ml_100k(aimed).path == settings.data_path / "ml-100k.zip"
    assert server.ranges == [None]


def test_a_dropped_connection_is_resumed(server: FileServer, settings: Settings) -> None:
    server.drop_after, server.drops = len(server.data) // 3, 2
    assert fetch_ml_100k(aimed_at(server.url, settings)).origin == GROUPLENS
    starts = [int((asked or "bytes=0-")[6:-1]) for asked in server.ranges]
    # whole chunks are kept, so each attempt goes on at or a little before the break
    assert len(starts) == 3
    assert 0 == starts[0] < starts[1] <= server.drop_after < starts[2] <= 2 * server.drop_after


def test_a_killed_download_is_resumed_by_the_next_process(
    server: FileServer, settings: Settings, forked: Victims
) -> None:
    server.pause = 0.02
    order = Order(str(settings.home), "downloading from GroupLens", 0.2, url=server.url)
    assert forked.run(order) == -9
    assert left_in(settings) == ["ml-100k.zip.part", "ml-100k.zip.part.json"]
    came = (settings.data_path / "ml-100k.zip.part").stat().st_size
    server.pause = 0.0
    assert fetch_ml_100k(aimed_at(server.url, settings)).origin == GROUPLENS
    assert 0 < came < len(server.data)
    assert server.ranges == [None, f"bytes={came}-"]
    assert left_in(settings) == ["ml-100k.zip"]


def test_a_file_that_changed_on_the_server_is_fetched_anew(
    server: FileServer, settings: Settings, forked: Victims
) -> None:
    server.pause = 0.02
    forked.run(Order(str(settings.home), "downloading from GroupLens", 0.2, url=server.url))
    server.pause, server.etag = 0.0, '"two"'
    assert fetch_ml_100k(aimed_at(server.url, settings)).origin == GROUPLENS
    assert len(server.ranges) == 2  # the whole file came in answer to the request for its rest
    # a zip reader would accept stale bytes in front
    assert (settings.data_path / "ml-100k.zip").read_bytes() == server.data
    assert left_in(settings) == ["ml-100k.zip"]


def test_rotten_bytes_of_an_earlier_attempt_are_fetched_again(
    server: FileServer, settings: Settings, forked: Victims
) -> None:
    server.pause = 0.02
    forked.run(Order(str(settings.home), "downloading from GroupLens", 0.2, url=server.url))
    server.pause = 0.0
    part = settings.data_path / "ml-100k.zip.part"
    part.write_bytes(bytes(part.stat().st_size))
    assert fetch_ml_100k(aimed_at(server.url, settings)).origin == GROUPLENS
    assert server.ranges[-1] is None


TAMPERED = {
    "u.data": lambda data: data.replace(b"196\t242\t3\t", b"196\t242\t5\t", 1),
    "u.user": lambda data: data.replace(b"|24|M|", b"|25|M|", 1),
    "u.item": lambda data: data.replace(b"Toy Story", b"Boy Story", 1),
    "u.genre": lambda data: data.replace(b"Drama", b"Trauma", 1),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_archive_is_refused_and_leaves_nothing(
    name: str, files: dict[str, bytes], settings: Settings, tmp_path: Path
) -> None:
    altered = files | {name: TAMPERED[name](files[name])}
    assert altered != files
    data = data_files.zipped(tmp_path / "x.zip", altered).read_bytes()
    with (
        serving(FileServer(data)) as server,
        pytest.raises(SourceError, match=rf"{name}.*SHA-256 differs"),
    ):
        fetch_ml_100k(aimed_at(server.url, settings))
    assert left_in(settings) == []


@pytest.mark.parametrize("place", [0.0, 0.4, 0.999])
def test_a_damaged_archive_is_refused_and_leaves_nothing(
    place: float, archive: bytes, settings: Settings
) -> None:
    at = int(place * len(archive))
    data = archive[:at] + bytes(60) + archive[at + 60 :]
    with serving(FileServer(data)) as server, pytest.raises(SourceError):
        fetch_ml_100k(aimed_at(server.url, settings))
    assert left_in(settings) == []


MISBEHAVIOUR = {
    "404": ({"status": 404}, "answered 404"),
    "500": ({"status": 500}, "answered 500"),
    "log-in page": ({"content_type": "text/html; charset=utf-8"}, "text/html instead"),
    "always dropped": ({"drop_after": 100_000}, "broke 4 times"),
    "longer than it is": ({"length": 10_000_000}, "broke 4 times"),
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_without_any_source_both_reasons_are_told(
    name: str, server: FileServer, settings: Settings, no_index: Path
) -> None:
    changes, reason = MISBEHAVIOUR[name]
    for attribute, value in changes.items():
        setattr(server, attribute, value)
    with pytest.raises(SourceError, match=rf"{reason}.*pip cannot download recbole"):
        fetch_ml_100k(aimed_at(server.url, settings))
    assert not {"ml-100k", "ml-100k.zip"} & set(left_in(settings))


def test_a_file_far_too_large_is_refused_before_it_comes(
    server: FileServer, settings: Settings
) -> None:
    server.length = 10**10
    with pytest.raises(SourceError, match="more than 67,108,864 bytes"):
        fetch_ml_100k(aimed_at(server.url, settings))


def test_where_grouplens_cannot_be_reached_the_package_copy_comes(settings: Settings) -> None:
    outcome = fetch_and_import(aimed_at(NOBODY, settings))
    assert outcome.record.source == PACKAGE_COPY
    assert outcome.report.rows_kept == 100_000
    assert sorted(path.name for path in (settings.data_path / "ml-100k").iterdir()) == [
        "ml-100k.inter",
        "ml-100k.item",
        "ml-100k.user",
    ]
    again = fetch_and_import(aimed_at(NOBODY, settings))
    assert again.already_there
    assert again.record == outcome.record


def wheel(folder: Path, members: dict[str, bytes]) -> None:
    """Write a wheel that pip takes for RecBole 1.2.1."""
    info = "recbole-1.2.1.dist-info/"
    facts = {
        info + "METADATA": b"Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n",
        info + "WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        info + "RECORD": b"",
    }
    with zipfile.ZipFile(folder / "recbole-1.2.1-py3-none-any.whl", "w") as archive:
        for name, data in (members | facts).items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({MEMBERS + f"ml-100k.{end}": b"x" for end in ("inter", "user", "item")}, "SHA-256"),
        ({MEMBERS + "ml-100k.inter": b"x"}, r"has no .*ml-100k\.(user|item)"),
        ({"../ml-100k.inter": b"x"}, "points outside the archive|cannot download"),
    ],
)
def test_a_tampered_package_is_refused_and_leaves_nothing(
    members: dict[str, bytes], reason: str, settings: Settings, no_index: Path
) -> None:
    wheel(no_index, members)
    with pytest.raises(SourceError, match=reason):
        fetch_ml_100k(aimed_at(NOBODY, settings))
    assert left_in(settings) == []


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.9])
def test_a_killed_package_download_leaves_the_next_fetch_a_clean_start(
    delay: float, settings: Settings, forked: Victims
) -> None:
    stage = "GroupLens cannot be reached; asking the package index"
    code = forked.run(Order(str(settings.home), stage, delay, url=NOBODY))
    assert code == -9 or delay
    assert fetch_ml_100k(aimed_at(NOBODY, settings)).origin == PACKAGE_COPY
    assert [name for name in left_in(settings) if "ml-100k" in name] == ["ml-100k"]


def test_two_fetchers_at_once_download_once(
    server: FileServer, settings: Settings, forked: Victims
) -> None:
    server.pause = 0.01
    order = Order(str(settings.home), "never", 0.0, url=server.url)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(forked.run, order)
        fetch_ml_100k(aimed_at(server.url, settings))
        assert other.result() == 0
    assert server.ranges == [None]


def test_a_folder_or_zip_on_disk_is_used_where_it_lies(
    ml_100k_source: Path, files: dict[str, bytes], settings: Settings, tmp_path: Path
) -> None:
    folder = data_files.folder(tmp_path / "mine", files)
    fetched = fetch_ml_100k(settings, source=folder)
    assert (fetched.path, fetched.origin) == (folder, "local folder")
    assert fetch_ml_100k(settings, source=ml_100k_source).path == ml_100k_source
    assert not settings.data_path.exists()


def test_line_endings_do_not_matter(
    files: dict[str, bytes], settings: Settings, tmp_path: Path
) -> None:
    windows = {name: data.replace(b"\n", b"\r\n") for name, data in files.items()}
    assert fetch_ml_100k(settings, source=data_files.folder(tmp_path / "mine", windows)).sha256


def test_other_data_on_disk_is_refused(settings: Settings, tmp_path: Path) -> None:
    tiny = data_files.write_ml_100k(tmp_path)
    with pytest.raises(SourceError, match=r"u\.data in ml-100k is not the file of MovieLens 100K"):
        fetch_ml_100k(settings, source=tiny)
    with pytest.raises(SourceError, match=r"neither u\.data nor ml-100k\.inter"):
        fetch_ml_100k(settings, source=data_files.write_ml_1m(tmp_path))
    with pytest.raises((SourceError, FormatError), match="There is no"):
        fetch_ml_100k(settings, source=tmp_path / "nowhere")


def test_altered_data_in_the_data_folder_is_kept_and_named(
    ml_100k_source: Path, settings: Settings
) -> None:
    if not ml_100k_source.is_dir():
        pytest.skip("the cached source is GroupLens' zip")
    copy = settings.data_path / "ml-100k"
    shutil.copytree(ml_100k_source, copy)
    with (copy / "ml-100k.inter").open("ab") as stream:
        stream.write(b"1\t1\t1\t1\n")
    with pytest.raises(SourceError, match=r"ml-100k\.inter in ml-100k.*Delete it"):
        fetch_ml_100k(settings)
    assert copy.exists()


def test_unknown_names_are_answered_with_the_known_ones(settings: Settings) -> None:
    with pytest.raises(NotFoundError, match=r"no data set 'ml-999' to fetch.*Known: ml-100k"):
        fetch_data_set("ml-999", settings)


def test_a_data_folder_that_cannot_be_made_is_named(settings: Settings) -> None:
    settings.data_path.write_text("a file is in the way")
    with pytest.raises(SourceError, match=r"data cannot be written.*MOVIEREC_DATA_DIR"):
        fetch_ml_100k(aimed_at(NOBODY, settings))
