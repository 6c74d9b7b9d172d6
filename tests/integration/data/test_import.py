"""Importing into a real database: once, twice, under taken names, and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from movierec.cli.data import app
from movierec.data.dataset import Dataset
from movierec.data.formats.detect import ColumnChoice
from movierec.data.validation.report import ImportReport
from movierec.errors import DataError, NotFoundError
from movierec.settings import Settings
from movierec.store import open_store
from movierec.workflows.data import fetch_and_import, import_data, load_dataset
from tests.support import data_files
from tests.support.data_files import WRITERS, write

TABLE = "who,what,stars\nann,x,1\nbob,y,2\n"


@pytest.mark.parametrize("name", WRITERS)
def test_what_was_imported_comes_back(name: str, settings: Settings, tmp_path: Path) -> None:
    outcome = import_data(WRITERS[name](tmp_path), settings, name="mine")
    dataset = load_dataset("mine", settings)
    assert not outcome.already_there
    assert dataset.fingerprint == outcome.record.fingerprint
    assert (dataset.n_users, dataset.n_movies, dataset.n_ratings) == (3, 4, 5)
    assert dataset.titles[3] == "Nobody's Film"
    assert ImportReport.from_dict(outcome.record.report) == outcome.report


def test_the_name_is_that_of_the_path_unless_given(settings: Settings, tmp_path: Path) -> None:
    assert import_data(data_files.write_ml_100k_zip(tmp_path), settings).record.name == "ml-100k"
    table = write(
        tmp_path / "My ratings.csv", TABLE.replace("who", "user").replace("what", "movie")
    )
    renamed = write(table, table.read_text().replace("stars", "rating"))
    assert import_data(renamed, settings).record.name == "My ratings"


def test_the_same_data_is_recognised_whatever_its_format(
    settings: Settings, tmp_path: Path
) -> None:
    first = import_data(WRITERS["ml-1m"](tmp_path), settings)
    again = import_data(WRITERS["RecBole"](tmp_path), settings, name="another")
    assert again.already_there
    assert again.record == first.record
    assert again.report == first.report
    with open_store(settings) as store:
        assert len(store.datasets.list()) == 1


def test_a_taken_name_is_refused_with_advice(settings: Settings, tmp_path: Path) -> None:
    import_data(WRITERS["ml-1m"](tmp_path), settings, name="mine")
    table = write(tmp_path / "x.csv", TABLE)
    with pytest.raises(DataError, match=r"already is a data set 'mine'.*another name"):
        import_data(table, settings, name="mine", columns=ColumnChoice("who", "what", "stars"))
    assert load_dataset("mine", settings).n_ratings == 5


def test_several_data_sets_live_side_by_side(settings: Settings, tmp_path: Path) -> None:
    import_data(WRITERS["ml-1m"](tmp_path), settings)
    columns = ColumnChoice("who", "what", "stars")
    import_data(write(tmp_path / "x.csv", TABLE), settings, columns=columns)
    assert load_dataset("ml-1m", settings).n_ratings == 5
    assert load_dataset(None, settings).name == "x"


@pytest.mark.parametrize("name", ["", "a/b", "../up", "x" * 65, "line\nbreak", "<b>", "semi;colon"])
def test_names_that_could_confuse_are_refused(
    name: str, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="cannot be the name of a data set"):
        import_data(WRITERS["ml-1m"](tmp_path), settings, name=name)


def test_progress_rises_to_one(settings: Settings, tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []
    import_data(
        WRITERS["ml-1m"](tmp_path), settings, on_progress=lambda *report: seen.append(report)
    )
    assert [stage for stage, _ in seen] == ["reading", "checking", "storing", "stored"]
    assert [done for _, done in seen] == sorted(done for _, done in seen)
    assert seen[-1][1] == 1.0


@pytest.mark.realdata
def test_movielens_100k_goes_through_the_database_unchanged(
    ml_100k: Dataset, ml_100k_source: Path, settings: Settings
) -> None:
    outcome = fetch_and_import(settings, source=ml_100k_source)
    dataset = load_dataset("ml-100k", settings)
    assert dataset.fingerprint == outcome.record.fingerprint == ml_100k.fingerprint
    assert dataset.user_frame.equals(ml_100k.user_frame)
    assert dataset.movie_frame.equals(ml_100k.movie_frame)
    assert list(outcome.report.seconds) == ["reading", "checking"]


def command(*words: str) -> str:
    """Run a command in the test's own home; return what it printed."""
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands_tell_people_what_happened(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", TABLE + "ann,x,3\nann,z,oops\n")
    columns = ("--user-column=who", "--movie-column=what", "--rating-column=stars")
    said = command("import", str(path), *columns)
    assert "4 read, 2 kept" in said
    assert "duplicate pair" in said
    assert "bad number" in said
    assert "was there already" in command("import", str(path), *columns)
    assert "2" in command("list")
    assert "inferred" in command("show", "x")
    assert "Deleted" in command("delete", "x", "--yes")
    assert "There is no data set yet" in command("list")


def test_with_json_the_commands_print_json_and_nothing_else(tmp_path: Path) -> None:
    path = WRITERS["ml-latest"](tmp_path)
    facts = json.loads(command("import", str(path), "--name", "films", "--json"))
    assert (facts["name"], facts["n_ratings"], facts["already_there"]) == ("films", 5, False)
    assert facts["report"]["rows_read"] == 5
    assert json.loads(command("import", str(path), "--json"))["already_there"] is True
    assert [record["name"] for record in json.loads(command("list", "--json"))] == ["films"]
    assert json.loads(command("show", "films", "--json"))["report"] == facts["report"]
    assert json.loads(command("delete", "films", "-y", "--json")) == {"deleted": "films"}
    assert json.loads(command("list", "--json")) == []


def test_deleting_asks_first(tmp_path: Path) -> None:
    command("import", str(WRITERS["ml-1m"](tmp_path)))
    refused = CliRunner().invoke(app, ["delete", "ml-1m"], input="n\n")
    assert refused.exit_code == 1
    assert "ml-1m" in command("list")


def test_commands_raise_the_projects_errors(tmp_path: Path) -> None:
    for words in (["show", "none"], ["delete", "none", "--yes"]):
        with pytest.raises(NotFoundError, match="no data set"):
            CliRunner().invoke(app, words, catch_exceptions=False)
    table = str(write(tmp_path / "x.csv", TABLE))
    with pytest.raises(DataError, match="--movie-column"):
        CliRunner().invoke(app, ["import", table, "--user-column=who"], catch_exceptions=False)


def test_markup_in_names_and_data_is_shown_as_text(tmp_path: Path) -> None:
    path = write(tmp_path / "[red]x.csv", "user,movie,rating\na,[bold]m,1\nb,n,2\n")
    assert "[red]x" in command("import", str(path), "--name", "y")
