"""The Compare page on small versions that are really trained, run by Streamlit's own AppTest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from movierec.comparison.compare import compare
from movierec.comparison.evidence import read_evidence
from movierec.comparison.results import Comparison
from movierec.comparison.sentences import interval_text, value_text
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import Store, open_store
from tests.conftest import PROJECT
from tests.support import states
from tests.support.pages import alts_of, charts_of, labels, opened_page, shown, without_worker

PAGE = "pages/Compare.py"


@pytest.fixture
def store(trained: Settings) -> Iterator[Store]:
    with open_store(trained) as opened:
        yield opened


def links(at: Any) -> dict[str, dict[str, list[str]]]:
    """What each link of the page asks of the page it leads to, by its label."""
    return {
        link.proto.label.replace("\\", ""): parse_qs(link.proto.query_string)
        for link in at.get("page_link")
    }


def compared(settings: Settings, *names: str, baseline: str) -> Comparison:
    with open_store(settings) as store:
        registry = Registry(settings, store)
        return compare([read_evidence(registry, name) for name in names], baseline, None)


def test_without_data_it_leads_to_data(settings: Settings) -> None:
    assert labels(opened_page(PAGE)) == ["Fetch MovieLens 100K"]


def test_without_versions_it_leads_to_the_first_one(settings: Settings) -> None:
    with states.opened(settings) as store:
        states.add_dataset(store)
    at = opened_page(PAGE)
    assert "Nothing to compare yet" in shown(at)
    assert "Train the first version on Home" in links(at)


def test_one_version_leads_to_a_second_one(settings: Settings) -> None:
    with states.opened(settings) as store:
        states.add_version(store, states.add_dataset(store))
    at = opened_page(PAGE)
    assert "One version is here" in shown(at)
    assert labels(at) == ["Train the report preset"]


def test_it_begins_with_the_current_version_and_the_newest_measured_as_it_was(
    store: Store,
) -> None:
    at = opened_page(PAGE)
    assert at.multiselect(key="versions").value == ["v1.0.0", "v1.4.0"]
    assert at.selectbox(key="baseline").value == "v1.0.0"
    assert at.query_params["versions"] == ["v1.0.0", "v1.4.0"]
    assert at.query_params["baseline"] == "v1.0.0"


def test_verdict_values_and_intervals_are_those_of_the_comparison(trained: Settings) -> None:
    names = ("v1.0.0", "v1.1.0", "v1.2.0")
    found = compared(trained, *names, baseline="v1.1.0")
    at = opened_page(PAGE, versions=[*names], baseline="v1.1.0")
    text = shown(at)
    for pair in found.pairs.values():
        assert pair.sentence in text.replace("&#x27;", "'")
    for name in names:
        for key, value in found.values[name].items():
            assert value_text(key, value) in text, (name, key)
    for difference in found.pairs["v1.2.0"].differences:
        assert interval_text(difference.metric, difference.low, difference.high) in text


def test_versions_of_two_seeds_have_a_row_of_their_mean(trained: Settings) -> None:
    found = compared(trained, "v1.0.0", "v1.1.0", baseline="v1.0.0")
    text = shown(opened_page(PAGE, versions=["v1.0.0", "v1.1.0"]))
    assert "2 seeds" in text
    assert value_text("rmse", found.groups[0].means["rmse"]) in text


def test_an_address_with_commas_and_lost_names_is_understood(store: Store) -> None:
    at = opened_page(PAGE, versions="v1.2.0,v9.9.9,v1.0.0", baseline="v9.9.9")
    assert at.multiselect(key="versions").value == ["v1.2.0", "v1.0.0"]
    assert at.selectbox(key="baseline").value == "v1.0.0"
    assert "Not here (any more), so left out: v9.9.9." in shown(at)


def test_choosing_others_changes_the_address(store: Store) -> None:
    at = opened_page(PAGE)
    at.multiselect(key="versions").set_value(["v1.2.0", "v1.3.0"]).run()
    assert at.query_params["versions"] == ["v1.2.0", "v1.3.0"]
    assert at.selectbox(key="baseline").value == "v1.2.0"
    assert "Compare · 2 versions · baseline v1.2.0" in shown(at)


def test_fewer_than_two_are_asked_for(store: Store) -> None:
    at = opened_page(PAGE)
    at.multiselect(key="versions").set_value(["v1.2.0"]).run()
    assert not at.exception
    assert "Choose two or more versions" in shown(at)


def test_another_split_shows_why_and_no_difference(store: Store) -> None:
    at = opened_page(PAGE, versions=["v1.4.0", "v1.5.0"], baseline="v1.4.0")
    text = shown(at)
    assert "v1.5.0 can&#x27;t be compared with v1.4.0: the split&#x27;s seed" in text
    assert '<span class="mr-change' not in text
    assert "not comparable" in text


def test_the_link_to_training_again_fills_the_form_in(store: Store) -> None:
    at = opened_page(PAGE, versions=["v1.5.0", "v1.2.0"], baseline="v1.5.0")
    asked = links(at)["Train v1.2.0's settings again on v1.5.0's data and split"]
    form = opened_page("pages/Train.py", **{key: value[0] for key, value in asked.items()})
    assert form.selectbox(key="preset").value == "report"
    assert form.number_input(key="split_seed").value == 7
    assert form.number_input(key="report-hidden_dim").value == 16
    assert form.number_input(key="report-epochs").value == 6


def test_measuring_together_is_a_run_in_the_queue(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_worker(monkeypatch)
    monkeypatch.setattr("movierec.jobs.submit.ensure_worker", lambda _settings: None)
    at = opened_page(PAGE, versions=["v1.4.0", "v1.5.0"], baseline="v1.4.0")
    at.button(key="measure").click().run()
    assert not at.exception
    (run,) = store.runs.active()
    assert run.kind == "evaluate"
    assert sorted(run.request["versions"]) == ["v1.4.0", "v1.5.0"]
    assert at.button(key="measure").disabled


def test_an_older_baseline_and_a_ranker_are_drawn_too(store: Store) -> None:
    at = opened_page(PAGE, versions=["v1.3.0", "v1.0.0"], baseline="v1.3.0")
    text = shown(at)
    assert "RMSE was not measured for both" in text
    assert "No curve: v1.3.0." in text


def test_curves_go_by_epochs_or_by_seconds(store: Store) -> None:
    at = opened_page(PAGE, versions=["v1.0.0", "v1.2.0"], over="Seconds")
    axes = [chart["layout"]["xaxis"]["title"]["text"] for chart in charts_of(at)[:1]]
    assert "(s)" in axes[0] or "second" in axes[0]
    assert {trace["name"] for trace in charts_of(at)[0]["data"]} >= {"v1.0.0", "v1.2.0"}


def test_only_what_differs_is_listed(store: Store) -> None:
    text = shown(opened_page(PAGE, versions=["v1.0.0", "v1.1.0"]))
    table = text[text.index("Settings that differ") :]
    assert ">seed" in table
    for same in ("hidden_dim", "torch", "sha256", "created_at"):
        assert same not in table


@pytest.mark.parametrize("view", ["Groups", "Stars", "Lists"])
def test_each_view_draws(store: Store, view: str) -> None:
    at = opened_page(PAGE, versions=["v1.0.0", "v1.2.0", "v1.5.0"], view=view)
    assert charts_of(at)
    assert all(alts_of(at))


def test_all_of_them_across_settings_are_drawn_when_asked_for(store: Store) -> None:
    names = ["v1.0.0", "v1.1.0", "v1.2.0", "v1.4.0"]
    folded = charts_of(opened_page(PAGE, versions=names))
    drawn = charts_of(opened_page(PAGE, versions=names, across="true"))
    assert len(drawn) == len(folded) + 1


def test_groups_can_be_narrowed(store: Store) -> None:
    at = opened_page(PAGE, versions=["v1.0.0", "v1.2.0"], view="Groups")
    every = shown(at).count("<tr")
    narrowed = opened_page(
        PAGE, versions=["v1.0.0", "v1.2.0"], view="Groups", **{"slice-kind": "Genre"}
    )
    assert 2 < shown(narrowed).count("<tr") < every
    assert "Genre: " in shown(narrowed)
    assert "Popularity: head</th>" not in shown(narrowed)


def test_a_users_lists_stand_side_by_side(trained: Settings, store: Store) -> None:
    at = opened_page(PAGE, versions=["v1.0.0", "v1.2.0"], view="Lists", user="u7")
    assert at.selectbox(key="user").value == "u7"
    text = shown(at)
    assert "User u7" in text
    assert text.count("of 10 were rated later") == 2
    assert "Best rated, newest first" in text
    at.selectbox(key="user").set_value("u9").run()
    assert "User u9" in shown(at)
    assert at.query_params["user"] == "u9"


def test_a_user_who_is_not_there_is_replaced_by_the_first(store: Store) -> None:
    at = opened_page(PAGE, versions=["v1.0.0", "v1.2.0"], view="Lists", user="<script>")
    assert at.selectbox(key="user").value != "<script>"
    assert "<script>" not in shown(at)


def test_the_command_beside_the_export_is_the_comparison(store: Store) -> None:
    at = opened_page(PAGE, versions=["v1.0.0", "v1.2.0"], baseline="v1.2.0")
    commands = [code.value for code in at.code]
    assert "movierec compare v1.0.0 v1.2.0 --baseline v1.2.0 --html report.html" in commands


def test_a_version_whose_file_was_changed_is_not_compared(trained: Settings, store: Store) -> None:
    file = trained.models_path / "v1.2.0" / "per_user.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    at = opened_page(PAGE, versions=["v1.0.0", "v1.2.0"])
    text = shown(at)
    assert "the file per_user.parquet" in text
    assert "wrong SHA-256" in text
    assert "measure" not in [button.key for button in at.button]


def test_looking_at_versions_loads_neither_torch_nor_surprise(trained: Settings) -> None:
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "at = AppTest.from_file('Home.py', default_timeout=60).run()\n"
        "for page in ('Compare', 'Versions'):\n"
        "    at.switch_page(f'pages/{page}.py').run()\n"
        "    for view in ('Overview', 'Groups', 'Stars', 'Lists', 'Online', 'Kept', 'Trash',\n"
        "                 'Import'):\n"
        "        at.query_params['view'] = view\n"
        "        at.run()\n"
        "        assert not at.exception, at.exception\n"
        "heavy = {'torch', 'torch_geometric', 'surprise', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
