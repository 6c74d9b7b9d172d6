"""The program: its commands, imported when they are called, and how errors leave it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup
from typer.main import get_command, get_group

from movierec.cli.output import console
from movierec.errors import MovierecError
from movierec.models.fields import validation_message

__all__ = [
    "COMMANDS",
    "Entry",
    "add_lazily",
    "app",
    "lazy_group",
    "main",
    "run",
]


@dataclass(frozen=True)
class Entry:
    """Where a command is, as "module:attribute", and the line that lists show of it."""

    target: str
    help: str


def lazy_group(entries: Mapping[str, Entry]) -> type[TyperGroup]:
    """Return a kind of group that looks its commands up in `entries` when they are called."""

    class LazyGroup(TyperGroup):
        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            name, command, rest = super().resolve_command(ctx, args)
            entry = entries.get(name or "")
            return name, _load(name or "", entry) if entry else command, rest

    return LazyGroup


def add_lazily(app: typer.Typer, entries: Mapping[str, Entry]) -> None:
    """List the commands in an app whose group is a `lazy_group` of the same entries."""
    for name, entry in entries.items():
        app.command(name, help=entry.help)(_listed_only)


def _listed_only() -> None:
    """Stand for a command in lists; `resolve_command` puts the real one in its place."""


def _load(name: str, entry: Entry) -> Any:
    module, _, attribute = entry.target.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return get_command(alone)


HELP = (
    "Train, compare and understand GraphSAGE movie recommenders.\n\n"
    "Exit codes: 0 done; 1 other failure; 2 wrong option, setting or hyperparameter; "
    "3 data that cannot be obtained or used; 4 no such data set, run, version, user or movie; "
    "5 the database; 6 training; 7 evaluation; 8 a version's files; 130 stopped with Ctrl-C."
)
COMMANDS = {
    "setup": Entry(
        "movierec.cli.setup:setup",
        "Get MovieLens 100K and train a first version, where there is none yet.",
    ),
    "data": Entry("movierec.cli.data:app", "Fetch, import, list, show and delete data sets."),
    "train": Entry(
        "movierec.cli.train:train",
        "Train a model, measure it once on the test part, and keep it as a version.",
    ),
    "sweep": Entry(
        "movierec.cli.sweep:sweep",
        "Search hyperparameters by what the validation part says; the test part stays closed.",
    ),
    "sweeps": Entry("movierec.cli.sweep:app", "List, show, export and delete sweeps."),
    "evaluate": Entry(
        "movierec.cli.compare:evaluate",
        "Measure a version from its files: ratings, ranking, beyond accuracy, certainty, slices.",
    ),
    "compare": Entry(
        "movierec.cli.compare:compare",
        "Compare versions: which is better, by how much, for whom, and how surely.",
    ),
    "recommend": Entry(
        "movierec.cli.recommend:recommend",
        "Recommend movies to a user, to somebody new, or to everybody into a file.",
    ),
    "similar": Entry("movierec.cli.recommend:similar", "List the movies that are most like one."),
    "feedback": Entry(
        "movierec.cli.feedback:app",
        "Give, list and take back thumbs, measure versions by them, join them to a data set.",
    ),
    "profiles": Entry(
        "movierec.cli.profiles:app", "Keep newcomers under a name, list, show and delete them."
    ),
    "serve": Entry(
        "movierec.cli.serve:serve",
        "Answer over HTTP: lists, scores, reasons, newcomers, feedback (docs/guide/API.md).",
    ),
    "versions": Entry(
        "movierec.cli.versions.main:app",
        "List, show, tag, promote, roll back, delete and restore versions.",
    ),
    "runs": Entry(
        "movierec.cli.runs:app", "List, show, watch, cancel, resume, clone and reorder runs."
    ),
    "worker": Entry(
        "movierec.cli.worker:worker",
        "Take runs from the queue until Ctrl-C, each in a process of its own.",
    ),
    "benchmark": Entry(
        "movierec.cli.benchmark:benchmark",
        "Fit models on the same splits and measure them with the same code.",
    ),
    "doctor": Entry(
        "movierec.cli.setup:doctor",
        "Say what is installed, which device, database, data sets and versions there are.",
    ),
}

app = typer.Typer(name="movierec", cls=lazy_group(COMMANDS), help=HELP, no_args_is_help=True)
add_lazily(app, COMMANDS)


@app.callback(invoke_without_command=True, help=HELP)
def program(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)
    ] = False,
) -> None:
    """Answer the program's own options."""
    if show_version:
        typer.echo(f"movierec {version('movierec')}")
        raise typer.Exit


def main() -> None:
    """Run the program and leave with its exit code."""
    sys.exit(run(app))


def run(program: Callable[..., object], arguments: Sequence[str] | None = None) -> int:
    """Run a Typer program and return its exit code; errors become one line on stderr.

    Typer itself makes 130 of Ctrl-C, which is what shells call it: 128 + SIGINT.
    """
    try:
        result = program(args=arguments, standalone_mode=False)
    except MovierecError as error:
        return _complain(str(error), error.exit_code)
    except typer.TyperException as error:
        return _complain(_usage(error), error.exit_code)
    except typer.Abort:
        return _complain("Stopped; nothing was changed.", 1)
    except BrokenPipeError:
        return _let_go()
    return result if isinstance(result, int) else 0


def _complain(message: str, code: int) -> int:
    if message:
        line = " ".join(message.split())
        console(stderr=True).print(f"[bold red]Error:[/] {escape(line)}", soft_wrap=True)
    return code


def _usage(error: typer.TyperException) -> str:
    """Return what is wrong with the arguments and where help is; nothing once help was shown."""
    message = validation_message(error.format_message())
    context: Any = getattr(error, "ctx", None)
    if not message or context is None:
        return message
    end = "" if message.endswith((".", "?")) else "."
    return f"{message}{end} `{context.command_path} --help` lists what there is."


def _let_go() -> int:
    """Leave quietly when the reader of a pipe has had enough (`movierec … | head`)."""
    sys.stdout = None  # or Python complains when it flushes it at the end
    return 0
