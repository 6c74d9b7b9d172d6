"""What README and docs say can be typed and run as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from movierec.cli.main import app
from movierec.errors import MovierecError
from movierec.settings import Settings
from tests.support.project import environment, import_tiny, project_in

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted((PROJECT / "docs").rglob("*.md")),
]
SOURCES = sorted((PROJECT / "src" / "movierec").rglob("*.py"))
INLINE = re.compile(r"`(?:[\w./]*/)?movierec((?: [^`]*)?)`")
IN_BLOCK = re.compile(r"^(?:\$ )?(?:[\w./]*/)?movierec( [^#\n]*)", re.MULTILINE)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Return (file, arguments) of every movierec command that is shown to somebody."""
    found = {(page.name, text) for page in PAGES for text in shown(page.read_text())}
    for source in SOURCES:
        # hints are f-strings: any value stands for a version, a run or a name
        text = re.sub(r"\{[^{}]*\}", "1", source.read_text())
        found |= {(source.name, words) for words in INLINE.findall(text)}
    return sorted(found)


def shown(page: str) -> set[str]:
    blocks = [body for kind, body in BLOCK.findall(page) if kind in ("sh", "bash", "console")]
    prose = BLOCK.sub("", page)
    return {*INLINE.findall(prose), *(w for body in blocks for w in IN_BLOCK.findall(body))}


def parse(command: Any, name: str, words: list[str]) -> None:
    """Parse arguments as the program does, without running anything."""
    context = command.make_context(name, list(words))
    rest = [*getattr(context, "_protected_args", []), *context.args]
    if rest:
        inner_name, inner, arguments = command.resolve_command(context, rest)
        parse(inner, inner_name, arguments)


def complaint(words: str) -> str:
    """Return what the program has against the arguments, nothing for good ones."""
    placeholders = {"RUN": "1", "NAME": "v1.0.0", "NAME=VALUE": "factors=3"}
    arguments = [placeholders.get(word, word) for word in shlex.split(words.replace("…", " "))]
    try:
        parse(get_command(app), "movierec", arguments)
    except typer.Exit:
        return "" if {"--help", "--version"} & {*arguments} else "it leaves"
    except typer.TyperException as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize(("file", "words"), commands(), ids=lambda value: value.strip())
def test_commands_that_are_shown_can_be_typed(file, words):
    found = complaint(words.partition("|")[0])
    # a command named alone need not show what must follow it
    assert not found or found.startswith("Missing") or found.endswith("requires an argument.")


@pytest.mark.parametrize("words", ["trian", "train --colour red", "versions list v1.0.0 extra"])
def test_a_command_that_does_not_exist_would_be_found(words):
    assert complaint(words).startswith(("No such", "Got unexpected"))


def test_there_are_commands_to_check():
    files = {file for file, _ in commands()}
    assert {"README.md", "SETUP.md", "datasets.py", "train.py"} <= files


def python_blocks() -> list[str]:
    return [
        body for page in PAGES for kind, body in BLOCK.findall(page.read_text()) if kind == "python"
    ]


def test_the_readme_has_python():
    assert python_blocks()


@pytest.mark.parametrize("code", python_blocks())
def test_python_that_is_shown_runs(tmp_path: Path, code: str, capsys):
    settings = project_in(tmp_path, with_data=False)
    import_tiny(settings, "ml-100k")  # 60 users stand for 943
    with environment(settings):
        exec(compile(code, "README.md", "exec"), {})
    assert "Recommendation(" in capsys.readouterr().out


def test_every_setting_is_in_the_example():
    text = (PROJECT / ".env.example").read_text()
    assert set(re.findall(r"^# MOVIEREC_(\w+)=", text, re.MULTILINE)) == {
        name.upper() for name in Settings.model_fields
    }


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_files_that_are_named_exist():
    named = re.compile(r"`((?:benchmarks|pages|src/movierec|tests|tools)/[\w/.]+)`")
    pages = [page for page in PAGES if page.name != "LOG.md"]  # the log names what was there then
    for page in pages:
        for path in named.findall(page.read_text()):
            assert (PROJECT / path).exists(), f"{page.name}: {path}"


def test_scripts_and_make_targets_that_are_shown_exist():
    makefile = (PROJECT / "Makefile").read_text()
    for page in PAGES:
        text = page.read_text()
        for script in re.findall(r"scripts/\w+\.py", text):
            assert (PROJECT / script).is_file(), script
        for target in re.findall(r"`(?:\w+=\S+ )*make (\w+)`", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_errors_tell_their_hint_after_their_message():
    assert str(MovierecError("It broke.", hint="Mend it.")) == "It broke. Mend it."
