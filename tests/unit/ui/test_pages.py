"""Every page in every state a database may be in, run by Streamlit's own AppTest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from movierec.settings import Settings
from movierec.store import Store
from tests.conftest import PROJECT
from tests.support import states
from tests.support.factories import make_dataset
from tests.support.pages import alts_of, charts_of, labels, opened_page, shown

PAGES = ("Home.py", "pages/Data.py")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with states.opened(settings) as opened:
        yield opened


def test_empty_home_offers_the_one_action_that_helps(settings: Settings) -> None:
    at = opened_page("Home.py")
    assert labels(at) == ["Fetch MovieLens 100K"]
    text = shown(at)
    assert "Nothing is here yet" in text
    assert str(settings.database_path) in text
    assert "Harper and Joseph A. Konstan" in text


def test_empty_data_page_offers_both_ways_in() -> None:
    at = opened_page("pages/Data.py")
    assert labels(at) == ["Fetch MovieLens 100K", "Import ratings"]


def test_data_without_a_version_leads_to_training(store: Store) -> None:
    states.add_dataset(store)
    at = opened_page("Home.py")
    assert labels(at) == ["Train the first version"]
    assert [m.label for m in at.metric] == ["Ratings", "Users", "Movies", "Density"]


def test_one_version_stands_beside_its_baselines(store: Store) -> None:
    states.add_version(store, states.add_dataset(store))
    at = opened_page("Home.py")
    text = shown(at)
    assert "v1.0.0 predicts ratings with an error of 0.92 stars" in text
    assert "split random 80/20, seed 42" in text
    for baseline in ("averages", "constant", "most popular", "random"):
        assert f">{baseline}</th>" in text
    assert [m.label for m in at.metric] == [
        "RMSE (stars)", "MAE (stars)", "NDCG@10 full", "NDCG@10 rated",
    ]  # fmt: skip
    assert at.metric[0].value == "0.923"
    assert at.metric[0].delta == "-0.019"
    assert labels(at) == ["Train the report preset"]
    assert len(charts_of(at)) == 3


def test_two_versions_keep_their_colours_and_the_current_one_is_shown(store: Store) -> None:
    data = states.add_dataset(store, states.named(make_dataset(), "ml-100k"))
    states.add_version(store, data, "v1.0.0", preset="report", rmse=0.95)
    states.add_version(store, data, "v1.1.0", split="u1", rmse=0.91)
    at = opened_page("Home.py")
    text = shown(at)
    assert "v1.1.0 predicts ratings with an error of 0.91 stars" in text
    assert "GLocal-K" in text
    assert "best epoch picked on the test part" in text
    curve = charts_of(at)[-1]["data"][0]
    assert curve["line"]["color"] == "#d55e00"
    assert "is the newest version better?" in text
    assert "Compare versions" in [link.proto.label for link in at.get("page_link")]


def test_a_baseline_has_no_training_curve(store: Store) -> None:
    states.add_version(store, states.add_dataset(store), history=False)
    assert "no training curve" in shown(opened_page("Home.py"))


def test_a_version_that_was_not_evaluated_is_shown(store: Store) -> None:
    data = states.add_dataset(store)
    states.add_version(store, data, facts={})
    at = opened_page("Home.py")
    assert at.metric[0].value == "–"


def test_a_running_run_is_shown_live_on_every_page(store: Store) -> None:
    data = states.add_dataset(store)
    run = states.add_running(store, data.name)
    for page in PAGES:
        at = opened_page(page)
        assert f"Cancel run {run.id}" in labels(at)
        assert "Train the first version" not in labels(at)
        assert "best so far" in shown(at)
    store.runs.add_epoch(run.id, states.epochs()[8])
    at.run()
    assert "at epoch 9 of 9" in shown(at)


def test_a_live_curve_grows_with_its_epochs(store: Store) -> None:
    data = states.add_dataset(store)
    run = states.add_running(store, data.name)
    at = opened_page("Home.py")
    assert "at epoch 8 of 8" in shown(at)
    store.runs.add_epoch(run.id, states.epochs()[8])
    at.run()
    assert "at epoch 9 of 9" in shown(at)


def test_asking_twice_to_cancel_is_not_possible(store: Store) -> None:
    run = states.add_running(store, states.add_dataset(store).name)
    store.runs.request_cancel(run.id)
    at = opened_page("Home.py")
    assert at.button(key=f"cancel-{run.id}").disabled
    assert f"Stopping run {run.id} …" in labels(at)


def test_a_run_whose_process_died_shows_as_interrupted(store: Store) -> None:
    data = states.add_dataset(store)
    code = (
        "from movierec.settings import load_settings\n"
        "from tests.support import states\n"
        f"states.add_running(states.opened(load_settings()), {data.name!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
    at = opened_page("Home.py")
    assert "was interrupted at 40" in at.warning[0].value
    assert "Train the first version" in labels(at)
    assert any(label.startswith("Resume run") for label in labels(at))


def test_a_failed_run_says_why_as_plain_text(store: Store) -> None:
    data = states.add_dataset(store)
    states.add_failed(store, data.name, error="Loss is **NaN** <b> $x$")
    at = opened_page("Home.py")
    assert r"\*\*NaN\*\* \<b\> \$x\$" in at.error[0].value
    assert "Traceback" not in shown(at)


@pytest.mark.parametrize("page", PAGES)
def test_an_unreadable_database_is_one_clear_message(page: str, settings: Settings) -> None:
    assert settings.database_path is not None
    settings.data_path.mkdir(parents=True)
    settings.database_path.write_bytes(b"this is no database " * 500)
    at = opened_page(page)
    assert len(at.error) == 1
    assert "cannot be used" in at.error[0].value
    assert "Traceback" not in shown(at)
    assert not at.button


def test_the_data_page_shows_spread_and_import_report(store: Store) -> None:
    states.add_dataset(store)
    at = opened_page("pages/Data.py")
    text = shown(at)
    assert len(charts_of(at)) == 4
    assert "planted: 60 users gave" in text
    assert "Dropped: with a rating off the scale" in text
    assert "17, 40" in text
    assert "inferred from the ratings" in text
    assert "TiiS" in text


def test_a_data_set_without_times_and_features_is_shown(store: Store) -> None:
    states.add_dataset(store, make_dataset(timestamps=False, features=False))
    assert "no timestamps" in shown(opened_page("pages/Data.py"))
    for view in ("Movies", "Users"):
        opened_page("pages/Data.py", view=view)


def test_searching_movies_and_looking_at_one(store: Store) -> None:
    states.add_dataset(store)
    at = opened_page("pages/Data.py", view="Movies")
    at.text_input(key="mq").set_value("**bold").run()
    assert "1 of 40 movies" in shown(at)
    at.selectbox(key="movie").set_value("m1").run()
    assert "**bold** _it_ (" in shown(at)
    assert at.query_params["movie"] == "m1"
    at.text_input(key="mq").set_value("no such title").run()
    assert "No movie matches" in shown(at)
    assert not at.exception


def test_a_link_to_a_user_opens_that_user(store: Store) -> None:
    states.add_dataset(store)
    at = opened_page("pages/Data.py", view="Users", user="u7")
    text = shown(at)
    assert ">User u7</h2>" in text
    assert "Occupation" in text
    assert len(at.dataframe) == 2


@pytest.mark.parametrize("bad", ["../../etc/passwd", "<script>", "99999"])
def test_bad_ids_in_the_address_are_dropped(store: Store, bad: str) -> None:
    states.add_dataset(store)
    at = opened_page("pages/Data.py", view="Users", user=bad)
    assert "user" not in at.query_params
    assert bad not in shown(at)


def test_titles_are_text_wherever_they_stand(store: Store) -> None:
    states.add_dataset(store)
    for movie in range(len(states.NASTY)):
        at = opened_page("pages/Data.py", view="Movies", movie=f"m{movie}")
        text = shown(at)
        assert "<script>" not in text
        assert at.selectbox(key="movie").value == f"m{movie}"


def test_the_newest_data_set_is_chosen_among_several(store: Store) -> None:
    states.add_dataset(store)
    states.add_dataset(store, states.named(make_dataset(seed=5), "second"))
    at = opened_page("pages/Data.py")
    assert at.selectbox(key="data").value == "second"
    at.selectbox(key="data").set_value("planted").run()
    assert "planted: 60 users" in shown(at)


def test_importing_needs_a_path_and_whole_columns(store: Store) -> None:
    states.add_dataset(store)
    at = opened_page("pages/Data.py", view="Import")
    submit = next(b for b in at.button if b.label == "Import ratings")
    submit.click().run()
    assert "Enter a file or folder path" in at.error[0].value
    at.text_input(key="import-path").set_value("/nowhere.csv")
    at.text_input(key="import-user").set_value("who")
    next(b for b in at.button if b.label == "Import ratings").click().run()
    assert "Name the movie and rating column as well" in at.error[0].value
    assert not store.runs.list()


@pytest.mark.parametrize("page", PAGES)
def test_every_button_label_is_unique_and_every_chart_has_a_description(
    store: Store, page: str
) -> None:
    data = states.add_dataset(store)
    states.add_version(store, data)
    states.add_running(store, data.name)
    at = opened_page(page)
    assert len(set(labels(at))) == len(labels(at))
    assert all(len(alt) > 40 for alt in alts_of(at))
    assert all(spec["layout"]["xaxis"]["title"]["text"] for spec in charts_of(at))


def test_opening_any_page_loads_neither_torch_nor_surprise(store: Store) -> None:
    states.add_version(store, states.add_dataset(store))
    store.close()
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "at = AppTest.from_file('Home.py', default_timeout=60).run()\n"
        "assert not at.exception\n"
        "for view in ('Overview', 'Movies', 'Users', 'Import'):\n"
        "    at.query_params['view'] = view\n"
        "    at.switch_page('pages/Data.py').run()\n"
        "    assert not at.exception\n"
        "heavy = {'torch', 'torch_geometric', 'surprise', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_page_files_are_thin() -> None:
    for page in ("Home.py", *(f"pages/{p.name}" for p in Path(PROJECT, "pages").glob("*.py"))):
        assert len(Path(PROJECT, page).read_text().splitlines()) <= 100
