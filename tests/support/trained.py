"""A small project with real versions, trained once for all tests of a process and copied for each.

v1.0.0 and v1.1.0 are one GraphSAGE with two seeds, v1.2.0 another one, v1.3.0 and v1.4.0 baselines
(ease predicts no stars) on the same split; v1.5.0 is measured on another split.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from movierec.settings import Settings
from tests.conftest import refuse_user_paths
from tests.support.project import import_tiny, train_version

__all__ = ["VERSIONS", "copied", "train_all"]

VERSIONS = ("v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0", "v1.5.0")
_QUICK = {"epochs": 6}


def copied(trained: Path, root: Path) -> Settings:
    """Settings of a copy, below a temporary folder, of the project that `train_all` made."""
    shutil.copytree(trained, root, dirs_exist_ok=True, symlinks=True)
    return _settings(root)


def train_all(root: Path) -> Path:
    """Train the versions above in a new project; return its folder."""
    settings = _settings(root)
    import_tiny(settings)
    train_version(settings, "default", hyperparameters=_QUICK)
    train_version(settings, "default", hyperparameters=_QUICK, seed=1)
    train_version(settings, "report", hyperparameters={"hidden_dim": 16, **_QUICK})
    train_version(settings, "ease")
    train_version(settings, "biases")
    train_version(settings, "biases", split={"name": "random", "seed": 7})
    return root


def _settings(root: Path) -> Settings:
    settings = Settings(home=root, device="cpu", threads=1, worker_idle=2.0)
    return refuse_user_paths(settings, root)
