"""`movierec serve`: the REST API."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Annotated, Literal

import typer

from movierec.errors import SettingsError
from movierec.settings import load_settings

__all__ = ["serve"]

_NEEDED = ("fastapi", "uvicorn", "uvloop", "httptools", "prometheus_client")


def serve(
    host: Annotated[str | None, typer.Option(help="Default: MOVIEREC_API_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Default: MOVIEREC_API_PORT; 0: any.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    split: Annotated[
        str | None,
        typer.Option(help="Shares of the users, like v1.2.0=0.5,current=0.5."),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option(help="What is logged, at least."),
    ] = "info",
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="Log a line per request.")
    ] = True,
) -> None:
    """Answer over HTTP: lists, scores, reasons, newcomers, feedback (docs/guide/API.md).

    Stops at Ctrl-C or SIGTERM, when requests under way are answered. Keys, limits and all else
    are settings: `.env.example` lists them. Logs are JSON, a line each, on stderr.
    """
    _require_extra()
    given = {"api_host": host, "api_port": port, "api_traffic": split}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    # answers are small: threads of BLAS only wait for each other; read when numpy is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from movierec.server import run

    run.serve(settings, run.Serving(workers, log_level, access_log))


def _require_extra() -> None:
    """Raise SettingsError unless what `make api` installs is there."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"`movierec serve` needs what is not installed: {', '.join(missing)}.",
            hint="Run `make api`, or install movierec with its extra `api`.",
        )
