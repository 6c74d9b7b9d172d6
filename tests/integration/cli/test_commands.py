"""Every command on a real project: facts for people, and as JSON for programs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from movierec.inference import load_version
from movierec.registry import Registry
from movierec.settings import Settings
from movierec.store import open_store
from tests.support.project import Said, get_run, movierec, one_line, runs_of, train_version

ROW = [
    "model", "split", "seed", "rmse", "mae", "full", "full_4", "rated", "fit_seconds",
    "predict_seconds", "peak_memory_mb", "parameters",
]  # fmt: skip
RANKING = {
    "precision_at_10", "recall_at_10", "ndcg_at_10", "hit_rate_at_10", "map_at_10", "mrr", "users",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def versions(project: Settings) -> None:
    """v1.0.0 is a current GraphSAGE, v1.1.0 biases, v1.2.0 an EASE without predicted ratings."""
    for preset in ("report", "biases", "ease"):
        train_version(project, preset)


def ok(said: Said) -> Said:
    assert said.code == 0, said.err
    assert said.err == ""
    return said


@pytest.mark.parametrize("width", [140, 80, 30])
@pytest.mark.parametrize(
    "command",
    [
        "versions list", "versions show", "versions show v1.2.0", "runs list", "runs show 1",
        "runs watch 1", "recommend --user u1", "evaluate", "data list", "data show tiny",
    ],
)  # fmt: skip
def test_commands_speak_in_any_width(project, command, width):
    said = ok(movierec(project, *command.split(), width=width))
    assert said.out.strip()
    if not command.startswith("data"):  # the data room draws its own tables
        assert "…" not in said.out


def test_versions_as_json(project):
    facts = ok(movierec(project, "versions", "list", "--json")).facts
    assert [item["name"] for item in facts] == ["v1.2.0", "v1.1.0", "v1.0.0"]
    assert [item["is_current"] for item in facts] == [False, False, True]
    shown = ok(movierec(project, "versions", "show", "v1.1.0", "--json")).facts
    assert shown["version"]["metadata"]["preset"] == "biases"
    assert shown["problems"] == []


def test_a_version_is_shown_beside_the_floors(project):
    said = ok(movierec(project, "versions", "show", width=140))
    for word in ("v1.0.0", "biases", "popular", "constant", "random", "hidden_dim", "All files"):
        assert word in said.out


def test_promote_and_back(project):
    why = ["--override", "to see it"]
    said = ok(movierec(project, "versions", "promote", "v1.1.0", *why, "--json"))
    assert said.facts["current"] == "v1.1.0"
    assert {check["name"] for check in said.facts["move"]["checks"]} >= {"files whole"}
    assert ok(movierec(project, "versions", "rollback")).out == "v1.0.0 is current again.\n"
    moves = ok(movierec(project, "versions", "history", "--json")).facts
    assert [(move["version"], move["how"], move["reason"]) for move in moves[:2]] == [
        ("v1.0.0", "rolled back", ""), ("v1.1.0", "promoted", "to see it"),
    ]  # fmt: skip
    assert "to see it" in ok(movierec(project, "versions", "history", width=140)).out
    said = ok(movierec(project, "versions", "promote", "v1.0.0"))
    assert said.out == "v1.0.0 is current.\n"


def test_delete_asks_on_stderr_and_says_what_it_freed(project):
    name = train_version(project, "mean").name
    refused = movierec(project, "versions", "delete", name, "--now")
    assert refused.code == 1  # nobody answers
    assert f"Delete {name} (mean) and free" in refused.err
    assert refused.out.strip() == ""
    facts = ok(movierec(project, "versions", "delete", name, "--now", "--yes", "--json")).facts
    assert facts["deleted"] == name
    assert facts["freed_bytes"] > 0
    assert one_line(movierec(project, "versions", "show", name)).startswith("There is no version")


@pytest.mark.parametrize(
    ("command", "code", "cause"),
    [
        ("versions show v9.9.9", 4, "There is no version 'v9.9.9'."),
        ("versions show ../../etc/passwd", 4, "is not a version's name"),
        ("versions promote [/x]", 4, "'[/x]' is not a version's name"),
        ("versions delete current -y", 8, "is the current one and cannot be deleted"),
        ("evaluate v9.9.9", 4, "There is no version"),
        ("recommend --user 1 --version nope", 4, "is not a version's name"),
        ("runs show 99", 4, "There is no run 99."),
        ("runs watch 99", 4, "There is no run 99."),
        ("runs cancel 99", 4, "There is no run 99."),
        ("runs logs 1", 4, "Run 1 has no log."),
        ("data show nope", 4, "There is no data set 'nope'. There is 'tiny'."),
        ("data delete nope -y", 4, "There is no data set 'nope'."),
        ("data fetch ml-1b", 4, "ml-1b"),
        ("train --resume 1", 5, "Run 1 cannot be taken up: it became version v1.0.0."),
    ],
)
def test_what_does_not_exist_is_one_line(project, command, code, cause):
    said = movierec(project, *command.split())
    assert cause in one_line(said)
    assert said.code == code


def test_evaluate_again_says_what_was_stored(project):
    facts = ok(movierec(project, "evaluate", "v1.1.0", "--json")).facts
    with open_store(project) as store:
        stored = store.versions.get("v1.1.0").metadata.evaluation.as_dict()
    assert facts["rmse"] == pytest.approx(stored["rmse"], abs=1e-6)
    assert {key: facts[key] for key in stored} == stored
    shorter = ok(movierec(project, "evaluate", "v1.1.0", "-k", 3, "--json")).facts
    assert set(shorter["full"]) >= {"ndcg_at_3", "users"}


def test_recommend(project):
    facts = ok(movierec(project, "recommend", "--user", "u1", "-k", 4, "--json")).facts
    expected = load_version("current", project).recommend("u1", 4)
    assert [item["movie_id"] for item in facts["recommendations"]] == [e.movie_id for e in expected]
    assert [item["rank"] for item in facts["recommendations"]] == [1, 2, 3, 4]
    assert (facts["version"], facts["user"]) == ("v1.0.0", "u1")
    seen = ok(movierec(project, "recommend", "--user", "u1", "-k", 99, "--include-seen", "--json"))
    assert len(seen.facts["recommendations"]) == 40


@pytest.mark.parametrize("user", ["nobody", "[bold]x[/bold]", "[/]", "<script>", "ü"])
def test_an_unknown_user_gets_what_is_popular_and_is_told_so(project, user):
    said = ok(movierec(project, "recommend", "--user", user))
    assert f"For user {user}, by v1.0.0" in said.out
    assert "this user is unknown: the most popular movies" in " ".join(said.out.split())


def test_runs(project):
    facts = ok(movierec(project, "runs", "list", "--limit", 2, "--json")).facts
    assert len(facts) == 2
    shown = ok(movierec(project, "runs", "show", 1, "--json")).facts
    assert (shown["run"]["state"], shown["run"]["version"]) == ("succeeded", "v1.0.0")
    assert [epoch["epoch"] for epoch in shown["epochs"]] == [1, 2, 3]
    cancelled = ok(movierec(project, "runs", "cancel", 1, "--json")).facts
    assert cancelled["state"] == "succeeded"
    assert ok(movierec(project, "runs", "cancel", 1)).out == "Run 1 is succeeded.\n"


def test_watching_a_run_that_failed_is_6(project):
    with open_store(project) as store:
        run = store.runs.add("train", preset="report", dataset_name="tiny", request={})
        store.runs.start(run.id)
        store.runs.finish(run.id, "failed", error="Out of [luck].", traceback="Traceback: here\n")
    said = movierec(project, "runs", "watch", run.id)
    assert (said.code, said.err) == (6, "")
    assert "Out of [luck]." in said.out
    assert ok(movierec(project, "runs", "logs", run.id)).out == "Traceback: here\n"


def test_train_with_settings_of_a_baseline(project):
    said = movierec(
        project, "train", "--preset", "svd", "--set", "factors=3", "--set", "epochs=2",
        "--split", "cold-users", "--given", "2", "--split-seed", "7", "--seed", "5", "--json",
    )  # fmt: skip
    facts = ok(said).facts["metadata"]
    assert facts["hyperparameters"] | {"factors": 3, "epochs": 2} == facts["hyperparameters"]
    assert facts["split"] | {"given": 2, "seed": 7} == facts["split"]
    assert facts["seed"] == 5
    assert runs_of(project)[0].version == facts["model_version"]


def test_train_tells_people(project):
    said = ok(movierec(project, "train", "--preset", "report", "--epochs", 1, "--hidden-dim", 8))
    assert "parameters) on tiny, random 80/20, seed 42 in " in said.out
    assert "Test part of random 80/20, seed 42" in said.out


def test_setup_with_everything_there_does_nothing(project):
    before = runs_of(project)
    said = ok(movierec(project, "setup"))
    assert said.out == ""
    assert runs_of(project) == before


def test_benchmark_rows(project, tmp_path):
    path = tmp_path / "new" / "rows.json"
    arguments = ["--models", "biases, ease", "--seeds", 1, "--json", path]
    said = movierec(project, "benchmark", *arguments, width=140)
    assert said.code == 0, said.err
    assert "Test part of random 80/20, seed 42, 1 seed" in said.out
    rows = json.loads(path.read_text())
    assert [list(row) for row in rows] == [ROW, ROW]
    assert [(row["model"], row["split"], row["seed"]) for row in rows] == [
        ("biases", "random", 0),
        ("ease", "random", 0),
    ]
    with open_store(project) as store:
        kept = [store.versions.get(name) for name in ("v1.1.0", "v1.2.0")]
    for row, record in zip(rows, kept, strict=True):
        stored = record.metadata.evaluation.as_dict()
        for key in ("rmse", "mae", "full", "full_4", "rated"):
            assert row[key] == stored[key], key
        assert all(set(row[key]) == RANKING for key in ("full", "full_4", "rated"))
        assert row["parameters"] == record.parameters
        assert row["peak_memory_mb"] > 10
    assert rows[1]["rmse"] is None  # EASE predicts no ratings


def test_a_benchmark_that_could_not_be_written_is_refused_at_once(project, tmp_path):
    (tmp_path / "file").write_text("")
    said = movierec(
        project, "benchmark", "--models", "mean", "--json", tmp_path / "file" / "x.json"
    )
    assert "cannot be written" in one_line(said)
    assert said.code == 2


def test_doctor_on_a_whole_project(project):
    facts = ok(movierec(project, "doctor", "--json")).facts
    topics = {item["topic"] for item in facts}
    assert topics >= {"python", "libraries", "device", "disk", "database", "data set", "version"}
    assert {item["health"] for item in facts} <= {"ok", "note"}
    said = ok(movierec(project, "doctor", width=200))
    assert "tiny: 60 users, 40 movies" in said.out
    assert "v1.0.0 (current): all files are whole" in said.out


def test_doctor_on_an_empty_project(empty_project):
    said = ok(movierec(empty_project, "doctor", width=200))
    assert "movierec data fetch ml-100k" in said.out
    assert "movierec train" in said.out


def test_doctor_finds_a_damaged_version_and_a_dead_run(project, tmp_path):
    broken = project.model_copy(update={"home": tmp_path / "copy"})
    shutil.copytree(project.home, broken.home, symlinks=True)
    path = broken.models_path / "v1.1.0" / "serving" / "rating_user_bias.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with open_store(broken) as store:
        run = store.runs.add("train", request={})
        store.runs.assign(run.id, 2**22 + 1)  # no process can have this number
    assert movierec(broken, "versions", "delete", "v1.2.0", "--yes").code == 0
    said = movierec(broken, "doctor", "--json")
    assert (said.code, said.err) == (1, "")
    (trash,) = (item for item in said.facts if item["topic"] == "trash")
    assert (trash["health"], trash["text"].split(":")[0]) == ("ok", "v1.2.0")
    wrong = [item for item in said.facts if item["health"] == "wrong"]
    assert len(wrong) == 1
    assert wrong[0]["text"].startswith("v1.1.0: serving/rating_user_bias.npy was changed")
    assert "versions delete v1.1.0" in wrong[0]["hint"]
    notes = [item for item in said.facts if item["health"] == "note"]
    assert [note["text"] for note in notes] == [f"Run {run.id} was interrupted."]
    refused = movierec(broken, "versions", "promote", "v1.1.0")
    assert "cannot become current" in one_line(refused)
    assert refused.code == 8
    assert movierec(broken, "recommend", "--user", "u1", "--version", "v1.1.0").code == 8


def test_doctor_on_an_unreadable_database(tmp_path):
    broken = Settings(home=tmp_path, device="cpu")
    broken.data_path.mkdir()
    (broken.data_path / "recommender.db").write_bytes(b"not a database at all" * 100)
    said = movierec(broken, "doctor", "--json")
    assert (said.code, said.err) == (1, "")
    (wrong,) = (item for item in said.facts if item["health"] == "wrong")
    assert "not a database" in wrong["text"]
    assert "MOVIEREC_DATABASE_URL" in wrong["hint"]
    listed = movierec(broken, "versions", "list")
    assert "not a database" in one_line(listed)
    assert listed.code == 5


def test_a_setting_that_cannot_be_used_names_its_variable(project, monkeypatch):
    monkeypatch.setenv("MOVIEREC_FETCH_TIMEOUT", "soon")
    said = movierec(project, "versions", "list")
    assert "MOVIEREC_FETCH_TIMEOUT = 'soon' cannot be used" in one_line(said)
    assert said.code == 2


def test_the_default_preset_and_a_ranking_loss_train_too(project):
    small = ["--hidden-dim", 8, "--num-layers", 1, "--epochs", 1]
    assert movierec(project, "train", *small, "--json").facts["preset"] == "default"
    ranking = ["--loss-type", "bpr", "--ranking-weight", 0, "--monitor", "val_ndcg_10"]
    facts = ok(movierec(project, "train", *small, *ranking, "--json")).facts
    assert facts["metadata"]["evaluation"]["rmse"] is None
    assert np.isfinite(facts["metadata"]["evaluation"]["full"]["ndcg_at_10"])


def test_versions_that_a_killed_process_left_are_taken_up(project):
    name = train_version(project, "mean").name
    with open_store(project) as store:
        store.versions.delete(name)  # as if the row had never been written
    assert name in ok(movierec(project, "versions", "list")).out
    with open_store(project) as store:
        assert Registry(project, store).verify(name) == []


def test_deleting_a_data_set_leaves_versions_that_say_what_is_missing(project, tmp_path):
    alone = project.model_copy(update={"home": tmp_path / "copy"})
    shutil.copytree(project.home, alone.home, symlinks=True)
    assert movierec(alone, "data", "delete", "tiny", "--yes").code == 0
    assert ok(movierec(alone, "versions", "list")).out
    said = movierec(alone, "recommend", "--user", "u1")
    assert "There is no data set" in one_line(said)
    assert said.code == 4
    assert get_run(alone, 1).state == "succeeded"
