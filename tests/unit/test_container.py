"""Dockerfile and compose.yaml name what exists; `make container` builds and runs them."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from movierec.settings import Settings
from tests.integration.test_docs import complaint

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE = (PROJECT / "compose.yaml").read_text("utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = {name: each for name, each in SERVICES.items() if "build" in each}
LOOPBACK = r"127\.0\.0\.1|0\.0\.0\.0|localhost"


def read_stages(name: str) -> dict[str, list[tuple[str, str]]]:
    """Return each stage of a Dockerfile with the word and the rest of its instructions."""
    lines = re.sub(r"^#.*\n", "", (PROJECT / name).read_text("utf-8"), flags=re.MULTILINE)
    stages: dict[str, list[tuple[str, str]]] = {}
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages[rest.rpartition(" ")[2]] = found = []
        elif word:
            found.append((word, rest))
    return stages


STAGES = read_stages("Dockerfile")
COMMANDS = {target: json.loads(dict(STAGES[target])["CMD"]) for target in ("movierec", "api")}


def rests(word: str) -> list[str]:
    return [rest for stage in STAGES.values() for each, rest in stage if each == word]


@pytest.mark.parametrize("target", COMMANDS)
def test_images_run_as_somebody_who_may_not_change_them(target: str) -> None:
    words = [word for word, _ in STAGES[target]]
    assert dict(STAGES[target])["USER"] not in ("root", "0")
    assert words[words.index("USER") :] == ["USER", "EXPOSE", "HEALTHCHECK", "CMD"]


def test_what_is_copied_is_there_and_let_through() -> None:
    ignored = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()
    copies = [shlex.split(rest)[:-1] for rest in rests("COPY") if "--from=" not in rest]
    for source in [source for copy in copies for source in copy]:
        assert (PROJECT / source).exists(), source
        assert f"!{Path(source).parts[0]}" in ignored
    assert "*" in ignored
    assert not {"!data", "!models", "!.env", "!.venv", "!.git"} & {*ignored}


def test_the_image_installs_groups_that_are_locked() -> None:
    line = next(line for line in rests("RUN") if "bootstrap.sh" in line)
    groups = line.partition(" install ")[2].split()
    known = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    assert groups == ["api", "postgres", "s3"]
    assert {*groups} <= {*known}


@pytest.mark.parametrize(
    "name",
    ["Dockerfile", "compose.yaml", ".dockerignore", "tools/container.sh",
     "tools/postgres.Dockerfile"],
)  # fmt: skip
def test_no_address_of_an_index_or_mirror_is_written_down(name: str) -> None:
    text = (PROJECT / name).read_text("utf-8")
    assert re.findall(rf"https?://(?!{LOOPBACK})[\w.]+", text) == []


def test_the_services_are_the_three_and_the_database() -> None:
    assert {*OURS} == {"dashboard", "api", "worker"}
    assert {*SERVICES} - {*OURS} == {"postgres"}
    needs = [each["depends_on"] for each in OURS.values()]
    assert needs == [{"postgres": {"condition": "service_healthy"}}] * 3
    assert SERVICES["postgres"]["healthcheck"]["test"][0] == "CMD-SHELL"


def test_every_setting_that_is_given_exists() -> None:
    given = {name for each in OURS.values() for name in each["environment"]}
    given |= {word.partition("=")[0] for rest in rests("ENV") for word in shlex.split(rest)}
    ours = {name.removeprefix("MOVIEREC_").lower() for name in given if "MOVIEREC_" in name}
    assert {"home", "database_url", "api_keys"} <= ours <= {*Settings.model_fields}


def test_the_commands_exist() -> None:
    ours = {n: s.get("command") or COMMANDS[s["build"]["target"]] for n, s in OURS.items()}
    assert ours.pop("dashboard")[:3] == ["streamlit", "run", "Home.py"]
    assert {command[0] for command in ours.values()} == {"movierec"}
    assert {n: complaint(" ".join(c[1:])) for n, c in ours.items()} == {"api": "", "worker": ""}


def test_ports_are_those_of_the_images_and_only_this_machine_reaches_them() -> None:
    for name in ("dashboard", "api"):
        ((address, *_, inside),) = (port.split(":") for port in OURS[name]["ports"])
        target = OURS[name]["build"]["target"]
        assert (address, inside) == ("127.0.0.1", dict(STAGES[target])["EXPOSE"])
        assert inside in " ".join(COMMANDS[target])
        assert f":{inside}/" in dict(STAGES[target])["HEALTHCHECK"]
    assert "ports" not in OURS["worker"]
    assert "ports" not in SERVICES["postgres"]


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "MOVIEREC_API_KEYS"])
def test_there_is_no_password_but_the_one_that_is_given(name: str) -> None:
    uses = re.findall(rf"\$\{{{name}(.*)\}}", COMPOSE)
    assert uses
    assert {*uses} == {f":?put {name} into .env"}


def test_the_stand_in_for_the_database_has_the_version_and_the_folder_of_the_real_one() -> None:
    ((base, lines),) = read_stages("tools/postgres.Dockerfile").items()
    version = SERVICES["postgres"]["image"].partition(":")[2].partition("-")[0]
    assert f"/postgresql/{version}/" in dict(lines)["ENV"]
    assert SERVICES["postgres"]["volumes"][0].partition(":")[2] in dict(lines)["ENV"]
    assert f"FROM {base} AS " in (PROJECT / "Dockerfile").read_text("utf-8")
