"""A project folder to set up: our real tools, and stand-ins for the foreign programs they call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.bootstrap.environment import POETRY, STAMP

PROJECT = Path(__file__).resolve().parents[2]
SHELL = shutil.which("sh") or "/bin/sh"


def write_program(path: Path, body: str) -> Path:
    """Write a shell program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{SHELL}\n{body}\n", "utf-8")
    path.chmod(0o755)
    return path


def write_python(path: Path, before: str = "") -> Path:
    """Write a Python that runs some code before any `-c` program it is given."""
    body = f'if [ "$1" = -c ]; then code=$2; shift 2; set -- -c "{before}\n$code" "$@"; fi\n'
    return write_program(path, f'{body}exec "{sys.executable}" "$@"')


@dataclass(frozen=True)
class Folder:
    """A copy of the set-up tools with a finished Poetry and an empty environment."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def calls(self) -> list[str]:
        """What the stand-ins were called with, in order."""
        record = self.root / "calls"
        return record.read_text("utf-8").splitlines() if record.exists() else []

    @property
    def poetry_environment(self) -> dict[str, str]:
        """The variables that Poetry last saw."""
        lines = (self.root / "poetry.env").read_text("utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def stand_in(self, name: str, *, status: int = 0, also: str = "") -> Path:
        """Put a program into place that records how it was called, then exits."""
        program = Path(name).name
        body = f'echo "{program} $*" >> "{self.root}/calls"\n{also}\nexit {status}'
        return write_program(self.root / name, body)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the set-up as the Makefile does."""
        return subprocess.run(
            [SHELL, "tools/bootstrap.sh", *arguments],
            cwd=self.root,
            env={"PATH": os.environ["PATH"], "HOME": str(self.root), **environ},
            capture_output=True,
            text=True,
            check=False,
        )


def make_environment(folder: Path) -> None:
    """Lay out what marks a virtual environment, with this interpreter and its pip in it."""
    write_python(folder / "bin" / "python")
    (folder / "bin" / "activate").write_text(f"VIRTUAL_ENV={folder}\n", "utf-8")
    version = ".".join(map(str, sys.version_info[:3]))
    (folder / "pyvenv.cfg").write_text(f"version = {version}\n", "utf-8")


def make_folder(root: Path) -> Folder:
    """Copy the set-up tools and lay out environments, so that nothing is downloaded."""
    shutil.copytree(PROJECT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "poetry.lock"):
        (root / name).write_text(f"# {name}\n", "utf-8")
    for name in (".venv", ".poetry"):
        make_environment(root / name)
    (root / ".poetry" / STAMP).write_text(" ".join(POETRY), "utf-8")
    folder = Folder(root)
    folder.stand_in(".poetry/bin/poetry", also=f'env > "{root}/poetry.env"')
    return folder
