"""`movierec`: every command in one program."""

from movierec.cli.main import app, main

__all__ = ["app", "main"]
