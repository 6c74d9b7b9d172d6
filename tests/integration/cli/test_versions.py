"""`movierec versions`: words, filters, lineage and the trash, from the command line."""

from __future__ import annotations

import pytest

from movierec.settings import Settings
from tests.support.project import Said, movierec, one_line, train_version


@pytest.fixture(scope="module", autouse=True)
def versions(project: Settings) -> None:
    """v1.0.0 and v1.1.0, of which the first is current."""
    train_version(project, "biases")
    train_version(project, "popular")


def versions_of(project: Settings, *arguments: object, width: int = 120) -> Said:
    said = movierec(project, "versions", *arguments, width=width)
    assert said.code == 0, said.err
    return said


def names(said: Said) -> list[str]:
    return [item["name"] for item in said.facts]


def test_tags_notes_and_filters(project):
    tagged = versions_of(project, "tag", "v1.1.0", "--add", "Floor", "--add", "[red]", "--json")
    assert tagged.facts == {"version": "v1.1.0", "tags": ["Floor", "[red]"]}
    assert versions_of(project, "tag", "v1.1.0").out == "v1.1.0: Floor, [red]\n"
    assert names(versions_of(project, "list", "--tag", "floor", "--json")) == ["v1.1.0"]
    assert names(versions_of(project, "list", "--tag", "floor", "--tag", "x", "--json")) == []
    assert names(versions_of(project, "list", "--model", "biases", "--json")) == ["v1.0.0"]
    assert len(names(versions_of(project, "list", "--data", "tiny", "--json"))) == 2
    assert "No version is like that." in versions_of(project, "list", "--data", "other").out
    listed = versions_of(project, "list", width=160).out
    assert "Floor, [red]" in listed
    assert "No version" not in listed
    assert versions_of(project, "note", "current", "Keep [bold]it[/bold].").out == (
        "Keep [bold]it[/bold].\n"
    )
    assert versions_of(project, "note", "v1.0.0", "--json").facts["notes"].startswith("Keep")
    shown = versions_of(project, "show", "v1.0.0").out
    assert "Notes: Keep [bold]it[/bold]." in shown
    assert versions_of(project, "note", "v1.0.0", "").out == "There are no notes on v1.0.0.\n"
    assert versions_of(project, "tag", "v1.1.0", "--remove", "FLOOR").out == "v1.1.0: [red]\n"


@pytest.mark.parametrize(
    ("command", "code", "cause"),
    [
        (["tag", "v1.0.0", "--add", "x" * 41], 2, "A tag has 1 to 40 characters"),
        (["note", "v1.0.0", "a\x07b"], 2, "control character"),
        (["tag", "v9.0.0", "--add", "x"], 4, "There is no version 'v9.0.0'."),
        (["restore", "v1.0.0"], 4, "'v1.0.0' is not in the trash. The trash is empty."),
        (["rollback"], 4, "There is no version to roll back to"),
        (["promote", "v1.1.0", "--override", " "], 2, "A reason has 1 to 500 characters"),
    ],
)
def test_what_cannot_be_is_one_line(project, command, code, cause):
    said = movierec(project, "versions", *command)
    assert cause in one_line(said)
    assert said.code == code


def test_show_says_where_a_version_comes_from_and_what_its_files_hold(project):
    facts = versions_of(project, "show", "v1.0.0", "--json").facts
    assert facts["lineage"]["run_id"] == 1
    assert facts["lineage"]["run_state"] == "succeeded"
    assert facts["lineage"]["is_data_here"]
    size = facts["version"]["size_bytes"]
    own = (project.models_path / "v1.0.0" / "metadata.json").stat().st_size
    assert sum(facts["files"].values()) == size - own
    shown = versions_of(project, "show", "v1.0.0").out
    assert "Run: 1, succeeded" in shown
    assert "serving/rating_user_bias.npy" in shown


def test_the_trash(project):
    name = train_version(project, "mean").name
    versions_of(project, "tag", name, "--add", "kept")
    facts = versions_of(project, "delete", name, "--yes", "--json").facts
    assert (facts["deleted"], facts["freed_bytes"]) == (name, 0)
    assert facts["restorable_until"]
    kept = versions_of(project, "trash", "--json").facts
    assert [item["name"] for item in kept["versions"]] == [name]
    assert kept["bytes"] == kept["versions"][0]["size_bytes"] > 0
    assert f"{name} " in versions_of(project, "trash").out
    assert f"{name} is in the trash" in one_line(movierec(project, "versions", "show", name))
    assert versions_of(project, "restore", name).out == f"{name} is back.\n"
    assert versions_of(project, "tag", name, "--json").facts["tags"] == ["kept"]

    said = versions_of(project, "delete", name, "--yes")
    assert f"Bring it back: movierec versions restore {name}" in " ".join(said.out.split())
    nothing = versions_of(project, "empty-trash", "--expired", "--json").facts
    assert nothing == {"deleted": [], "freed_bytes": 0}
    refused = movierec(project, "versions", "empty-trash")
    assert refused.code == 1  # nobody answers
    assert "Free" in refused.err
    facts = versions_of(project, "empty-trash", "--yes", "--json").facts
    assert facts == {"deleted": [name], "freed_bytes": kept["bytes"]}
    assert versions_of(project, "trash").out == "The trash is empty.\n"


@pytest.mark.parametrize("width", [140, 80, 30])
@pytest.mark.parametrize("command", ["list", "show", "history", "trash", "tag current"])
def test_commands_speak_in_any_width(project, command, width):
    said = versions_of(project, *command.split(), width=width)
    assert said.out.strip()
    assert "…" not in said.out
