"""Packages of the dependency group `bench`, imported only when they are needed."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from movierec.errors import TrainingError

__all__ = ["bench_module"]


def bench_module(name: str) -> ModuleType:
    """Import a module of a package that only some baselines need.

    Raises:
        TrainingError: the package is not installed, or cannot be loaded on this machine.

    """
    try:
        with warnings.catch_warnings():
            # myfm asks pkg_resources for its own version
            warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
            return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise TrainingError(
            f"This baseline needs the package {package}, which cannot be imported: {error}.",
            hint="Install it with `make bench` or `poetry install --with bench`.",
        ) from error
