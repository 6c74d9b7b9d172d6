"""The program around the commands: help, version, completion, and how errors leave it."""

from __future__ import annotations

import inspect
import io
import json
import sys
from importlib import import_module
from importlib.metadata import version

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from movierec import errors
from movierec.cli.main import COMMANDS, app, run
from movierec.errors import MovierecError

KINDS = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


def loaded(target: str) -> object:
    module, attribute = target.split(":")
    return getattr(import_module(module), attribute)


def every_command() -> list[list[str]]:
    found: list[list[str]] = [[]]
    for name, entry in COMMANDS.items():
        found.append([name])
        target = loaded(entry.target)
        if isinstance(target, typer.Typer):
            found += [[name, inner] for inner in get_group(target).commands]
    return found


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_help(command, capsys):
    assert run(app, [*command, "--help"]) == 0
    captured = capsys.readouterr()
    usage = next(line for line in captured.out.splitlines() if "Usage:" in line)
    assert " ".join(command) in usage
    assert captured.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_the_command_says_of_itself(name):
    target = loaded(COMMANDS[name].target)
    if isinstance(target, typer.Typer):
        assert target.info.help == COMMANDS[name].help
        assert target.info.name == name
    else:
        assert inspect.getdoc(target).splitlines()[0] == COMMANDS[name].help


def test_exit_codes_are_documented(capsys):
    run(app, ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for code in {0, 130, *(kind.exit_code for kind in KINDS)}:
        assert f" {code} " in text


def test_without_a_command_it_shows_help(capsys):
    assert run(app, []) == 2
    captured = capsys.readouterr()
    assert "benchmark" in captured.out
    assert captured.err == ""


def test_version(capsys):
    assert run(app, ["--version"]) == 0
    assert capsys.readouterr().out == f"movierec {version('movierec')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'? `"),
        (["versions", "shwo"], "Did you mean 'show'?"),
        (["similar"], "Missing argument 'MOVIE'."),
        (["recommend", "--user", "1", "-k", "0"], "greater than or equal to 1"),
        (["runs", "show", "x"], "valid integer"),
        (["recommend", "a", "--user", "1"], "unexpected extra argument"),
    ],
)
def test_wrong_use_is_one_line_with_a_way_out(arguments, said, capsys):
    assert run(app, arguments) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert said.lower() in line.lower()
    assert line.endswith("--help` lists what there is.")
    assert captured.out == ""


def failing(error: BaseException) -> typer.Typer:
    program = typer.Typer(add_completion=False)

    @program.command()
    def fail() -> None:
        raise error

    return program


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_error_is_one_line_with_its_hint(kind, capsys):
    error = kind("Movie [/red] is\nnot [bold]here[/bold].", hint="Look [again].")
    assert run(failing(error), []) == kind.exit_code
    captured = capsys.readouterr()
    assert captured.err == "Error: Movie [/red] is not [bold]here[/bold]. Look [again].\n"
    assert captured.out == ""


def test_ctrl_c_is_130_and_a_no_is_1(capsys):
    assert run(failing(KeyboardInterrupt()), []) == 130
    assert run(failing(typer.Abort()), []) == 1
    assert capsys.readouterr().err.splitlines() == ["Error: Stopped; nothing was changed."]


def test_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run(failing(ZeroDivisionError()), [])


def test_errors_have_a_base_that_is_caught():
    assert all(issubclass(kind, MovierecError) for kind in KINDS)


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_leaves_early_is_no_error(monkeypatch, capsys):
    program = typer.Typer(add_completion=False)

    @program.command()
    def speak() -> None:
        typer.echo("hello")

    monkeypatch.setattr(sys, "stdout", Closed())
    assert run(program, []) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown(shell, capsys, monkeypatch):
    monkeypatch.setenv("_MOVIEREC_COMPLETE", f"source_{shell}")
    with pytest.raises(SystemExit) as leaving:
        get_command(app).main([], prog_name="movierec")
    assert leaving.value.code == 0
    assert "_MOVIEREC_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("movierec ve", "versions"),
        ("movierec versions pro", "promote"),
        ("movierec train --hidden", "--hidden-dim"),
        ("movierec train --split te", "temporal"),
    ],
)
def test_completion_knows_commands_options_and_choices(typed, offered, capsys, monkeypatch):
    monkeypatch.setenv("_MOVIEREC_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    with pytest.raises(SystemExit):
        get_command(app).main([], prog_name="movierec")
    assert offered in capsys.readouterr().out.split()


def test_listing_commands_loads_none_of_them():
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    assert list(group.commands) == list(COMMANDS)
    assert all(command.callback.__name__ == "_listed_only" for command in group.commands.values())


def test_commands_that_print_facts_have_json(capsys):
    silent = {
        "setup", "data", "versions", "runs", "logs", "sweeps", "worker", "serve", "feedback",
        "profiles",
    }  # fmt: skip
    for command in every_command()[1:]:
        if command[-1] not in silent:
            run(app, [*command, "--help"])
            assert "--json" in capsys.readouterr().out, command


def test_facts_are_json(capsys):
    assert run(app, ["versions", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
