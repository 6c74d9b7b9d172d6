"""A Debian in a folder: made by debootstrap, entered by chroot, with mounts of its own."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from tools.bootstrap.checks import SetupError
from tools.container.dockerfile import Copy, Mount, Run, Stage, expanded, pairs

__all__ = ["Builder", "Root", "make_base", "mirror_of_this_machine"]

SOURCES = Path("/etc/apt")
_URI = re.compile(r"(?:^URIs:|^deb(?:\s+\[[^]]*\])?)\s+(\S+/debian/?)(?:\s|$)", re.MULTILINE)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SKIPPED = ("__pycache__", "secrets.toml")


@dataclass(frozen=True)
class Root:
    """A root folder, and what the instructions so far say of programs that run in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "root"

    def command(
        self, argv: Sequence[str], mounts: Mapping[Path, PurePosixPath] | None = None,
        hostname: str = "",
    ) -> list[str]:  # fmt: skip
        """Return the command that runs `argv` in here; its process is the one it starts.

        `mounts` are files and folders of this machine and where they are to be seen.
        """
        root = shlex.quote(str(self.folder))
        steps = [
            f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev",
            *(_bound(self.folder, source, target) for source, target in (mounts or {}).items()),
            f"hostname {hostname}" if hostname else ":",
        ]  # fmt: skip
        values = [f"{key}={value}" for key, value in self.environment.items()]
        inside = ["env", "-i", *values, "sh", "-c", 'cd "$0" && exec "$@"', self.workdir, *argv]
        user = ["--userspec", f"{self.user}:{self.user}"]
        entered = shlex.join(["chroot", *user, str(self.folder), *inside])
        script = " && ".join([*steps, f"exec {entered}"])
        return ["unshare", "--mount", "--uts", "sh", "-c", script]

    def run(self, argv: Sequence[str], mounts: Mapping[Path, PurePosixPath] | None = None) -> None:
        """Run a command to its end.

        Raises:
            SetupError: it failed.

        """
        if subprocess.run(self.command(argv, mounts), stdin=subprocess.DEVNULL).returncode:
            raise SetupError(f"This step failed: {shlex.join(argv)}")

    def path(self, text: str) -> Path:
        """Return where a path of this root is on this machine."""
        return self.folder / str(PurePosixPath("/", self.workdir, text)).lstrip("/")


class Builder:
    """Carries out the stages of a Dockerfile, each in a copy of its base."""

    def __init__(self, base: Path, work: Path, context: Path, secrets: Mapping[str, Path]) -> None:
        self.base = base
        self.work = work
        self.context = context
        self.secrets = secrets
        self.allowed = _allowed(context)
        self.built: dict[str, Root] = {}

    def build(self, stage: Stage) -> Root:
        """Carry out a stage; return the root it leaves.

        Raises:
            SetupError: a step failed, or asks for what the build context does not have.

        """
        below = self.built.get(stage.base) or Root(self.base, {"PATH": PATH})
        root = replace(below, folder=self.work / stage.name)
        copy_tree(below.folder, root.folder)
        for each in stage.instructions:
            print(f"  {stage.name}: {each.word} {each.rest[:100]}", flush=True)
            root = self._step(root, each.word, each.rest)
        self.built[stage.name] = root
        return root

    def _step(self, root: Root, word: str, rest: str) -> Root:
        match word:
            case "RUN":
                self._run(root, Run.of(rest))
            case "COPY":
                self._copy(root, Copy.of(rest))
            case "ENV":
                values = pairs(expanded(rest, root.environment))
                return replace(root, environment={**root.environment, **values})
            case "WORKDIR":
                root.path(rest).mkdir(parents=True, exist_ok=True)
                return replace(root, workdir=rest)
            case "USER":
                return replace(root, user=rest)
            case "CMD" | "HEALTHCHECK" | "EXPOSE":
                pass
            case _:
                raise SetupError(f"{word} is not known here: teach it to tools/container/root.py.")
        return root

    def _run(self, root: Root, run: Run) -> None:
        root.run(["sh", "-c", run.line], dict(filter(None, map(self._source, run.mounts))))

    def _source(self, mount: Mount) -> tuple[Path, PurePosixPath] | None:
        if mount.kind == "secret":
            found = self.secrets.get(mount.name)
            return (found, mount.target) if found else None
        cache = self.work / "cache"
        cache.mkdir(exist_ok=True)
        return cache, mount.target

    def _copy(self, root: Root, copy: Copy) -> None:
        source_root = self.built[copy.stage].folder if copy.stage else self.context
        target = root.path(copy.target)
        for name in copy.sources:
            if not copy.stage and Path(name).parts[0] not in self.allowed:
                raise SetupError(f".dockerignore keeps {name} out, which the Dockerfile copies.")
            source = source_root / name.lstrip("/")
            if source.is_dir():
                copy_tree(source, target, skipped=() if copy.stage else _SKIPPED)
            else:
                into = target / source.name if copy.target.endswith("/") else target
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, into)


def make_base(suite: str, folder: Path) -> None:
    """Make a bare Debian with debootstrap, from the mirror of this machine's apt."""
    if (folder / "etc/debian_version").exists():
        return
    mirror = mirror_of_this_machine()
    command = ["debootstrap", "--variant=minbase", suite, str(folder), mirror]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise SetupError(f"debootstrap could not make Debian {suite}: the lines above say why.")
    for name in ("resolv.conf", "hosts"):
        shutil.copy(Path("/etc") / name, folder / "etc" / name)


def mirror_of_this_machine(sources: Path = SOURCES) -> str:
    """Return the address from which apt takes Debian's own packages.

    Raises:
        SetupError: apt's configuration names none.

    """
    for path in [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*"))]:
        if path.suffix in (".list", ".sources") and path.is_file():
            found = _URI.search(path.read_text("utf-8"))
            if found:
                return found[1]
    raise SetupError(f"No mirror of Debian is named in {sources}: this needs Debian's apt.")


def copy_tree(source: Path, target: Path, skipped: Sequence[str] = ()) -> None:
    """Copy a folder's content with owners, links and times, sharing blocks where the disk can."""
    target.mkdir(parents=True, exist_ok=True)
    if skipped:
        ignore = shutil.ignore_patterns(*skipped)
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=ignore)
    else:
        command = ["cp", "-a", "--reflink=auto", f"{source}/.", str(target)]
        subprocess.run(command, check=True, stdout=sys.stderr)


def _bound(folder: Path, source: Path, target: PurePosixPath) -> str:
    """Return the shell's line that shows a file or folder in a root."""
    place = folder / str(target).lstrip("/")
    made = f"mkdir -p {shlex.quote(str(place if source.is_dir() else place.parent))}"
    touched = "" if source.is_dir() else f" && touch {shlex.quote(str(place))}"
    return f"{made}{touched} && mount --bind {shlex.quote(str(source))} {shlex.quote(str(place))}"


def _allowed(context: Path) -> set[str]:
    lines = (context / ".dockerignore").read_text("utf-8").splitlines()
    return {line[1:] for line in lines if line.startswith("!")}
