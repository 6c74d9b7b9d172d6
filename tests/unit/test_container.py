"""Dockerfile and compose.yaml: read as `make container` reads them, without starting anything."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from movierec.settings import Settings
from tests.integration.test_docs import complaint
from tools.bootstrap.checks import SetupError
from tools.container.compose import Service, read_services
from tools.container.dockerfile import Copy, Run, Stage, expanded, pairs, read_stages
from tools.container.root import mirror_of_this_machine

PROJECT = Path(__file__).resolve().parents[2]
VALUES = {"POSTGRES_PASSWORD": "a", "MOVIEREC_API_KEYS": "b"}
LOOPBACK = r"127\.0\.0\.1|0\.0\.0\.0|localhost"


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    return read_stages((PROJECT / "Dockerfile").read_text("utf-8"))


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    return read_services(PROJECT / "compose.yaml", VALUES)


def test_images_run_as_somebody_who_may_not_change_them(stages: list[Stage]) -> None:
    for stage in stages[-2:]:
        words = [each.word for each in stage.instructions]
        user = stage.last("USER")
        assert user is not None
        assert user.rest not in ("root", "0")
        assert {*words[words.index("USER") :]} <= {"USER", "EXPOSE", "HEALTHCHECK", "CMD"}
        assert stage.health


def test_what_is_copied_is_there_and_let_through(stages: list[Stage]) -> None:
    ignored = (PROJECT / ".dockerignore").read_text("utf-8").splitlines()
    for stage in stages:
        copies = [Copy.of(each.rest) for each in stage.instructions if each.word == "COPY"]
        for source in [name for copy in copies if not copy.stage for name in copy.sources]:
            assert (PROJECT / source).exists(), source
            assert f"!{Path(source).parts[0]}" in ignored
    assert "*" in ignored
    assert not {"!data", "!models", "!.env", "!.venv", "!.git"} & {*ignored}


def test_the_image_installs_groups_that_are_locked(stages: list[Stage]) -> None:
    lines = [Run.of(each.rest).line for stage in stages for each in stage.instructions]
    line = next(line for line in lines if "bootstrap.sh" in line)
    groups = line.partition(" install ")[2].split()
    known = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    assert groups == ["api", "postgres", "s3"]
    assert {*groups} <= {*known}


@pytest.mark.parametrize(
    "name",
    ["Dockerfile", "compose.yaml", ".dockerignore", *(f"tools/container/{name}.py" for name in (
        "__init__", "__main__", "compose", "dockerfile", "root", "services"))],
)  # fmt: skip
def test_no_address_of_an_index_or_mirror_is_written_down(name: str) -> None:
    text = (PROJECT / name).read_text("utf-8")
    assert re.findall(rf"https?://(?!{LOOPBACK})[\w.]+", text) == []


def test_the_services_are_the_three_and_the_database(services: dict[str, Service]) -> None:
    assert {*services} == {"dashboard", "api", "worker", "postgres"}
    assert all(
        services[name].needs == {"postgres": "service_healthy"}
        for name in ("dashboard", "api", "worker")
    )
    assert services["postgres"].health[0] == "sh"


def test_every_setting_that_is_given_exists(
    services: dict[str, Service], stages: list[Stage]
) -> None:
    given = {name for each in services.values() for name in each.environment}
    given |= {n for s in stages for e in s.instructions if e.word == "ENV" for n in pairs(e.rest)}
    ours = {name.removeprefix("MOVIEREC_").lower() for name in given if "MOVIEREC_" in name}
    assert {"home", "database_url", "api_keys"} <= ours <= {*Settings.model_fields}


def test_the_commands_exist(services: dict[str, Service], stages: list[Stage]) -> None:
    images = {stage.name: stage.command for stage in stages}
    ours = {n: s.command or images[s.target] for n, s in services.items() if s.target}
    assert ours.pop("dashboard")[:3] == ["streamlit", "run", "Home.py"]
    assert {command[0] for command in ours.values()} == {"movierec"}
    assert {n: complaint(" ".join(c[1:])) for n, c in ours.items()} == {"api": "", "worker": ""}


def test_only_this_machine_reaches_the_ports() -> None:
    text = (PROJECT / "compose.yaml").read_text("utf-8")
    ports = re.findall(r"ports:\n\s+- (.*)", text)
    assert [port.startswith("127.0.0.1:") for port in ports] == [True, True]


@pytest.mark.parametrize("missing", VALUES)
def test_there_is_no_password_but_the_one_that_is_given(missing: str) -> None:
    values = {name: value for name, value in VALUES.items() if name != missing}
    with pytest.raises(SetupError, match=missing):
        read_services(PROJECT / "compose.yaml", values)


def test_a_dockerfile_is_read_as_an_engine_reads_it() -> None:
    text = (
        "# a comment\nFROM debian:a AS one\nENV A=1 \\\n    B='two words'\nRUN x \\\n# between\n"
        ' && y\nFROM one\nCOPY --from=one /a b/ ./\nCMD ["c", "d"]\n'
    )
    first, second = read_stages(text)
    assert (first.name, first.base, second.base) == ("one", "debian:a", "one")
    assert pairs(first.instructions[0].rest) == {"A": "1", "B": "two words"}
    assert first.instructions[1].rest == "x && y"
    assert Copy.of(second.instructions[0].rest) == Copy("one", ["/a", "b/"], "./")
    assert second.command == ["c", "d"]
    assert expanded("$A:${B}:$C", {"A": "1", "B": "2"}) == "1:2:"


def test_mounts_are_taken_from_a_run() -> None:
    run = Run.of("--mount=type=secret,id=a --mount=type=cache,target=/c x --mount=y")
    assert run.line == "x --mount=y"
    assert [(m.kind, m.name, str(m.target)) for m in run.mounts] == [
        ("secret", "a", "/run/secrets/a"),
        ("cache", "", "/c"),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", "# deb x\ndeb [signed-by=/k] MIRROR/debian stable main\n"),
        ("sources.list.d/debian.sources", "Types: deb\nURIs: MIRROR/debian/\nSuites: stable\n"),
    ],
)
def test_the_mirror_is_the_one_that_apt_has(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.replace("MIRROR", "http://127.0.0.1"), "utf-8")
    (tmp_path / "sources.list.d").mkdir(exist_ok=True)
    (tmp_path / "sources.list.d" / "other.sources.disabled").write_text("URIs: no/debian\n")
    assert mirror_of_this_machine(tmp_path).rstrip("/") == "http://127.0.0.1/debian"
