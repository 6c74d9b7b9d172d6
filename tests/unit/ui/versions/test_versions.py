"""The Versions page on small versions that are really trained, run by Streamlit's own AppTest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from movierec.registry import Registry
from movierec.registry.archive.pack import export_archive
from movierec.settings import Settings
from movierec.store import Store, open_store
from tests.support import states
from tests.support.pages import labels, opened_page, shown

PAGE = "pages/Versions.py"


@pytest.fixture
def store(trained: Settings) -> Iterator[Store]:
    with open_store(trained) as opened:
        yield opened


@pytest.fixture
def registry(trained: Settings, store: Store) -> Registry:
    return Registry(trained, store)


def click(at: Any, key: str) -> Any:
    at.button(key=key).click().run()
    assert not at.exception, at.exception[0].stack_trace
    return at


def toasts(at: Any) -> list[str]:
    return [toast.value.replace("\\", "") for toast in at.toast]


def test_without_data_it_leads_to_data(settings: Settings) -> None:
    assert labels(opened_page(PAGE)) == ["Fetch MovieLens 100K"]


def test_without_versions_it_leads_on(settings: Settings) -> None:
    with states.opened(settings) as store:
        states.add_dataset(store)
    at = opened_page(PAGE)
    assert "No version is current; 0 versions kept" in shown(at)
    assert "Train the first one on Home" in [link.proto.label for link in at.get("page_link")]


def test_it_opens_the_current_version(store: Store) -> None:
    at = opened_page(PAGE)
    text = shown(at)
    assert "v1.0.0 is current; 6 versions kept" in text
    assert at.selectbox(key="version").value == "v1.0.0"
    assert at.query_params["version"] == "v1.0.0"
    assert "v1.0.0: default on tiny" in text
    assert "delete-v1.0.0" not in [button.key for button in at.button]


def test_the_address_opens_another_one(store: Store) -> None:
    at = opened_page(PAGE, version="v1.4.0")
    assert "v1.4.0: biases on tiny" in shown(at)
    at.selectbox(key="version").set_value("v1.3.0").run()
    assert at.query_params["version"] == "v1.3.0"


def test_a_version_that_is_not_there_is_said(store: Store) -> None:
    at = opened_page(PAGE, version="v9.9.9<b>")
    assert "There is no version v9.9.9&lt;b&gt; here" in shown(at)
    assert at.selectbox(key="version").value == "v1.0.0"


def test_search_finds_names_tags_and_notes(registry: Registry) -> None:
    registry.annotate("v1.2.0", "A wider one, for the paper")
    registry.tag("v1.3.0", add=["paper"])
    at = opened_page(PAGE, q="PAPER")
    assert list(at.dataframe[0].value["Version"]) == ["v1.3.0", "v1.2.0"]
    assert at.selectbox(key="version").options == ["v1.0.0", "v1.3.0", "v1.2.0"]


def test_filters_by_tag_and_model(registry: Registry) -> None:
    registry.tag("v1.3.0", add=["paper", "old"])
    registry.tag("v1.2.0", add=["paper"])
    at = opened_page(PAGE)
    at.multiselect(key="tag").set_value(["paper", "old"]).run()
    assert list(at.dataframe[0].value["Version"]) == ["v1.3.0"]
    at.multiselect(key="model").set_value(["report"]).run()
    assert "No version fits." in shown(at)


def test_tags_are_kept_when_they_are_chosen(store: Store, registry: Registry) -> None:
    registry.tag("v1.3.0", add=["paper"])
    at = opened_page(PAGE, version="v1.2.0")
    at.multiselect(key="tags-v1.2.0").set_value(["paper"]).run()
    assert not at.exception
    assert store.versions.get("v1.2.0").tags == ("paper",)
    at.multiselect(key="tags-v1.2.0").set_value([]).run()
    assert store.versions.get("v1.2.0").tags == ()


def test_notes_are_kept_with_the_button(store: Store) -> None:
    at = opened_page(PAGE, version="v1.2.0")
    at.text_area(key="notes-v1.2.0").set_value("wider\n**not bold**")
    saves = [b for b in at.button if b.label == "Save the notes on v1.2.0"]
    saves[0].click().run()
    assert store.versions.get("v1.2.0").notes == "wider\n**not bold**"
    assert toasts(at) == ["The notes on v1.2.0 are kept."]


def test_one_click_makes_a_version_current_that_loses_nothing(
    store: Store, registry: Registry
) -> None:
    registry.promotion.promote("v1.4.0")
    at = click(opened_page(PAGE, version="v1.0.0"), "promote-v1.0.0")
    assert toasts(at) == ["v1.0.0 is current."]
    current = store.versions.current()
    assert current is not None
    assert current.name == "v1.0.0"


def test_a_loss_is_refused_in_words_and_needs_a_reason(store: Store, registry: Registry) -> None:
    at = click(opened_page(PAGE, version="v1.3.0"), "promote-v1.3.0")
    text = shown(at)
    assert "v1.3.0 was not made current" in text
    assert "✕ failed" in text
    assert "RMSE was measured for v1.0.0 and not for v1.3.0." in text
    assert at.button(key="override").disabled
    at.text_input(key="reason-v1.3.0").set_value("Only lists are shown").run()
    click(at, "override")
    current = store.versions.current()
    assert current is not None
    assert current.name == "v1.3.0"
    assert registry.promotion.history()[0].reason == "Only lists are shown"


def test_a_refusal_can_be_left_alone(store: Store) -> None:
    at = click(opened_page(PAGE, version="v1.3.0"), "promote-v1.3.0")
    click(at, "refused-ok")
    assert "was not made current" not in shown(at)
    current = store.versions.current()
    assert current is not None
    assert current.name == "v1.0.0"


def test_changed_files_cannot_be_overridden(trained: Settings, store: Store) -> None:
    file = trained.models_path / "v1.3.0" / "per_user.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    at = click(opened_page(PAGE, version="v1.3.0"), "promote-v1.3.0")
    assert "that cannot be overridden" in shown(at)
    assert "override" not in [button.key for button in at.button]


def test_the_history_tells_every_move_and_takes_the_last_one_back(
    store: Store, registry: Registry
) -> None:
    registry.promotion.promote("v1.2.0", who="ada", reason="for a test")
    at = opened_page(PAGE, view="History of current")
    text = shown(at)
    assert "ada" in text
    assert "for a test" in text
    click(at, "rollback")
    current = store.versions.current()
    assert current is not None
    assert current.name == "v1.0.0"
    assert "rolled back" in shown(opened_page(PAGE, view="History of current"))


def test_deleted_goes_to_the_trash_and_comes_back(store: Store, trained: Settings) -> None:
    at = click(opened_page(PAGE, version="v1.2.0"), "delete-v1.2.0")
    assert "Delete v1.2.0?" in shown(at)
    click(at, "trash-it")
    assert "v1.2.0" not in [record.name for record in store.versions.list()]
    assert not (trained.models_path / "v1.2.0").exists()
    bin_ = opened_page(PAGE, view="Trash")
    assert "v1.2.0 · report on tiny" in shown(bin_)
    click(bin_, "restore-v1.2.0")
    assert store.versions.get("v1.2.0").name == "v1.2.0"
    assert (trained.models_path / "v1.2.0" / "metadata.json").is_file()


def test_deleting_now_frees_the_disk(store: Store, trained: Settings) -> None:
    at = click(opened_page(PAGE, version="v1.2.0"), "delete-v1.2.0")
    click(at, "delete-now")
    assert not list(trained.models_path.rglob("v1.2.0*"))
    assert "The trash is empty" in shown(opened_page(PAGE, view="Trash"))


def test_a_deletion_can_be_thought_better_of(store: Store) -> None:
    at = click(opened_page(PAGE, version="v1.2.0"), "delete-v1.2.0")
    click(at, "keep")
    assert "Delete v1.2.0?" not in shown(at)
    assert store.versions.get("v1.2.0").name == "v1.2.0"


def test_the_trash_can_be_emptied(registry: Registry, trained: Settings) -> None:
    registry.delete("v1.2.0")
    registry.delete("v1.3.0")
    click(opened_page(PAGE, view="Trash"), "empty-trash")
    assert registry.trash() == []


def test_an_archive_is_imported_under_the_next_name(
    store: Store, registry: Registry, trained: Settings
) -> None:
    path = export_archive(registry, "v1.2.0", trained.home)
    at = opened_page(PAGE, view="Import")
    at.file_uploader(key="archive").upload(path.name, path.read_bytes(), "application/zip").run()
    click(at, "import-archive")
    record = store.versions.get("v1.6.0")
    assert record.origin["name"] == "v1.2.0"
    assert record.origin["archive"] == path.name
    assert not record.is_current


def test_an_archive_that_lies_is_refused_in_words(store: Store) -> None:
    at = opened_page(PAGE, view="Import")
    at.file_uploader(key="archive").upload("x.zip", b"no archive at all", "application/zip").run()
    click(at, "import-archive")
    assert at.error
    assert len(store.versions.list()) == 6


def test_the_card_and_the_files_are_there(store: Store) -> None:
    at = opened_page(PAGE, version="v1.0.0")
    record = store.versions.get("v1.0.0")
    (card,) = [each.value for each in at.markdown if "v1" in each.value]
    assert card.startswith("### v1")
    assert "\n# " not in card
    assert f"{len(record.metadata.files) + 1} files" in " ".join(e.label for e in at.expander)


def test_every_button_label_is_unique(registry: Registry) -> None:
    registry.delete("v1.5.0")
    for view in ("Kept", "History of current", "Trash", "Import"):
        at = opened_page(PAGE, view=view, version="v1.2.0")
        assert len(set(labels(at))) == len(labels(at))


def test_a_version_without_its_folder_is_shown_as_such(settings: Settings) -> None:
    with states.opened(settings) as store:
        states.add_version(store, states.add_dataset(store))
        store.versions.set_missing("v1.0.0", is_missing=True)
    at = opened_page(PAGE)
    assert "The folder of v1.0.0 is missing" in " ".join(
        e.value.replace("\\", "") for e in at.error
    )
