"""Versions that leave as files and come back elsewhere, and what is written about them."""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from movierec.comparison.metrics import METRICS, values_of
from movierec.errors import ArtifactError, NotFoundError
from movierec.export.model_card import model_card
from movierec.inference import load_version
from movierec.metadata import VersionMetadata
from movierec.registry import Registry
from movierec.registry.archive.pack import archive_name, export_archive, import_archive
from movierec.settings import Settings
from movierec.store import Store, VersionRecord, open_store
from movierec.workflows.restore import largest_difference, restore_sage
from tests.support.project import (
    environment,
    import_tiny,
    movierec,
    one_line,
    project_in,
    train_version,
)


@pytest.fixture(scope="module")
def trained(project: Settings) -> VersionRecord:
    """A GraphSAGE that knows how sure it is, with words; the project has a most popular too."""
    train_version(project, "default")
    train_version(project, "popular")
    with open_store(project) as store:
        registry = Registry(project, store)
        registry.tag("v1.0.0", ["good", "for *Anna*"])
        return registry.annotate("v1.0.0", "Trained on a <b>Sunday</b>.\nTwo lines, `code`.")


@pytest.fixture
def store(project: Settings, trained: VersionRecord) -> Iterator[Store]:
    with open_store(project) as opened:
        yield opened


@pytest.fixture
def archive(project: Settings, store: Store, tmp_path: Path) -> Path:
    return export_archive(Registry(project, store), "v1.0.0", tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    """Another project, in which the same data has another name."""
    settings = project_in(tmp_path / "elsewhere", with_data=False)
    import_tiny(settings, "other-name")
    return settings


def taken_in(settings: Settings, archive: Path, **options: Any) -> VersionRecord:
    with open_store(settings) as store:
        registry = Registry(settings, store)
        record = import_archive(registry, archive, **options)
        assert registry.verify(record.name) == []
        return record


# archives


def test_the_same_version_elsewhere(project, trained, archive, elsewhere):
    record = taken_in(elsewhere, archive)
    assert (record.name, record.tags, record.notes) == ("v1.0.0", trained.tags, trained.notes)
    assert record.metadata.as_dict() == {**trained.metadata.as_dict(), "run_id": None}
    assert record.run_id is None
    assert not record.is_current
    here, there = load_version("v1.0.0", project), load_version("v1.0.0", elsewhere)
    assert there.dataset.name == "other-name"
    assert there.recommend("nobody") == here.recommend("nobody")
    for user in ("u0", "u7"):
        assert there.recommend(user) == here.recommend(user)
        assert list(there.predict(user, ["m1", "m2"])) == list(here.predict(user, ["m1", "m2"]))


def test_its_network_comes_along(archive, elsewhere):
    import torch

    taken_in(elsewhere, archive)
    restored = restore_sage("v1.0.0", elsewhere, torch.device("cpu"))
    assert largest_difference(restored, "v1.0.0", elsewhere) < 1e-4


def test_it_is_measured_the_same_elsewhere(trained, archive, elsewhere):
    taken_in(elsewhere, archive)
    found = movierec(elsewhere, "evaluate", "v1.0.0", "--json").facts
    own = trained.metadata.evaluation.as_dict()
    assert found["rmse"] == pytest.approx(own["rmse"], abs=1e-6)
    assert found["full"] == pytest.approx(own["full"])


def test_the_same_version_gives_the_same_bytes(project, store, archive, tmp_path):
    again = export_archive(Registry(project, store), "v1.0.0", tmp_path / "again.zip")
    assert again.read_bytes() == archive.read_bytes()
    assert archive.name == "tiny-v1.0.0.movierec.zip"


def test_a_name_that_is_taken_gets_the_next(archive, elsewhere):
    names = [taken_in(elsewhere, archive).name for _ in range(2)]
    assert names == ["v1.0.0", "v1.1.0"]
    record = taken_in(elsewhere, archive, name="v3.0.0")
    assert record.name == record.metadata.model_version == "v3.0.0"
    assert record.origin["name"] == "v1.0.0"
    assert record.origin["archive"] == archive.name


def test_a_name_that_is_taken_in_the_trash_gets_the_next_too(archive, elsewhere):
    taken_in(elsewhere, archive)
    with open_store(elsewhere) as store:
        Registry(elsewhere, store).delete("v1.0.0")
    assert taken_in(elsewhere, archive).name == "v1.1.0"


def test_a_name_that_was_asked_for_is_not_changed(archive, elsewhere):
    taken_in(elsewhere, archive)
    with pytest.raises(ArtifactError, match=r"already is a version v1\.0\.0"):
        taken_in(elsewhere, archive, name="v1.0.0")
    with pytest.raises(ArtifactError, match="cannot be a version's name"):
        taken_in(elsewhere, archive, name="../v2.0.0")
    assert sorted(path.name for path in elsewhere.models_path.iterdir()) == [".lock", "v1.0.0"]


def test_without_its_data_it_says_which(archive, tmp_path):
    bare = project_in(tmp_path / "bare", with_data=False)
    record = taken_in(bare, archive)
    with pytest.raises(NotFoundError, match="There is no data set 'tiny'; version") as caught:
        load_version(record.name, bare)
    assert record.fingerprint[:12] in caught.value.hint


def test_an_archive_that_is_there_is_not_replaced(project, store, archive):
    before = archive.read_bytes()
    with pytest.raises(ArtifactError, match="is there already"):
        export_archive(Registry(project, store), "v1.0.0", archive)
    assert archive.read_bytes() == before
    assert [path.name for path in archive.parent.iterdir() if path.is_file()] == [archive.name]


def test_what_is_not_whole_is_not_exported(project, store, tmp_path):
    registry = Registry(project, store)
    file = registry.path("v1.0.0") / "serving/scale.npy"
    before = file.read_bytes()
    file.write_bytes(before[:-1] + b"\xff")
    try:
        with pytest.raises(ArtifactError, match=r"v1\.0\.0 cannot be exported: serving/scale"):
            export_archive(registry, "v1.0.0", tmp_path)
    finally:
        file.write_bytes(before)
    assert not list(tmp_path.glob("*.zip*"))


def test_where_nothing_can_be_written(project, store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"a\.zip cannot be written: .*exists"):
        export_archive(Registry(project, store), "v1.0.0", tmp_path / "file" / "a.zip")


def test_a_data_set_with_an_odd_name(trained):
    odd = replace(trained, dataset_name="../Über/x y")
    assert archive_name(odd) == "-Über-x-y-v1.0.0.movierec.zip"


# the model card


@pytest.fixture
def card(store: Store, trained: VersionRecord) -> str:
    return model_card(store, trained)


def tables_of(card: str) -> dict[str, list[str]]:
    rows = [line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("|")]
    return {re.sub(r" [↓↑]$", "", cells[0]): cells[1:] for cells in rows}


def test_its_numbers_are_those_of_the_metadata(trained, card):
    shown = tables_of(card)
    floors = ["biases", "popular", "constant", "random"]
    assert shown["Metric"] == ["v1.0.0", *floors]
    own = values_of(trained.metadata.evaluation)
    others = [values_of(trained.metadata.floors[name]) for name in floors]
    for metric in METRICS:
        values = [found[metric.key] for found in (own, *others)]
        told = [f"{v:,.{metric.digits}f}" if v == v else "–" for v in values]
        assert shown[metric.label] == told, metric.label
    assert shown["RMSE"][0] == f"{trained.metadata.evaluation.rmse:.4f}"


def test_it_has_what_a_card_needs(trained, card):
    titles = re.findall(r"^## (.+)$", card, re.MULTILINE)
    assert titles == [
        "Model", "Data", "Protocol", "Test metrics", "Groups, worst served first", "Certainty",
        "Cost", "Limits", "Use it", "Train it again",
    ]  # fmt: skip
    for fact in (trained.fingerprint, trained.split_label, f"{trained.parameters:,} parameters"):
        assert fact in card
    assert "Its newest rating is of 19" in card
    assert "80 % intervals: hold" in card
    assert "`hidden_dim` | 8 | 80 |" in card


def test_the_worst_served_group_is_first(trained, card):
    body = card.split("## Groups, worst served first")[1].split("## Certainty")[0]
    rows = [line.strip("| ").split(" | ") for line in body.splitlines() if line.startswith("|")]
    large = [float(row[4]) for row in rows[2:] if int(row[3].replace(",", "")) >= 50]
    assert len(large) > 3
    assert large == sorted(large, reverse=True)
    assert len(rows) - 2 == len(trained.metadata.slices)


def blocks(card: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", card, re.MULTILINE | re.DOTALL)


def test_its_python_runs(project, card, capsys):
    (code,) = blocks(card, "python")
    with environment(project):
        exec(compile(code, "card", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_its_commands_run_and_train_the_same_again(project, trained, card):
    use, train = blocks(card, "sh")
    for line in use.splitlines():
        assert movierec(project, *shlex.split(line)[1:]).code == 0
    said = movierec(project, *shlex.split(train)[1:], "--json")
    again = said.facts
    assert again["metadata"]["evaluation"] == trained.metadata.evaluation.as_dict()
    assert movierec(project, "versions", "delete", again["name"], "--now", "-y").code == 0


EVIL = "<script>alert(1)</script> | `x` **b** [a](http://x)\n# Title\n![p](x) :smile: $x$ &lt;"


def test_words_stay_words(store, trained):
    rows = [{"slice": EVIL, "value": EVIL, "ratings": 60, "users": 1, "rmse": 9.0}]
    metadata = trained.metadata.with_facts(
        slices=rows, device=EVIL, hyperparameters={EVIL: EVIL}, git={"commit": EVIL},
        libraries={EVIL: EVIL},
    )  # fmt: skip
    evil = replace(
        trained, notes=EVIL, tags=(EVIL,), dataset_name=EVIL, preset=EVIL, split_label=EVIL,
        metadata=metadata,
    )  # fmt: skip
    html = MarkdownIt("commonmark").enable("table").render(model_card(store, evil))
    assert "<script" not in html
    assert "<img" not in html
    assert "<a " not in html
    assert "<strong>" not in html
    assert html.count("<h1>") == 1
    assert html.count("<table>") == 4
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_a_model_that_only_ranks_says_so(project, store):
    card = model_card(store, store.versions.get("v1.1.0"))
    assert "It ranks only and predicts no ratings" in card
    assert "gives no probabilities" in card
    assert tables_of(card)["RMSE"][0] == "–"


def test_a_version_of_which_little_is_known(store, trained):
    bare = replace(trained, metadata=VersionMetadata(), preset="unheard-of")
    card = model_card(store, bare)
    assert "Nothing was measured." in card
    assert "This movierec does not know its settings" in card
    assert "None" not in card


# the commands


def test_export_and_import_on_the_command_line(project, trained, elsewhere, tmp_path):
    said = movierec(project, "versions", "export", "v1.0.0", "v1.1.0", "--to", tmp_path, "--json")
    found = said.facts["archives"]
    assert [each["version"] for each in found] == ["v1.0.0", "v1.1.0"]
    assert all(Path(each["path"]).stat().st_size == each["bytes"] for each in found)
    taken = movierec(elsewhere, "versions", "import", found[0]["path"], "--json").facts
    assert taken["version"]["name"] == "v1.0.0"
    assert taken["is_data_here"]
    again = movierec(elsewhere, "versions", "import", found[0]["path"])
    assert again.out.startswith("v1.1.0 is imported. It was v1.0.0 where it comes from.")


def test_importing_without_the_data_says_so(archive, tmp_path):
    bare = project_in(tmp_path / "bare", with_data=False)
    said = movierec(bare, "versions", "import", archive, width=500)
    assert "v1.0.0 is imported. Its data set tiny, fingerprint" in said.out
    assert "movierec data import" in said.out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("export v9.0.0", 4, "no version 'v9.0.0'"),
        ("export v1.0.0 v1.1.0 --to nowhere", 2, "nowhere is not a folder"),
        ("export --to x --mlflow sqlite:///x.db", 2, "exclude each other"),
        ("import nothing.zip", 8, "nothing.zip cannot be read: No such file"),
        ("import pyproject.toml", 8, "pyproject.toml cannot be imported: it is not a zip"),
        ("card v9.0.0", 4, "no version 'v9.0.0'"),
        ("card --to /dev/null/card.md", 2, "/dev/null/card.md cannot be written"),
    ],
)
def test_what_cannot_be_is_one_line(project, trained, words, code, told):
    said = movierec(project, "versions", *words.split())
    assert said.code == code
    assert told in one_line(said)


def test_the_card_on_the_command_line(project, trained, card, tmp_path):
    assert movierec(project, "versions", "card", "v1.0.0").out == card
    assert movierec(project, "versions", "card", "v1.0.0", "--json").facts["card"] == card
    path = tmp_path / "new" / "card.md"
    for _ in range(2):
        assert movierec(project, "versions", "card", "v1.0.0", "--to", path).code == 0
        assert path.read_text(encoding="utf-8") == card
    assert [file.name for file in path.parent.iterdir()] == ["card.md"]


def test_metadata_in_the_archive_is_the_file_itself(project, store, archive):
    with zipfile.ZipFile(archive) as opened:
        kept = opened.read("metadata.json")
        head = json.loads(opened.read("archive.json"))
    assert kept == (Registry(project, store).path("v1.0.0") / "metadata.json").read_bytes()
    assert (head["name"], head["tags"]) == ("v1.0.0", ["good", "for *Anna*"])
