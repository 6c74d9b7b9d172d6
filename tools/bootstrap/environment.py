"""The project's own Poetry in `.poetry` and the locked environment in `.venv`."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.bootstrap.index import PipConfig, explain_index, poetry_environment, read_pip_config
from tools.bootstrap.machine import GIB, SetupError, check_platform, check_space, free_bytes

POETRY = ("poetry==2.5.1", "poetry-plugin-pypi-mirror==0.6.5")
STAMP = ".movierec-installed"
LOCKED = ("pyproject.toml", "poetry.lock")
# Linux: 5.9 and 3.0 GiB measured on x86, where PyTorch brings CUDA. macOS: an estimate.
INSTALLED, DOWNLOADED = (7 * GIB, 3 * GIB) if sys.platform == "linux" else (2 * GIB, 1 * GIB)
_VERSION = re.compile(r"^version\w* = (\d+)\.(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Stamp:
    """What a finished installation was made from; kept inside it, so it goes with it."""

    files: str
    groups: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, groups: Iterable[str]) -> Stamp:
        """Return the stamp that an installation of these groups would get now."""
        content = b"".join((root / name).read_bytes() for name in LOCKED)
        return cls(hashlib.sha256(content).hexdigest(), tuple(sorted(groups)))

    @classmethod
    def read(cls, venv: Path) -> Stamp | None:
        """Return an installation's stamp; None where none was finished."""
        try:
            facts = json.loads((venv / STAMP).read_text("utf-8"))
            return cls(facts["files"], tuple(facts["groups"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, venv: Path) -> None:
        """Mark the installation as finished."""
        (venv / STAMP).write_text(json.dumps(asdict(self)), "utf-8")

    def covers(self, wanted: Stamp) -> bool:
        """Say whether nothing is left to install."""
        return self.files == wanted.files and set(wanted.groups) <= set(self.groups)


def ensure_environment(root: Path, groups: Sequence[str]) -> None:
    """Bring `.venv` to the lock file, with at least these groups; nothing where it is there.

    Groups that an earlier call installed stay, so `make run` and `make test` share one
    environment without undoing each other's.

    Raises:
        SetupError: something is missing; the line says what.

    """
    if not _is_ready(root, groups):
        with _one_at_a_time(root):
            if not _is_ready(root, groups):
                _install(root, groups)


def _is_ready(root: Path, groups: Iterable[str]) -> bool:
    have = Stamp.read(root / ".venv")
    return have is not None and have.covers(Stamp.of(root, groups)) and _keeps(root / ".venv")


def _keeps(venv: Path) -> bool:
    """Say whether an environment can stay; PYTHON=… asks for one of its own version."""
    version = venv_version(venv)
    return bool(version) and (not os.environ.get("PYTHON") or version == sys.version_info[:2])


def _install(root: Path, groups: Iterable[str]) -> None:
    check_platform(platform.system(), platform.machine(), platform.libc_ver()[0])
    venv = root / ".venv"
    have = Stamp.read(venv)
    wanted = Stamp.of(root, {*groups, *(have.groups if have else ())})
    if not _keeps(venv):
        if not venv.exists():  # an old one makes room for the new one
            cache = Path(os.environ.get("POETRY_CACHE_DIR") or Path.home())
            check_space({root: INSTALLED, cache: DOWNLOADED})
        _new_environment(venv)
    (venv / STAMP).unlink(missing_ok=True)
    # without a stamp nobody knows what else was put there on purpose: only add
    verb = "sync" if have else "install"
    # `--with` would bring dev too, which is not optional for Poetry
    run_poetry(root, [verb, "--only", ",".join(wanted.groups)])
    wanted.write(venv)


def venv_version(venv: Path) -> tuple[int, int] | None:
    """Return the Python of an environment; None where it is missing, broken or was moved."""
    try:
        found = _VERSION.search((venv / "pyvenv.cfg").read_text("utf-8"))
        here = str(venv.resolve()) in (venv / "bin" / "activate").read_text("utf-8")
    except OSError:
        return None
    if not (found and here and (venv / "bin" / "python").exists()):
        return None
    return int(found[1]), int(found[2])


def _new_environment(folder: Path) -> None:
    # the running Python may be the one of the environment that is about to be replaced
    base = getattr(sys, "_base_executable", sys.executable)
    made = subprocess.run(
        [base, "-m", "venv", "--clear", folder], capture_output=True, text=True, check=False
    )
    if made.returncode:
        said = (made.stdout + made.stderr).strip().splitlines() or ["no reason given"]
        raise SetupError(f"{base} cannot make {folder.name}: {said[-1]}")


def run_poetry(root: Path, arguments: Sequence[str]) -> None:
    """Run Poetry on the project, through the index that pip is configured for.

    Raises:
        SetupError: Poetry failed, explained as far as it can be found out.

    """
    folder, environ = root / ".poetry", dict(os.environ)
    stamp, wanted = folder / STAMP, " ".join(POETRY)
    # a Poetry on PATH is not used: its version and plugins are anyone's guess
    there = stamp.exists() and stamp.read_text("utf-8") == wanted and venv_version(folder)
    if not there:
        _say(f"Installing {POETRY[0].replace('==', ' ')} into {folder.name} (once)")
        _new_environment(folder)
    python = str(folder / "bin/python")
    pip = read_pip_config(python, environ)
    if not there:
        quiet = ["--quiet", "--disable-pip-version-check"]
        _call([python, "-m", "pip", "install", *quiet, *POETRY], root, environ, pip)
        stamp.write_text(wanted, "utf-8")
    command = [str(folder / "bin/poetry"), *arguments, "--no-interaction"]
    _call(command, root, poetry_environment(pip, environ), pip)


def _call(command: Sequence[str], root: Path, environ: Mapping[str, str], pip: PipConfig) -> None:
    """Run a command that nobody answers questions for."""
    sys.stdout.flush()
    done = subprocess.run(command, cwd=root, env=environ, stdin=subprocess.DEVNULL, check=False)
    if done.returncode == 0:
        return
    if free_bytes(root) < GIB // 2:
        raise SetupError(f"The disk of {root} is full: free some space and run it again.")
    name = "Poetry" if "poetry" in Path(command[0]).name else "pip"
    raise SetupError(explain_index(pip) or f"{name} failed: the lines above say why.")


@contextmanager
def _one_at_a_time(root: Path) -> Iterator[None]:
    """Wait for another set-up of this folder to finish."""
    (root / ".cache").mkdir(exist_ok=True)
    with (root / ".cache/setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another set-up of this folder is under way; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(line: str) -> None:
    print(f"{line} …", flush=True)
