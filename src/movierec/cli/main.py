"""The program: its commands, and how errors leave it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated

import typer
from rich.markup import escape

from movierec.cli import data, runs, versions
from movierec.cli.benchmark import benchmark
from movierec.cli.doctor import doctor
from movierec.cli.evaluate import evaluate
from movierec.cli.output import console
from movierec.cli.recommend import recommend
from movierec.cli.setup import setup
from movierec.cli.train import train
from movierec.errors import MovierecError

__all__ = ["app", "main", "run"]

HELP = """Train, compare and understand GraphSAGE movie recommenders.

Exit codes: 0 done; 1 other failure; 2 wrong option, setting or hyperparameter; 3 data that
cannot be obtained or used; 4 no such data set, run, version, user or movie; 5 the database;
6 training; 7 evaluation; 8 a version's files; 130 stopped with Ctrl-C.
"""

app = typer.Typer(name="movierec", help=HELP, no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(setup)
app.add_typer(data.app)
app.command()(train)
app.command()(evaluate)
app.command()(recommend)
app.add_typer(versions.app)
app.add_typer(runs.app)
app.command()(benchmark)
app.command()(doctor)


@app.callback(invoke_without_command=True)
def program(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)
    ] = False,
) -> None:
    """Answer the program's own options."""
    if show_version:
        typer.echo(f"movierec {version('movierec')}")
        raise typer.Exit


app.info.help = HELP


def main() -> None:
    """Run the program and leave with its exit code."""
    sys.exit(run(app))


def run(program: Callable[..., object], arguments: Sequence[str] | None = None) -> int:
    """Run a Typer program and return its exit code; errors become one line on stderr."""
    try:
        result = program(args=arguments, standalone_mode=True)
    except MovierecError as error:
        console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        console(stderr=True).print("Stopped.")
        return 130
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return result if isinstance(result, int) else 0
